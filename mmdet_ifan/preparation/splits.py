"""Which image belongs to which split."""

from collections.abc import Collection, Sequence

from ..utils.errors import DataError
from .records import Problem
from .sources import Item

#: Splits that hold others on purpose.
UNIONS = ('trainval', 'all')
FIRST = ('train', 'val', 'test')
#: What folders and lists are called that are splits and nothing else.
NAMES = (*FIRST, 'trainval', 'training', 'testing')
ALIASES = {'valid': 'val', 'validation': 'val'}
#: Folders of lists; in the last one only lists with such a name are meant.
LISTS = ('ImageSets/Main', 'ImageSets', '.')
#: What tools call all of a data set that was not split.
WHOLE = 'default'


def split_name(name: str) -> str:
    """Name a split; 'valid' and 'validation' are written as 'val'."""
    return ALIASES.get(name.lower(), name)


def is_split(name: str) -> bool:
    """Tell whether a folder or list can only be a split, by its name."""
    return split_name(name).lower() in NAMES


def check_splits(splits: Sequence[str], there: Collection[str]) -> None:
    """Check that splits exist.

    Args:
        splits (Sequence[str]): Those asked for.
        there (Collection[str]): All that there are.

    Raises:
        DataError: If one does not exist.
    """
    for split in splits:
        if split not in there:
            raise DataError(f'There is no split {split}; there is '
                            f'{", ".join(there)}. Correct --split.')


def choose_splits(items: list[Item], splits: Sequence[str] | None,
                  whole: str | None = WHOLE) -> list[tuple[str, Item]]:
    """Name each image's split and keep those asked for.

    Args:
        items (list[Item]): All images, at least one. Those without a split
            are left out if others have one.
        splits (Sequence[str], optional): Those to keep; the name of the only
            one if the images have none. None keeps all, train, val and test
            first, or calls the only one 'train'.
        whole (str, optional): A split of this name alone is none. Defaults
            to what tools call all of a data set.

    Returns:
        list[tuple[str, Item]]: Split by split.

    Raises:
        DataError: If a split does not exist.
    """
    there = dict.fromkeys(item.split for item in items if item.split)
    if list(there) in ([], [whole]):
        (name, *others) = splits or ['train']
        if others:
            raise DataError('The data set has no splits, so --split can give '
                            'it one name only.')
        return [(name, item) for item in items
                if not there or item.split == whole]
    if splits is None:
        order = dict.fromkeys(name for name in FIRST if name in there)
        splits = list(order | there)
    check_splits(splits, there)
    return [(split, item) for split in splits for item in items
            if item.split == split]


def gather_splits(listed: list[tuple[str, Item]]
                  ) -> tuple[list[tuple[Item, list[str]]], list[Problem]]:
    """Gather the splits of each image: one, and perhaps some of `UNIONS`.

    Args:
        listed (list[tuple[str, Item]]): From `choose_splits`.

    Returns:
        tuple[list[tuple[Item, list[str]]], list[Problem]]: Each image once,
        and what was listed twice or in two splits.
    """
    members: dict[str, tuple[Item, list[str]]] = {}
    problems = []
    for split, item in listed:
        splits = members.setdefault(item.image, (item, []))[1]
        others = set(splits).difference(UNIONS)
        if split in splits:
            problems.append(Problem(
                'images listed twice',
                f'{item.image} is listed twice in {split}: kept once.'))
        elif others and split not in UNIONS:
            problems.append(Problem(
                'images in two splits',
                f'{item.image} is listed in {split} too: kept in '
                f'{others.pop()} only.'))
        else:
            splits.append(split)
    return list(members.values()), problems
