"""Weights of losses and gradients, as a config gives them."""
import math
from typing import Any


def check_weight(name: str, weight: Any) -> None:
    """Raise unless a weight is a finite number >= 0.

    Args:
        name (str): What the weight is, to begin the sentence with.
        weight (float): The weight.

    Raises:
        ValueError: If it is anything else.
    """
    if isinstance(weight, bool) or not isinstance(
            weight, (int, float)) or not 0 <= weight < math.inf:
        raise ValueError(f'{name} must not be negative but a finite number, '
                         f'but got {weight!r}.')
