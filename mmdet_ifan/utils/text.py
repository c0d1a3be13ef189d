"""Lists of names for messages."""

from collections import Counter
from collections.abc import Iterable


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
