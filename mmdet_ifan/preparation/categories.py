"""Names of categories to ids, and which of them were asked for."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ..utils.errors import DataError
from ..utils.ignored import is_region
from ..utils.text import name_some
from .boxes import Box
from .records import Annotation


class Categories:
    """Names to ids, and what was asked for or not.

    A box whose name, renamed, is one of `REGIONS` is ignored for every
    category, unless that name was asked for.

    Args:
        rename (Mapping[str, str]): New names.
        asked (Sequence[str], optional): The only ones to keep.
        listed (Sequence[str], optional): All that the data set may have.

    Attributes:
        names (dict[int, str]): By id, from 1. Grows if nothing was asked for
            or listed.
    """

    def __init__(self, rename: Mapping[str, str],
                 asked: Sequence[str] | None,
                 listed: Sequence[str] | None) -> None:
        self.rename = rename
        self.asked = asked
        known = asked if asked is not None else [
            rename.get(name, name) for name in listed or []]
        self.names = dict(enumerate(dict.fromkeys(
            name for name in known if not self._is_region(name)), 1))
        self._own = set(listed or [])  # The data set's names, not renamed.
        self._ids = {name: key for key, name in self.names.items()}
        self._seen: Counter[str] = Counter()
        self._regions: Counter[str] = Counter()

    def _is_region(self, name: str) -> bool:
        """Whether boxes of a name are ignored for every category."""
        return is_region(name) and name not in (self.asked or ())

    def annotations(self, boxes: list[Box]) -> Iterator[Annotation]:
        """Give the annotations of an image's boxes."""
        for box in boxes:
            ids, ignore = self._ids_of(box)
            bbox = box.bbox()
            area = box.area
            if area is None:
                area = round(bbox[2] * bbox[3], 3)
            for category_id in ids:
                yield dict(category_id=category_id, bbox=bbox, area=area,
                           iscrowd=int(ignore))

    def _ids_of(self, box: Box) -> tuple[Sequence[int | None], bool]:
        """Ids of the categories that a box is for, and whether it is ignored.

        None is every category, as long as more of them may occur.
        """
        if box.name is not None:
            self._own.add(box.name)
            name = self.rename.get(box.name, box.name)
            if not self._is_region(name):
                return self._id(name), box.ignore
            self._regions[name] += 1
        return [None] if self.asked is None else list(self.names), True

    def _id(self, name: str) -> list[int]:
        """Id of a category; none if it was not asked for."""
        self._seen[name] += 1
        if name not in self._ids and self.asked is None:
            self._ids[name] = len(self._ids) + 1
            self.names[self._ids[name]] = name
        return [self._ids[name]] if name in self._ids else []

    def check(self) -> None:
        """Check that what was asked for is there.

        Raises:
            DataError: If a category never occurs.
        """
        _check(self.rename, self._own, 'Correct --rename.')
        _check(self.asked or [], self._seen, 'Correct --classes, or name one '
               'with --rename OLD=NEW.')

    def notes(self) -> list[str]:
        """Name what the user may not expect of the categories."""
        others = {name: count for name, count in sorted(self._seen.items())
                  if name not in self._ids}
        unused = [name for name in self._ids if not self._seen[name]]
        notes = []
        if others:
            notes.append(f'Not asked for: {_counts(others)}.')
        if self._regions:
            notes.append(
                'Ignored for every category, as the name says: '
                f'{_counts(self._regions)}. Name it with --classes to learn '
                'it.')
        if unused:
            notes.append(f'No box is of {name_some(unused, 20)}: kept among '
                         'the categories.')
        return notes + list(_alike({*self._ids, *others}))


def _counts(names: Mapping[str, int]) -> str:
    """Write names and how often each occurs."""
    return ', '.join(f'{name} ({count})' for name, count in names.items())


def _alike(names: Iterable[str]) -> Iterator[str]:
    """Say which names may stand for one category."""
    groups = defaultdict(list)
    for name in sorted(names):
        groups[re.sub(r'[\s_-]', '', name.casefold())].append(name)
    for group in groups.values():
        if len(group) > 1:
            first, *others = map(repr, group)
            yield (f'{", ".join(others)} may be the same as {first}: if so, '
                   'give them one name with --rename OLD=NEW.')


def _check(names: Iterable[str], there: Collection[str], mend: str) -> None:
    """Check that each name occurs."""
    lost = [name for name in names if name not in there]
    if lost:
        raise DataError(
            f'No box is of {", ".join(lost)}; the categories that occur are: '
            f'{", ".join(sorted(there)) or "none"}. {mend}')
