"""What a preparation made and what it left out, counted and in words."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .records import Problem

SHOWN = 10  # Sentences per kind of problem; the others are only counted.
WIDEST = 12  # Categories that fit beside one another on a terminal.


@dataclass
class Summary:
    """What one COCO file holds.

    Args:
        path (Path): The file.
        images (int): Number of images. Defaults to 0.
        empty (int): Of them, those without any annotation. Defaults to 0.
        boxes (Counter[str]): Boxes per category, crowds not counted.
        crowds (int): Annotations with 'iscrowd'. Defaults to 0.
        is_new (bool): False if the file was there with the same content.
            Defaults to True.
    """

    path: Path
    images: int = 0
    empty: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    crowds: int = 0
    is_new: bool = True


class Problems:
    """What was left out or mended: all counted, the first in words."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._sentences: dict[str, list[str]] = {}

    def add(self, problem: Problem) -> None:
        """Count a problem."""
        self.counts[problem.kind] += 1
        sentences = self._sentences.setdefault(problem.kind, [])
        if len(sentences) < SHOWN:
            sentences.append(problem.sentence)

    def total(self) -> str:
        """Count each kind, in one line; empty if there was no problem."""
        return ', '.join(f'{kind}: {count}'
                         for kind, count in self.counts.items())

    def lines(self) -> Iterator[str]:
        """Name the first of each kind."""
        for kind, sentences in self._sentences.items():
            yield from sentences
            more = self.counts[kind] - len(sentences)
            if more:
                yield f'... and {more} more {kind}.'


@dataclass
class Report:
    """What a preparation made.

    Args:
        summaries (list[Summary]): One for each file.
        problems (Problems): What was left out or mended.
        notes (list[str]): Whatever else the user should know.
        account (list[str]): What became of every file under the root.
    """

    summaries: list[Summary]
    problems: Problems
    notes: list[str] = field(default_factory=list)
    account: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Say it all, for a terminal.

        Yields:
            str: Problems, notes, the account and a table of counts.
        """
        yield from self.problems.lines()
        if self.problems.counts:
            yield f'Problems in the data - {self.problems.total()}.'
        yield from self.notes
        yield from self.account
        yield from _table(self.summaries)


def _table(summaries: list[Summary]) -> Iterator[str]:
    """One row per file, or one per category if there are many."""
    names = list(summaries[0].boxes)
    head = ['file', 'images', 'empty', *names, 'boxes']
    has_crowds = any(each.crowds for each in summaries)
    rows = [head + ['crowds'] * has_crowds + ['state']]
    for each in summaries:
        numbers = [each.images, each.empty, *each.boxes.values(),
                   each.boxes.total()] + [each.crowds] * has_crowds
        state = 'written' if each.is_new else 'up to date'
        rows.append([each.path.name, *map(str, numbers), state])
    if len(names) > WIDEST:
        rows = [list(row) for row in zip(*rows, strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in
                 zip(others, widths[1:], strict=True)]
        yield '  '.join([first.ljust(widths[0]), *cells])
