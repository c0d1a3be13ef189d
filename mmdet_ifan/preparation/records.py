"""What preparing a data set is told, and what it finds in one image."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..utils.files import check_workers

#: A COCO annotation without its ids: 'category_id', 'bbox' (x, y, width,
#: height in px), 'area' in px and 'iscrowd'. A 'category_id' of None stands
#: for every category.
Annotation = dict[str, Any]


@dataclass
class LabelledImage:
    """An image and its boxes.

    Args:
        file_name (str): Path under the data root, with forward slashes.
        height (int): In px.
        width (int): In px.
        annotations (list[Annotation]): Without ids.
    """

    file_name: str
    height: int
    width: int
    annotations: list[Annotation]


@dataclass(frozen=True)
class Problem:
    """Something in the data that was left out or mended.

    Args:
        kind (str): What it is counted under, a plural such as 'boxes
            without area'.
        sentence (str): Names the file and what became of it.
        image (str, optional): Path under the data root of an image that is
            left out for it before it is read. Defaults to None.
    """

    kind: str
    sentence: str
    image: str | None = None


class LeftOut(Exception):
    """An image cannot be used; it is left out.

    Args:
        problem (Problem): Why.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


@contextmanager
def one_file(where: object) -> Iterator[None]:
    """Make whatever reading one file raises the problem of that file.

    Args:
        where (object): Names the file.

    Raises:
        LeftOut: If the block raised any exception.
    """
    try:
        yield
    except LeftOut:
        raise
    # A library may raise anything on what it does not know; it should not
    # end the conversion of all the other files.
    except Exception as error:
        raise LeftOut(Problem(
            'unreadable files', f'{where} cannot be read '
            f'({type(error).__name__}: {ascii(str(error)[:200])[1:-1]}): its '
            'image is left out.')) from error


@dataclass(frozen=True)
class Options:
    """What every command that prepares a data set is told.

    Args:
        out (Path, optional): Folder for the COCO files. Defaults to None,
            which means annotations under the data root.
        workers (int): Threads or processes. Defaults to 2.
        overwrite (bool): Whether to replace files that differ. Defaults to
            False.
        strict (bool): Whether any problem in the data is an error; images
            that no list names and files that are not looked at are none.
            Defaults to False.
        check (bool): Whether to write nothing and compare what would be
            written with what is there. Defaults to False.

    Raises:
        DataError: If `workers` is not positive.
    """

    out: Path | None = None
    workers: int = 2
    overwrite: bool = False
    strict: bool = False
    check: bool = False

    def __post_init__(self) -> None:
        check_workers(self.workers)

    def folder(self, root: Path) -> Path:
        """Give the folder for the COCO files of a data root."""
        return root / 'annotations' if self.out is None else self.out
