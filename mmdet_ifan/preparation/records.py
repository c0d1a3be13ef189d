"""Options, problems and results of preparing a data set."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..utils.errors import DataError
from ..utils.files import check_workers

SHOWN = 10  # Sentences per kind of problem; the rest are only counted.
WIDEST = 12  # Categories that fit next to each other on a terminal.
#: A COCO annotation without ids: 'category_id', 'bbox' (x, y, width, height
#: in px), 'area' in px and 'iscrowd'. A 'category_id' of None stands for
#: every category.
Annotation = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """Options that every command for preparing a data set takes.

    Args:
        out (Path, optional): Folder for the COCO files. Defaults to None,
            which means annotations in the data root.
        workers (int): Threads or processes. Defaults to 2.
        overwrite (bool): Whether to replace files that differ. Defaults to
            False.
        strict (bool): Whether any problem in the data is an error. Images
            that no list names and files that are not looked at do not count
            as problems. Defaults to False.
        check (bool): Whether to write nothing and compare the files with
            those that would be written. Defaults to False.

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


@dataclass
class LabelledImage:
    """An image and its boxes.

    Args:
        file_name (str): Path relative to the data root, with forward slashes.
        height (int): In px.
        width (int): In px.
        annotations (list[Annotation]): Annotations without ids.
    """

    file_name: str
    height: int
    width: int
    annotations: list[Annotation]


@dataclass(frozen=True)
class Problem:
    """Something in the data that was left out or corrected.

    Args:
        kind (str): Plural under which it is counted, such as 'boxes without
            area'.
        sentence (str): Message that names the file and what became of it.
        image (str, optional): Path, relative to the data root, of an image
            that is left out before it is read. Defaults to None.
    """

    kind: str
    sentence: str
    image: str | None = None


class LeftOut(Exception):
    """Raised for an image that cannot be used.

    Args:
        kind (str): See :class:`Problem`.
        sentence (str): See :class:`Problem`.
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(kind, sentence)
        self.problem = Problem(kind, sentence)


def damaged_labels(path: Path, what: str) -> LeftOut:
    """Make the error for an annotation file that `what` is wrong with."""
    return LeftOut('damaged annotation files', f'{path} {what}: its image is left out.')


def missing_labels(path: Path) -> LeftOut:
    """Make the error for an annotation file that does not exist."""
    return LeftOut(
        'images without an annotation file',
        f'{path} is missing: its image is left out.',
    )


@contextmanager
def one_file(where: object) -> Iterator[None]:
    """Turn any exception while reading a file into a problem of that file.

    Args:
        where (object): Name of the file.

    Raises:
        LeftOut: If the block raised any exception.
    """
    try:
        yield
    except LeftOut:
        raise
    # A library may raise anything on unknown content. One file must not end
    # the conversion of all others.
    except Exception as error:
        raise LeftOut(
            'unreadable files',
            f'{where} cannot be read '
            f'({type(error).__name__}: {ascii(str(error)[:200])[1:-1]}): its '
            'image is left out.',
        ) from error


class Problems:
    """Counts of all problems, and the sentences of the first of each kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._sentences: dict[str, list[str]] = {}

    def add(self, problem: Problem) -> None:
        """Count a problem."""
        self.counts[problem.kind] += 1
        sentences = self._sentences.setdefault(problem.kind, [])
        if len(sentences) < SHOWN:
            sentences.append(problem.sentence)

    def error(self, sentence: str) -> DataError:
        """Make an error that they may explain."""
        return DataError('\n'.join([sentence, *self.lines()]))

    def total(self) -> str:
        """Count each kind in one line; empty without problems."""
        return ', '.join(f'{kind}: {count}' for kind, count in self.counts.items())

    def lines(self) -> Iterator[str]:
        """Yield the first sentences of each kind."""
        for kind, sentences in self._sentences.items():
            yield from sentences
            more = self.counts[kind] - len(sentences)
            if more:
                yield f'... and {more} more {kind}.'


@dataclass
class Summary:
    """Counts of one COCO file.

    Args:
        path (Path): The file.
        images (int): Number of images. Defaults to 0.
        empty (int): Number of images without any annotation. Defaults to 0.
        boxes (Counter[str]): Boxes per category, without crowds.
        crowds (int): Annotations with 'iscrowd'. Defaults to 0.
        is_new (bool): False if the file existed with the same content.
            Defaults to True.
    """

    path: Path
    images: int = 0
    empty: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    crowds: int = 0
    is_new: bool = True


@dataclass
class Report:
    """Result of preparing a data set.

    Args:
        summaries (list[Summary]): One for each file.
        problems (Problems): What was left out or corrected.
        notes (list[str]): Further sentences for the user.
        account (list[str]): What became of every file in the data root.
    """

    summaries: list[Summary]
    problems: Problems
    notes: list[str] = field(default_factory=list)
    account: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield problems, notes, the account and a table for a terminal."""
        yield from self.problems.lines()
        if self.problems.counts:
            yield f'Problems in the data - {self.problems.total()}.'
        yield from self.notes
        yield from self.account
        yield from _table(self.summaries)


def _table(summaries: list[Summary]) -> Iterator[str]:
    """Write a row per file, or per category if there are many of them."""
    names = list(summaries[0].boxes)
    head = ['file', 'images', 'empty', *names, 'boxes']
    has_crowds = any(each.crowds for each in summaries)
    rows = [head + ['crowds'] * has_crowds + ['state']]
    for each in summaries:
        numbers = [
            each.images,
            each.empty,
            *each.boxes.values(),
            each.boxes.total(),
        ] + [each.crowds] * has_crowds
        state = 'written' if each.is_new else 'up to date'
        rows.append([each.path.name, *map(str, numbers), state])
    if len(names) > WIDEST:
        rows = [list(row) for row in zip(*rows, strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [
            cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)
        ]
        yield '  '.join([first.ljust(widths[0]), *cells])
