"""Read names, numbers and flags of annotation files, whoever wrote them."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

#: `float` also takes 1_0, digits of other alphabets and nan.
NUMBER = re.compile(r'[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?', re.A | re.I)
WORDS = {
    '': False,
    'true': True,
    'yes': True,
    'y': True,
    't': True,
    'on': True,
    'false': False,
    'no': False,
    'n': False,
    'f': False,
    'off': False,
    'none': False,
    'unspecified': False,
}
#: Keys of a COCO annotation; any of them marks its box as ignored.
FLAGS = ('iscrowd', 'ignore', 'difficult')
#: Names of regions in which nothing counts, letters only: DontCare of KITTI
#: and HIT-UAV, 'ignored regions' of VisDrone.
REGIONS = (
    'dontcare',
    'ignore',
    'ignored',
    'ignoredregion',
    'ignoredregions',
    'ignoreregion',
    'ignoreregions',
)


def is_text(value: Any) -> bool:
    """Tell whether a value can be stored and printed as a name.

    Args:
        value (Any): What a file gives as a name.

    Returns:
        bool: False for anything but text, for empty text, and for control
        characters and surrogates: a file name cannot hold NUL, a file cannot
        hold surrogates, and a terminal obeys control characters.
    """
    return (
        isinstance(value, str)
        and bool(value)
        and not any(unicodedata.category(char) in ('Cc', 'Cs') for char in value)
    )


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number below 1e18 in size."""
    # The square of 1e18 is still finite in single precision.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e18
    )


def is_region(name: str) -> bool:
    """Tell whether a category name is one of :data:`REGIONS`.

    Args:
        name (str): The name; case, spaces and punctuation do not matter.
    """
    return re.sub('[^a-z]', '', name.lower()) in REGIONS


def read_id(value: Any) -> str | None:
    """Read an id as text, so that 7, 7.0, '7' and '7.0' are the same.

    Args:
        value (Any): What a file gives as an id.

    Returns:
        str | None: None if the value is not an id.
    """
    if type(value) is int:
        return str(value)
    if isinstance(value, bool) or not isinstance(value, float | str):
        return None
    text = re.sub(r'^(-?\d+)\.0+$', r'\1', str(value).strip())
    is_whole = isinstance(value, str) or value.is_integer()
    return text if is_text(text) and is_whole else None


def read_number(value: Any) -> float:
    """Read a number.

    Args:
        value (Any): A number, or text such as ``12``, ``12.0`` or
            ``1.2e+01`` with or without surrounding spaces. A decimal comma
            is refused, since a comma may also separate thousands.

    Returns:
        float: Finite and below 1e18 in size.

    Raises:
        ValueError: If the value is missing or not such a number.
    """
    shown: Any = '' if value is None else value
    if isinstance(shown, str):
        shown = shown.strip()
    is_written = isinstance(shown, str) and NUMBER.fullmatch(shown)
    number = float(shown) if is_written else shown
    if not is_number(number):
        raise ValueError(f'{shown!r:.40} is not a number')
    return number


def read_index(text: str) -> int:
    """Read a whole number, also one written as ``1.0`` or ``1e+00``.

    Args:
        text (str): The number.

    Returns:
        int: The number.

    Raises:
        ValueError: If the text is not a whole number.
    """
    number = read_number(text)
    if number % 1:
        raise ValueError(f'{text[:40]!r} is not a whole number')
    return int(number)


def read_flag(value: Any) -> bool:
    """Read yes or no.

    Args:
        value (Any): A truth value, 0 or 1 as a number or text, or a word
            such as ``true``, ``No`` or ``Unspecified``. None means no.

    Returns:
        bool: The flag.

    Raises:
        ValueError: If the value is neither yes nor no.
    """
    word = '' if value is None else str(value).strip().lower()
    if word in WORDS:
        return WORDS[word]
    if not NUMBER.fullmatch(word) or float(word) not in (0, 1):
        raise ValueError(f'{word[:40]!r} is neither yes nor no')
    return bool(float(word))


def is_ignored(annotation: Mapping[str, Any]) -> bool:
    """Tell whether any of :data:`FLAGS` marks a COCO annotation.

    Args:
        annotation (Mapping[str, Any]): An entry of ``annotations``.

    Returns:
        bool: Whether its box is ignored.

    Raises:
        ValueError: If a flag is neither yes nor no.
    """
    flags = []
    for key in FLAGS:
        try:
            flags.append(read_flag(annotation.get(key)))
        except ValueError as error:
            raise ValueError(
                f"whose '{key}' is neither 0 nor 1 ({annotation[key]!r:.40})"
            ) from error
    return any(flags)
