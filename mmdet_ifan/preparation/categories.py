"""Map category names to ids and keep the requested ones."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ..utils.errors import DataError, name_some
from ..utils.values import is_region
from .boxes import Box
from .records import Annotation


class Categories:
    """Map category names to ids.

    A box whose name, after renaming, is one of `REGIONS` is ignored for
    every category, unless that name was requested.

    Args:
        rename (Mapping[str, str]): New names by old ones.
        asked (Sequence[str], optional): The only categories to keep.
        listed (Sequence[str], optional): All categories that the data set
            may have.

    Attributes:
        names (dict[int, str]): Names by id, from 1. Grows if nothing was
            requested or listed.
    """

    def __init__(
        self,
        rename: Mapping[str, str],
        asked: Sequence[str] | None,
        listed: Sequence[str] | None,
    ) -> None:
        self.rename = rename
        self.asked = asked
        known = (
            asked
            if asked is not None
            else [rename.get(name, name) for name in listed or []]
        )
        self.names = dict(
            enumerate(
                dict.fromkeys(name for name in known if not self._is_region(name)), 1
            )
        )
        self._own = set(listed or [])  # The data set's names, not renamed.
        self._ids = {name: key for key, name in self.names.items()}
        self._seen: Counter[str] = Counter()
        self._regions: Counter[str] = Counter()

    def _is_region(self, name: str) -> bool:
        """Tell whether boxes of a name are ignored for every category."""
        return is_region(name) and name not in (self.asked or ())

    def annotations(self, boxes: list[Box]) -> Iterator[Annotation]:
        """Yield the annotations of an image's boxes."""
        for box in boxes:
            ids, ignore = self._ids_of(box)
            bbox = box.bbox()
            area = round(bbox[2] * bbox[3], 3) if box.area is None else box.area
            for category_id in ids:
                yield dict(
                    category_id=category_id, bbox=bbox, area=area, iscrowd=int(ignore)
                )

    def _ids_of(self, box: Box) -> tuple[Sequence[int | None], bool]:
        """Give a box's category ids, and whether it is ignored.

        None stands for every category, as long as more of them may occur.
        """
        if box.name is not None:
            self._own.add(box.name)
            name = self.rename.get(box.name, box.name)
            if not self._is_region(name):
                self._seen[name] += 1
                if name not in self._ids and self.asked is None:
                    self._ids[name] = len(self._ids) + 1
                    self.names[self._ids[name]] = name
                ids = [self._ids[name]] if name in self._ids else []
                return ids, box.ignore
            self._regions[name] += 1
        return [None] if self.asked is None else list(self.names), True

    def check(self) -> None:
        """Check that everything requested occurs.

        Raises:
            DataError: If a category never occurs.
        """
        _check(self.rename, self._own, 'Correct --rename.')
        _check(
            self.asked or [],
            self._seen,
            'Correct --classes, or name one with --rename OLD=NEW.',
        )

    def notes(self) -> list[str]:
        """Say what the user may not expect of the categories."""
        others = {
            name: count
            for name, count in sorted(self._seen.items())
            if name not in self._ids
        }
        unused = [name for name in self._ids if not self._seen[name]]
        notes = []
        if others:
            notes.append(f'Not asked for: {_counts(others)}.')
        if self._regions:
            notes.append(
                'Ignored for every category, as the name says: '
                f'{_counts(self._regions)}. Name it with --classes to learn '
                'it.'
            )
        if unused:
            notes.append(
                f'No box is of {name_some(unused, 20)}: kept among the categories.'
            )
        return notes + list(_alike({*self._ids, *others}))


def _counts(names: Mapping[str, int]) -> str:
    """Write names and how often each occurs."""
    return ', '.join(f'{name} ({count})' for name, count in names.items())


def _alike(names: Iterable[str]) -> Iterator[str]:
    """Name the categories that may be the same."""
    groups = defaultdict(list)
    for name in sorted(names):
        groups[re.sub(r'[\s_-]', '', name.casefold())].append(repr(name))
    for first, *others in groups.values():
        if others:
            yield (
                f'{", ".join(others)} may be the same as {first}: if so, '
                'give them one name with --rename OLD=NEW.'
            )


def _check(names: Iterable[str], there: Collection[str], fix: str) -> None:
    """Check that each name occurs."""
    lost = [name for name in names if name not in there]
    if lost:
        raise DataError(
            f'No box is of {", ".join(lost)}; the categories that occur are: '
            f'{", ".join(sorted(there)) or "none"}. {fix}'
        )
