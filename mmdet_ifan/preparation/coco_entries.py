"""Read the entries of a COCO file, whichever tool wrote it."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..utils.errors import DataError, repeated
from ..utils.json_files import Unusable, parse_part, read_content
from ..utils.values import is_ignored, is_text, read_id, read_number
from .boxes import Box
from .records import Problem

#: Error of rounding an edge that is a fraction of the image.
ROUNDING = 1e-3
T = TypeVar('T')


class CocoImage(NamedTuple):
    """An image in a COCO file.

    Attributes:
        number (str): Its id.
        name (str): Its file name as written.
        size (tuple): Its height and width as written.
    """

    number: str
    name: str
    size: tuple[Any, Any]


@dataclass
class CocoEntries:
    """Entries of a COCO file.

    Args:
        path (Path): The file.

    Attributes:
        images (list[CocoImage]): Images with unique ids.
        categories (dict[str, str]): Names by id.
        groups (set[str]): Names of categories that others belong to.
        used (Counter[str]): Number of annotations by category id.
        boxes (dict[str, list[Box]]): Boxes by image id.
        as_parts (bool): Whether edges are fractions of the image's width and
            height instead of px.
        problems (list[Problem]): Entries that cannot be used.
        notes (list[str]): Further sentences for the user.
    """

    path: Path
    images: list[CocoImage] = field(default_factory=list)
    categories: dict[str, str] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    used: Counter[str] = field(default_factory=Counter)
    boxes: dict[str, list[Box]] = field(default_factory=lambda: defaultdict(list))
    as_parts: bool = False
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, kind: str, sentence: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(kind, sentence))


def read_entries(path: Path) -> CocoEntries:
    """Read a COCO file without the entries that cannot be used.

    Args:
        path (Path): The file.

    Returns:
        CocoEntries: Its entries.

    Raises:
        DataError: If the file is not a COCO file, if a part has no usable
            entry, or if categories cannot be told apart.
    """
    content = read_content(path)
    entries = CocoEntries(path)
    listed = _read_images(entries, content)
    _read_categories(entries, content)
    _read_annotations(entries, content, listed)
    return entries


def _parse(
    entries: CocoEntries,
    content: dict[str, Any],
    part: str,
    parse: Callable[[dict[str, Any]], T],
) -> list[T]:
    """Parse the entries of a part, some of which must be usable."""
    path = entries.path
    parsed, failures = parse_part(path, content, part, parse)
    if failures and not parsed:
        raise DataError(
            f'{path} is not a COCO file: {failures[0]}. Make or copy it again.'
        )
    for failure in failures:
        entries.problem('unusable entries', f'{path}: {failure}: left out.')
    return parsed


def _needed(entry: dict[str, Any], key: str, read: Callable[[Any], T | None]) -> T:
    """Read a value that an entry must have."""
    value = read(entry.get(key))
    if value is None:
        raise Unusable(key, entry.get(key))
    return value


def _read_file_name(value: Any) -> str | None:
    """Read a file name; None if it is not text."""
    return value if is_text(value) else None


def _read_name(value: Any) -> str | None:
    """Read a name, which may also be a whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return _read_file_name(value)


def _read_images(entries: CocoEntries, content: dict[str, Any]) -> set[str]:
    """Read the images with unique ids; give all ids."""
    found = _parse(
        entries,
        content,
        'images',
        lambda each: CocoImage(
            _needed(each, 'id', read_id),
            _needed(each, 'file_name', _read_file_name),
            (each.get('height'), each.get('width')),
        ),
    )
    files: dict[str, set[str]] = defaultdict(set)
    for image in found:
        files[image.number].add(image.name)
    for number, names in files.items():
        if len(names) > 1:
            entries.problem(
                'image ids that clash',
                f'{entries.path} gives id {number} to '
                f'{" and to ".join(sorted(names))}: all are left out, since '
                'their boxes cannot be told apart.',
            )
    entries.images = [each for each in found if len(files[each.number]) == 1]
    return set(files)


def _read_categories(entries: CocoEntries, content: dict[str, Any]) -> None:
    """Read the names of the categories, and which of them are groups."""
    found = _parse(
        entries,
        content,
        'categories',
        lambda each: (
            _needed(each, 'id', read_id),
            _needed(each, 'name', _read_name),
            each.get('supercategory'),
        ),
    )
    for number, name, _ in found:
        if entries.categories.setdefault(number, name) != name:
            raise DataError(
                f'{entries.path} has two categories with the id '
                f'{number}: give each its own.'
            )
    names = set(entries.categories.values())
    entries.groups = {
        group
        for _, name, group in found
        if isinstance(group, str) and group in names - {name}
    }


def _read_annotations(
    entries: CocoEntries, content: dict[str, Any], images: set[str]
) -> None:
    """Read the boxes; refuse two categories with the same name."""
    if 'annotations' not in content:
        entries.notes.append(
            f"{entries.path} has no list 'annotations': none of its images has a box."
        )
        return
    seen = set()
    for each in _parse(entries, content, 'annotations', lambda each: each):
        number, image, category = (
            read_id(each.get(key)) for key in ('id', 'image_id', 'category_id')
        )
        what = f'{entries.path} has annotation {number}'
        if number is not None and number in seen:
            entries.problem(
                'annotation ids that clash', f'{what} twice: both are kept, renumbered.'
            )
        seen.add(number)
        name = entries.categories.get(category or '')
        if category is None or name is None:
            entries.problem(
                'boxes of an unknown category',
                f'{what} of category {category}, which it does not list: left out.',
            )
            continue
        entries.used[category] += 1
        if image is None or image not in images:
            entries.problem(
                'boxes of an unknown image',
                f'{what} of image {image}, which it does not list: left out.',
            )
            continue
        try:
            entries.boxes[image].append(_read_box(each, name))
        except ValueError as error:
            entries.problem('unreadable boxes', f'{what} {error}: left out.')
    twice = repeated(entries.categories[key] for key in entries.used)
    if twice:
        raise DataError(
            f'{entries.path} has two categories with the name '
            f'{twice[0]}: give each its own.'
        )
    entries.as_parts = _are_parts(entries.boxes)
    if entries.as_parts:
        entries.notes.append(
            f'{entries.path} gives boxes as fractions of the image, from 0 '
            'to 1: they are converted to px.'
        )


def _read_box(entry: dict[str, Any], name: str) -> Box:
    """Read an annotation's box; a ValueError says what is wrong with it."""
    ignore = is_ignored(entry)
    bbox, area = entry.get('bbox'), _numbers([entry.get('area')])
    numbers = _numbers(bbox) if isinstance(bbox, list) else []
    edges = numbers if len(numbers) == 4 else []
    # Some tools write only one of the two.
    if bbox in (None, [], '') or edges and not any(edges):
        edges = _rectangle(entry.get('segmentation')) or edges
    elif edges:
        edges = _turned(entry, *edges)
    if not edges:
        raise ValueError('without a readable bbox')
    x1, y1, x2, y2 = edges
    # MMDetection drops boxes whose area says 0.
    return Box(name, x1, y1, x2, y2, ignore, area[0] if area and area[0] > 0 else None)


def _numbers(values: list[Any]) -> list[float]:
    """Read numbers; gives none if any cannot be read."""
    try:
        return [read_number(value) for value in values]
    except ValueError:
        return []


def _rectangle(segmentation: Any) -> list[float]:
    """Give the edges around polygons, however deeply they are nested."""
    values, waiting = [], [segmentation]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += reversed(node)
        else:
            values.append(node)
    numbers = _numbers(values)
    if len(numbers) < 6 or len(numbers) % 2:
        return []
    xs, ys = numbers[::2], numbers[1::2]
    return [min(xs), min(ys), max(xs), max(ys)]


def _turned(
    entry: dict[str, Any], x: float, y: float, width: float, height: float
) -> list[float]:
    """Give the edges of a box, which CVAT may have turned about its centre."""
    attributes = entry.get('attributes')
    turn = (
        _numbers([attributes.get('rotation')]) if isinstance(attributes, dict) else []
    )
    if not any(turn):
        return [x, y, x + width, y + height]
    angle = math.radians(turn[0])
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    half_x = (width * cos + height * sin) / 2
    half_y = (width * sin + height * cos) / 2
    x, y = x + width / 2, y + height / 2
    return [x - half_x, y - half_y, x + half_x, y + half_y]


def _are_parts(boxes: dict[str, list[Box]]) -> bool:
    """Tell whether edges are fractions; in px every box would be a dot."""
    edges = [box.edges() for image in boxes.values() for box in image]
    return any(x2 > x1 and y2 > y1 for x1, y1, x2, y2 in edges) and all(
        -ROUNDING <= edge <= 1 + ROUNDING for each in edges for edge in each
    )
