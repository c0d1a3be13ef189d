"""What the readers of the formats have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..disk import DataError
from ..image_files import IMAGE_SUFFIXES
from .boxes import Box
from .records import LeftOut, Problem


@dataclass(frozen=True)
class Item:
    """An image that a data set lists.

    Args:
        split (str, optional): Where it is listed. None if the data set has
            no splits.
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
        notes (list[str]): What else it brought up, without harm.
    """

    FORMAT: str
    LOOKS_LIKE: str
    processes = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names: list[str] | None = None
        self.problems: list[Problem] = []
        self.notes: list[str] = []

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

    def under_root(self, path: Path) -> str:
        """Give a path relative to the data root, with forward slashes."""
        return path.relative_to(self.root).as_posix()

    def images_in(self, folder: Path) -> dict[str, Path]:
        """List a folder's images by stem, sorted, without its sub-folders."""
        found: dict[str, Path] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in IMAGE_SUFFIXES:
                first = found.setdefault(path.stem, path)
                if first != path:
                    self.problems.append(Problem(
                        'images of the same name',
                        f'{first} and {path} have one annotation file: the '
                        'second is left out.'))
        return found

    def unreadable(self, path: Path, what: str) -> LeftOut:
        """Make the error for an annotation file that says nothing."""
        return LeftOut(Problem('damaged annotation files',
                               f'{path} {what}: its image is left out.'))


def any_in(folder: Path, pattern: str) -> bool:
    """Whether a folder exists and something in it matches."""
    return next(folder.glob(pattern), None) is not None


def find_folder(root: Path, names: Iterable[str], needed: str) -> Path | None:
    """Find the data root or the folder below it that holds another one.

    Args:
        root (Path): Data root.
        names (Iterable[str]): Folders below it to look into; '.' is itself.
        needed (str): What must be there.

    Returns:
        Path | None: The first of them; None if there is none.
    """
    return next((root / name for name in names
                 if (root / name / needed).is_dir()), None)


def read_lines(path: Path) -> list[str]:
    """Read a text file's lines that are not blank.

    Raises:
        DataError: If it is missing or not text.
    """
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'{path} is not a readable text file: mend or remove '
                        'it.') from error
    return [line.strip() for line in lines if line.strip()]
