"""Numbers and flags as text, as the common tools write them."""

import math
import re

#: What `float` takes beyond it (1_0, other digits, nan) no tool means.
NUMBER = re.compile(r'[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?', re.A | re.I)
FLAGS = {'': False, 'true': True, 'yes': True, 'y': True, 't': True,
         'on': True, 'false': False, 'no': False, 'n': False, 'f': False,
         'off': False, 'none': False, 'unspecified': False}


def read_number(text: str | None) -> float:
    """Read a number.

    Args:
        text (str, optional): Such as ``12``, ``12.0``, ``1.2e+01``, with or
            without blanks around it.

    Returns:
        float: It is finite.

    Raises:
        ValueError: If it is none: missing, with a decimal comma, nan or
            infinite.
    """
    text = (text or '').strip()
    if not NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f'{text[:40]!r} is no number')
    return float(text)


def read_index(text: str) -> int:
    """Read a whole number, which may be written as ``1.0`` or ``1e+00``.

    Args:
        text (str): The number.

    Returns:
        int: The number.

    Raises:
        ValueError: If it is none.
    """
    number = read_number(text)
    if number % 1:
        raise ValueError(f'{text[:40]!r} is no whole number')
    return int(number)


def read_flag(text: str | None) -> bool:
    """Read a flag.

    Args:
        text (str, optional): A number that is 0 or 1, or a word such as
            ``true``, ``No`` or ``Unspecified``; nothing is no.

    Returns:
        bool: What it says.

    Raises:
        ValueError: If it says neither.
    """
    word = (text or '').strip().lower()
    if word in FLAGS:
        return FLAGS[word]
    if not NUMBER.fullmatch(word) or float(word) not in (0, 1):
        raise ValueError(f'{word[:40]!r} is neither yes nor no')
    return bool(float(word))
