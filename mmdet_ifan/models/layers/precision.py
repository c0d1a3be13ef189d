"""What half precision would spoil."""

import torch
from torch import Tensor, nn


def at_least_float(values: Tensor) -> Tensor:
    """Cast half precision, float16 or bfloat16, to float32.

    Args:
        values (Tensor): Floating-point numbers.

    Returns:
        Tensor: The same in float32; float32 and float64 stay as they are.
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))


class SinglePrecisionConv2d(nn.Conv2d):
    """Convolution in single precision, whatever the precision around it.

    On maps one or two positions wide, oneDNN's 3x3 convolution of stride 2 in
    bfloat16 reads uninitialised memory: with AVX-512 for its weight gradient,
    with AMX already for its result.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve maps of shape (N, C, H, W), into the weight's type."""
        with torch.autocast(x.device.type, enabled=False):
            maps = self._conv_forward(
                at_least_float(x),
                at_least_float(self.weight),
                None if self.bias is None else at_least_float(self.bias),
            )
        return maps.to(self.weight.dtype)
