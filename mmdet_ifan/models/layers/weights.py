"""A check of the weights that a config gives."""

import math
from typing import Any


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
