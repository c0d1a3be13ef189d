"""Names of categories to ids, and which of them were asked for."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ..disk import DataError
from .boxes import Box
from .records import Annotation


class Categories:
    """Names to ids, and what was asked for or not.

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
        self.names = dict(enumerate(dict.fromkeys(known), 1))
        self._own = set(listed or [])  # The data set's names, not renamed.
        self._ids = {name: key for key, name in self.names.items()}
        self._seen: Counter[str] = Counter()

    def annotations(self, boxes: list[Box]) -> Iterator[Annotation]:
        """Give the annotations of an image's boxes."""
        for box in boxes:
            if box.name is None:
                ids = list(self.names)
            else:
                self._own.add(box.name)
                ids = self._id(self.rename.get(box.name, box.name))
            bbox = box.bbox()
            area = box.area
            if area is None:
                area = round(bbox[2] * bbox[3], 3)
            for category_id in ids:
                yield dict(category_id=category_id, bbox=bbox, area=area,
                           iscrowd=int(box.ignore))

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
        """Name what occurs and was not asked for."""
        others = [f'{name} ({count})'
                  for name, count in sorted(self._seen.items())
                  if name not in self._ids]
        return [f'Not asked for: {", ".join(others)}.'] if others else []


def _check(names: Iterable[str], there: Collection[str], mend: str) -> None:
    """Check that each name occurs."""
    lost = [name for name in names if name not in there]
    if lost:
        raise DataError(
            f'No box is of {", ".join(lost)}; the categories that occur are: '
            f'{", ".join(sorted(there)) or "none"}. {mend}')
