"""Tell the user what is wrong: the error, the warning, and names in both."""

import logging
from collections import Counter
from collections.abc import Iterable

from mmengine.logging import print_log


class DataError(ValueError):
    """An input is not what it should be; the message says how to fix it.

    Command line tools print the message and exit with code 2.
    """


def warn(*sentences: str) -> None:
    """Log warnings, in a run or without one."""
    for sentence in sentences:
        print_log(sentence, logger='current', level=logging.WARNING)


def name_some(names: Iterable[object], limit: int = 5) -> str:
    """Write a list that stays readable when it is long.

    Args:
        names (Iterable): The names.
        limit (int): Largest number of names to write. Defaults to 5.

    Returns:
        str: Such as ``a, b and 7 more``.
    """
    words = [str(name) for name in names]
    more = len(words) - limit
    return ', '.join(words[:limit]) + (f' and {more} more' if more > 0 else '')


def repeated(values: Iterable) -> list:
    """List the values that occur more than once, in order of appearance.

    Args:
        values (Iterable): Hashable values.

    Returns:
        list: Each repeated value once.
    """
    return [value for value, num in Counter(values).items() if num > 1]
