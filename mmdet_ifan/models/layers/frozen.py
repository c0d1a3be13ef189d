"""A module with constant parameters: one player of a min-max game."""

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.func import functional_call


def frozen(module: nn.Module) -> Callable[..., Any]:
    """Make a function of a module that treats its parameters as constants.

    The gradient of the result reaches the input, but not the module. Two
    networks with opposed losses thus train in one backward pass: each loss
    calls the opponent frozen, so every parameter gets the gradient of its own
    loss only. Gradient reversal cannot do this when the losses differ in more
    than their sign.

    Args:
        module (nn.Module): The module. Its mode and its current parameters
            are used. One with running statistics would update them twice in a
            step: leave out batch normalisation.

    Returns:
        Callable: Takes what the module takes and returns what it returns.
    """
    constants = {name: p.detach() for name, p in module.named_parameters()}

    def call(*args: Any) -> Any:
        return functional_call(module, constants, args)

    return call
