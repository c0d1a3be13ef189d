"""Gradient reversal (Ganin and Lempitsky, ICML 2015), and a check of weights."""

import math
from typing import Any

from torch import Tensor, nn
from torch.autograd import Function


class _Reverse(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * grad, None


class GradientReversal(nn.Module):
    """Pass features on; multiply their gradient by ``-weight``.

    Whatever lies before it maximises the loss that the discriminator behind it
    minimises: the min-max of iFAN's Eq. 7 in one backward pass.

    Args:
        weight (float): Reversal weight, >= 0. It scales only the gradient
            that flows back into the detector, never the discriminator's own
            step. Defaults to 1.0.

    Raises:
        ValueError: If ``weight`` is no finite number >= 0.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        # A negative weight would train the detector to help the discriminator.
        check_weight('The reversal weight grl_weight', weight)
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` itself, of any shape."""
        return _Reverse.apply(x, self.weight)

    def extra_repr(self) -> str:
        """Show the weight when the module is printed."""
        return f'weight={self.weight}'


def check_weight(name: str, weight: Any) -> None:
    """Raise unless a weight is a finite number >= 0.

    Args:
        name (str): Subject of the error message.
        weight (float): The weight.

    Raises:
        ValueError: If it is not.
    """
    if (
        isinstance(weight, bool)
        or not isinstance(weight, (int, float))
        or not 0 <= weight < math.inf
    ):
        raise ValueError(f'{name} must be a finite number >= 0, but got {weight!r}.')
