"""Base class of the readers of the formats, what they share, and splits."""

import os
from abc import ABC, abstractmethod
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..utils.errors import DataError
from ..utils.files import names_below
from ..utils.image_files import IMAGE_SUFFIXES
from .boxes import Box
from .records import Problem, damaged_labels


@dataclass(frozen=True)
class Item:
    """An image that a data set lists.

    Args:
        split (str, optional): The split that lists it; None if there are no
            splits or none lists it.
        image (str): Path of the image relative to the data root.
        labels (Any): Location of its boxes, as the source knows it.
    """

    split: str | None
    image: str
    labels: Any


class Source(ABC):
    """A labelled data set on disk, in one of the common formats.

    Args:
        root (Path): Data root.

    Attributes:
        FORMAT (str): Name of the format.
        LOOKS_LIKE (str): Contents of a folder of this format.
        processes (bool): Whether reading holds Python's lock.
        names (list[str], optional): Categories, if the data set lists them.
        problems (list[Problem]): Problems found while listing the images.
        notes (list[str]): Further sentences for the user.
        read (list[Path]): Files that were read, besides those of an item.
    """

    FORMAT: str
    LOOKS_LIKE: str
    processes = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names: list[str] | None = None
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.read: list[Path] = []

    @classmethod
    @abstractmethod
    def recognise(cls, root: Path) -> str | None:
        """Give a path that shows `root` to have this format, or None."""

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """List the images, split by split, sorted.

        Raises:
            DataError: If the data set cannot be read at all.
        """

    @abstractmethod
    def boxes(
        self, item: Item, height: int, width: int
    ) -> tuple[list[Box], list[Problem]]:
        """Read the boxes of an image.

        Args:
            item (Item): An item of `items`.
            height (int): Image height in px.
            width (int): Image width in px.

        Returns:
            tuple[list[Box], list[Problem]]: The boxes, and the problems.

        Raises:
            LeftOut: If the image cannot be used.
        """

    def where(self, item: Item) -> str:
        """Name the file that holds an image's boxes."""
        return str(item.labels)

    def label_files(self, item: Item) -> list[Path]:
        """List the files of an image's boxes, which may be missing."""
        return [item.labels]

    def under_root(self, path: Path) -> str:
        """Give a path relative to the data root, with forward slashes."""
        return path.relative_to(self.root).as_posix()

    def images_in(self, folder: Path, below: bool = False) -> dict[str, Path]:
        """List the images of a folder by name without suffix, sorted.

        Args:
            folder (Path): The folder.
            below (bool): Whether to search sub-folders, whose names become
                part of the image names. Defaults to False.

        Returns:
            dict[str, Path]: The first image of each name.
        """
        found: dict[str, Path] = {}
        for name, path in named_files(folder, IMAGE_SUFFIXES, below):
            first = found.setdefault(name, path)
            if first != path:
                self.problems.append(
                    Problem(
                        'images of the same name',
                        f'{first} and {path} have one annotation file: the '
                        'second is left out.',
                        self.under_root(path),
                    )
                )
        return found


def named_files(
    folder: Path, suffixes: tuple[str, ...], below: bool = False
) -> Iterator[tuple[str, Path]]:
    """List the visible files with some suffixes; none if there is no folder.

    Args:
        folder (Path): The folder.
        suffixes (tuple[str, ...]): Suffixes in lower case; upper case
            matches too.
        below (bool): Whether to search sub-folders. Defaults to False.

    Yields:
        tuple[str, Path]: Path relative to the folder, without suffix and
        with forward slashes, and the file.
    """
    for name in names_below(folder, below) if folder.is_dir() else ():
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in suffixes:
            yield stem, folder / name


def any_in(folder: Path, suffixes: tuple[str, ...], below: bool = False) -> Path | None:
    """Give the first file of `named_files`, None if there is none."""
    return next((path for _, path in named_files(folder, suffixes, below)), None)


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file that are not blank, stripped.

    Args:
        path (Path): A file in UTF-8, or in UTF-16 with a byte-order mark, as
            Windows writes it.

    Raises:
        DataError: If the file is missing or not text.
    """
    try:
        content = path.read_bytes()
        is_utf16 = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        lines = content.decode('utf-16' if is_utf16 else 'utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f'{path} is not a readable text file in UTF-8: save '
            'it as UTF-8, or remove it.'
        ) from error
    return [line.strip() for line in lines if line.strip()]


def read_label_lines(path: Path) -> list[str]:
    """Read an image's text file of boxes; see `read_lines`.

    Raises:
        LeftOut: If the file is not text.
    """
    try:
        return read_lines(path)
    except DataError as error:
        raise damaged_labels(path, 'is not readable text') from error


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
