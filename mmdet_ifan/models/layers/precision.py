"""A cast for numbers that half precision would spoil."""

import torch
from torch import Tensor


def at_least_float(values: Tensor) -> Tensor:
    """Cast half precision, float16 or bfloat16, to float32.

    Args:
        values (Tensor): Floating-point numbers.

    Returns:
        Tensor: The same in float32; float32 and float64 stay as they are.
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))
