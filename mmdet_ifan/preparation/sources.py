"""What the readers of the formats have in common."""

import os
from abc import ABC, abstractmethod
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..utils.errors import DataError
from ..utils.image_files import IMAGE_SUFFIXES
from .accounting import names_below
from .boxes import Box
from .records import LeftOut, Problem


@dataclass(frozen=True)
class Item:
    """An image that a data set lists.

    Args:
        split (str, optional): Where it is listed. None if the data set has
            no splits, or none of them lists it.
        image (str): Path of the image under the data root.
        labels (Any): Where its boxes are, as the source knows it.
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
        LOOKS_LIKE (str): What a folder of this format holds.
        processes (bool): Whether reading holds Python's lock.
        names (list[str], optional): Categories, if the data set lists them.
        problems (list[Problem]): What listing the images brought up.
        notes (list[str]): Whatever else the user should know.
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
        """Give what shows that `root` has this format, None if nothing."""

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """List the images, split by split, sorted.

        Raises:
            DataError: If the data set cannot be read at all.
        """

    @abstractmethod
    def boxes(self, item: Item, height: int,
              width: int) -> tuple[list[Box], list[Problem]]:
        """Read an image's boxes.

        Args:
            item (Item): From `items`.
            height (int): Of the image, in px.
            width (int): Of the image, in px.

        Returns:
            tuple[list[Box], list[Problem]]: The boxes and what was wrong.

        Raises:
            LeftOut: If the image cannot be used.
        """

    def where(self, item: Item) -> str:
        """Name the file that holds an image's boxes."""
        return str(item.labels)

    def label_files(self, item: Item) -> list[Path]:
        """Give the files that hold an image's boxes; they may be missing."""
        return [item.labels]

    def under_root(self, path: Path) -> str:
        """Give a path relative to the data root, with forward slashes."""
        return path.relative_to(self.root).as_posix()

    def images_in(self, folder: Path, below: bool = False) -> dict[str, Path]:
        """List a folder's images by their names without suffix, sorted.

        Args:
            folder (Path): Where to look.
            below (bool): Whether to look into its sub-folders, which are then
                part of the names. Defaults to False.

        Returns:
            dict[str, Path]: The first image of each name.
        """
        found: dict[str, Path] = {}
        for name, path in named_files(folder, IMAGE_SUFFIXES, below):
            first = found.setdefault(name, path)
            if first != path:
                self.problems.append(Problem(
                    'images of the same name',
                    f'{first} and {path} have one annotation file: the '
                    'second is left out.', self.under_root(path)))
        return found

    def unreadable(self, path: Path, what: str) -> LeftOut:
        """Make the error for an annotation file that says nothing."""
        return LeftOut(Problem('damaged annotation files',
                               f'{path} {what}: its image is left out.'))


def named_files(folder: Path, suffixes: tuple[str, ...],
                below: bool = False) -> Iterator[tuple[str, Path]]:
    """List files of some kinds with their names, without hidden ones.

    Args:
        folder (Path): Where to look.
        suffixes (tuple[str, ...]): In lower case; those of the files may be
            in upper case.
        below (bool): Whether to look into sub-folders. Defaults to False.

    Yields:
        tuple[str, Path]: A file's path under the folder, without suffix and
        with forward slashes, and the file.
    """
    for name in names_below(folder, below):
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in suffixes:
            yield stem, folder / name


def any_in(folder: Path, suffixes: tuple[str, ...],
           below: bool = False) -> Path | None:
    """Give the first file of some kinds in a folder, if it exists.

    Args:
        folder (Path): Where to look.
        suffixes (tuple[str, ...]): In lower case.
        below (bool): Whether to look into sub-folders. Defaults to False.

    Returns:
        Path | None: The file; None if there is none.
    """
    if not folder.is_dir():
        return None
    return next((path for _, path in named_files(folder, suffixes, below)),
                None)


def read_lines(path: Path) -> list[str]:
    """Read a text file's lines that are not blank.

    Args:
        path (Path): In UTF-8, or in UTF-16 with a mark at its beginning, as
            Windows writes it.

    Returns:
        list[str]: Without blanks around them.

    Raises:
        DataError: If it is missing or not text.
    """
    try:
        content = path.read_bytes()
        is_utf16 = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        lines = content.decode(
            'utf-16' if is_utf16 else 'utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'{path} is not a readable text file in UTF-8: save '
                        'it so, or remove it.') from error
    return [line.strip() for line in lines if line.strip()]
