"""What must not be computed in half precision."""
import torch
from torch import Tensor


def at_least_float(values: Tensor) -> Tensor:
    """Cast half precision, float16 or bfloat16, to float32.

    Args:
        values (Tensor): Floating-point numbers.

    Returns:
        Tensor: The same in float32, or as they are in float32 or float64.
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))
