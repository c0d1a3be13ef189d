"""Assign the images of a data set to splits."""

from collections.abc import Collection, Sequence

from ..utils.errors import DataError
from .records import Problem
from .sources import Item

#: Splits that contain other splits on purpose.
UNIONS = ('trainval', 'all')
FIRST = ('train', 'val', 'test')
#: Names of folders and lists that can only be splits.
NAMES = (*FIRST, 'trainval', 'training', 'testing')
ALIASES = {'valid': 'val', 'validation': 'val'}
#: Folders of lists; the last one may also hold other texts.
LISTS = ('ImageSets/Main', 'ImageSets', '.')
#: Name that tools give to a data set without splits.
WHOLE = 'default'


def split_name(name: str) -> str:
    """Name a split; 'valid' and 'validation' become 'val'."""
    return ALIASES.get(name.lower(), name)


def is_split(name: str) -> bool:
    """Tell whether a folder or list of this name can only be a split."""
    return split_name(name).lower() in NAMES


def check_splits(splits: Sequence[str], there: Collection[str]) -> None:
    """Check that splits exist.

    Args:
        splits (Sequence[str]): Requested splits.
        there (Collection[str]): Existing splits.

    Raises:
        DataError: If a requested split does not exist.
    """
    for split in splits:
        if split not in there:
            raise DataError(
                f'There is no split {split}; there is '
                f'{", ".join(there)}. Correct --split.'
            )


def choose_splits(
    items: list[Item], splits: Sequence[str] | None, whole: str | None = WHOLE
) -> list[tuple[str, Item]]:
    """Name the split of each image and keep the requested ones.

    Args:
        items (list[Item]): All images, at least one. Those without a split
            are left out if others have one.
        splits (Sequence[str], optional): Splits to keep; without splits, the
            name of the only one. None keeps all, train, val and test first,
            or names the only one 'train'.
        whole (str, optional): A split that is none if it is the only one.
            Defaults to `WHOLE`.

    Returns:
        list[tuple[str, Item]]: Split by split.

    Raises:
        DataError: If a split does not exist.
    """
    there = dict.fromkeys(item.split for item in items if item.split)
    if list(there) in ([], [whole]):
        (name, *others) = splits or ['train']
        if others:
            raise DataError(
                'The data set has no splits, so --split can give it one name only.'
            )
        return [(name, item) for item in items if not there or item.split == whole]
    if splits is None:
        order = dict.fromkeys(name for name in FIRST if name in there)
        splits = list(order | there)
    check_splits(splits, there)
    return [(split, item) for split in splits for item in items if item.split == split]


def gather_splits(
    listed: list[tuple[str, Item]],
) -> tuple[list[tuple[Item, list[str]]], list[Problem]]:
    """Gather the splits of each image: one, and perhaps some of `UNIONS`.

    Args:
        listed (list[tuple[str, Item]]): Result of `choose_splits`.

    Returns:
        tuple[list[tuple[Item, list[str]]], list[Problem]]: Each image once,
        and a problem for each that was listed twice or in two splits.
    """
    members: dict[str, tuple[Item, list[str]]] = {}
    problems = []
    for split, item in listed:
        splits = members.setdefault(item.image, (item, []))[1]
        others = set(splits).difference(UNIONS)
        if split in splits:
            problems.append(
                Problem(
                    'images listed twice',
                    f'{item.image} is listed twice in {split}: kept once.',
                )
            )
        elif others and split not in UNIONS:
            problems.append(
                Problem(
                    'images in two splits',
                    f'{item.image} is listed in {split} too: kept in '
                    f'{others.pop()} only.',
                )
            )
        else:
            splits.append(split)
    return list(members.values()), problems
