"""The entries of a COCO file, as any tool writes them."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..utils.errors import DataError
from ..utils.ignored import FLAGS
from ..utils.json_files import (
    is_text,
    read_content,
    read_flag,
    read_id,
    read_number,
)
from ..utils.text import repeated
from .boxes import Box
from .records import Problem

#: What rounding adds to an edge that is a part of the image.
ROUNDING = 1e-3
T = TypeVar('T')


class CocoImage(NamedTuple):
    """An image as a file lists it.

    Attributes:
        number (str): Its id.
        name (str): Its file, as it is written.
        size (tuple): What the file has for height and width.
    """

    number: str
    name: str
    size: tuple[Any, Any]


class CocoCategory(NamedTuple):
    """A category as a file lists it.

    Attributes:
        number (str): Its id.
        name (str): Its name.
        group (object): What the file has for the group that it belongs to.
    """

    number: str
    name: str
    group: object


@dataclass
class CocoEntries:
    """What a COCO file says.

    Args:
        path (Path): The file.

    Attributes:
        images (list[CocoImage]): Its images, of which no two have one id.
        categories (dict[str, str]): Names by id.
        groups (set[str]): Names of categories that others belong to.
        used (Counter[str]): Annotations of each category, by its id.
        boxes (dict[str, list[Box]]): Boxes of each image, by its id.
        as_parts (bool): Whether the edges of the boxes are parts of the
            image's width and height instead of px.
        problems (list[Problem]): What cannot be used.
        notes (list[str]): What else the user should know.
    """

    path: Path
    images: list[CocoImage] = field(default_factory=list)
    categories: dict[str, str] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    used: Counter[str] = field(default_factory=Counter)
    boxes: dict[str, list[Box]] = field(
        default_factory=lambda: defaultdict(list))
    as_parts: bool = False
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_entries(path: Path) -> CocoEntries:
    """Read a COCO file; an entry that cannot be used is left out.

    Args:
        path (Path): The file.

    Returns:
        CocoEntries: What it says.

    Raises:
        DataError: If it is no COCO file, no entry of a part of it can be
            used, or categories cannot be told apart.
    """
    content = read_content(path)
    entries = CocoEntries(path)
    listed = _read_images(entries, content)
    _read_categories(entries, content)
    _read_annotations(entries, content, listed)
    return entries


def _parse(entries: CocoEntries, content: dict[str, Any], part: str,
           parse: Callable[[dict[str, Any]], T]) -> list[T]:
    """Parse each entry of a part, which must be a list.

    Raises:
        DataError: If it is none, or no entry of it can be used.
    """
    path, found = entries.path, content.get(part)
    if not isinstance(found, list):
        raise DataError(f"{path} is no COCO file: it lacks a list '{part}'.")
    parsed, failures = [], []
    for i, entry in enumerate(found):
        where = f"entry {i} in its '{part}'"
        try:
            if isinstance(entry, dict):
                parsed.append(parse(entry))
            else:
                failures.append(f'{where} is no object ({entry!r:.40})')
        except _Unusable as error:
            key, value = error.args
            failures.append(f"the '{key}' of {where} is missing or not usable "
                            f'({value!r:.40})')
    if failures and not parsed:
        raise DataError(f'{path} is no COCO file: {failures[0]}. Make or copy '
                        'it again.')
    entries.problems += [
        Problem('unusable entries', f'{path}: {failure}: left out.')
        for failure in failures]
    return parsed


def _needed(entry: dict[str, Any], key: str,
            read: Callable[[Any], T | None]) -> T:
    """Read a value that an entry must have.

    Raises:
        _Unusable: If it has none, or not a usable one.
    """
    value = read(entry.get(key))
    if value is None:
        raise _Unusable(key, entry.get(key))
    return value


class _Unusable(Exception):
    """An entry lacks something; the key and what is there are its args."""


def _read_name(value: Any) -> str | None:
    """Read a name; one that is a whole number need not be text."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if is_text(value) else None


def _read_images(entries: CocoEntries,
                 content: dict[str, Any]) -> set[str]:
    """Read the images; leave out those of an id that another one has.

    Returns:
        set[str]: All ids, of those that are left out too.
    """
    found = _parse(entries, content, 'images', lambda each: CocoImage(
        _needed(each, 'id', read_id),
        _needed(each, 'file_name', lambda name: name if is_text(name) else None
                ), (each.get('height'), each.get('width'))))
    files: dict[str, set[str]] = defaultdict(set)
    for image in found:
        files[image.number].add(image.name)
    for number, names in files.items():
        if len(names) > 1:
            entries.problems.append(Problem(
                'image ids that clash',
                f'{entries.path} gives id {number} to '
                f'{" and to ".join(sorted(names))}: all are left out, for '
                'their boxes cannot be told apart.'))
    entries.images = [each for each in found if len(files[each.number]) == 1]
    return set(files)


def _read_categories(entries: CocoEntries, content: dict[str, Any]) -> None:
    """Read the names of the categories, and which of them are groups.

    Raises:
        DataError: If one id stands for two of them.
    """
    found = _parse(entries, content, 'categories', lambda each: CocoCategory(
        _needed(each, 'id', read_id),
        _needed(each, 'name', _read_name), each.get('supercategory')))
    for each in found:
        if entries.categories.setdefault(each.number, each.name) != each.name:
            raise DataError(f'{entries.path} has two categories of the id '
                            f'{each.number}: give each its own.')
    names = set(entries.categories.values())
    entries.groups = {
        each.group for each in found
        if isinstance(each.group, str) and each.group in names - {each.name}}


def _read_annotations(entries: CocoEntries, content: dict[str, Any],
                      images: set[str]) -> None:
    """Read the boxes.

    Raises:
        DataError: If two categories with boxes have one name.
    """
    if 'annotations' not in content:
        entries.notes.append(
            f"{entries.path} has no list 'annotations': none of its images "
            'has a box.')
        return
    seen = set()
    for each in _parse(entries, content, 'annotations', lambda each: each):
        number, image, category = (
            read_id(each.get(key)) for key in ('id', 'image_id',
                                               'category_id'))
        what = f'{entries.path} has annotation {number}'
        if number is not None and number in seen:
            entries.problems.append(Problem(
                'annotation ids that clash',
                f'{what} twice: both are kept, renumbered.'))
        seen.add(number)
        name = entries.categories.get(category or '')
        if category is None or name is None:
            entries.problems.append(Problem(
                'boxes of an unknown category',
                f'{what} of category {category}, which it does not list: '
                'left out.'))
            continue
        entries.used[category] += 1
        if image is None or image not in images:
            entries.problems.append(Problem(
                'boxes of an unknown image',
                f'{what} of image {image}, which it does not list: left '
                'out.'))
            continue
        try:
            entries.boxes[image].append(_read_box(each, name))
        except ValueError as error:
            entries.problems.append(Problem(
                'unreadable boxes', f'{what} {error}: left out.'))
    twice = repeated(entries.categories[key] for key in entries.used)
    if twice:
        raise DataError(f'{entries.path} has two categories of the name '
                        f'{twice[0]}: give each its own.')
    entries.as_parts = _are_parts(entries.boxes)
    if entries.as_parts:
        entries.notes.append(
            f'{entries.path} gives boxes as parts of the image, from 0 to 1: '
            'they are turned into px.')


def _read_box(entry: dict[str, Any], name: str) -> Box:
    """Read an annotation's box.

    Raises:
        ValueError: If it has none, or it does not say whether it counts.
    """
    flags = {key: read_flag(entry.get(key)) for key in FLAGS}
    for key, flag in flags.items():
        if flag is None:
            raise ValueError(f"whose '{key}' is neither yes nor no "
                             f'({entry[key]!r:.40})')
    bbox, area = entry.get('bbox'), read_number(entry.get('area'))
    numbers = _numbers(bbox) if isinstance(bbox, list) else []
    edges = numbers if len(numbers) == 4 else []
    # Some tools fill in one of the two.
    if bbox in (None, [], '') or edges and not any(edges):
        edges = _rectangle(entry.get('segmentation')) or edges
    elif edges:
        edges = _turned(entry, *edges)
    if not edges:
        raise ValueError('without a readable bbox')
    x1, y1, x2, y2 = edges
    # MMDetection drops boxes whose area says 0.
    return Box(name, x1, y1, x2, y2, any(flags.values()),
               area if area is not None and area > 0 else None)


def _numbers(values: list[Any]) -> list[float]:
    """Read numbers; gives none of them if one cannot be read."""
    numbers = [number for number in map(read_number, values)
               if number is not None]
    return numbers if len(numbers) == len(values) else []


def _rectangle(segmentation: Any) -> list[float]:
    """Enclose polygons, however deep their points are nested."""
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


def _turned(entry: dict[str, Any], x: float, y: float, width: float,
            height: float) -> list[float]:
    """Give the edges of a box, which CVAT may have turned about its centre."""
    attributes = entry.get('attributes')
    angle = math.radians(
        (read_number(attributes.get('rotation')) or 0)
        if isinstance(attributes, dict) else 0)
    if not angle:
        return [x, y, x + width, y + height]
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    half_x = (width * cos + height * sin) / 2
    half_y = (width * sin + height * cos) / 2
    x, y = x + width / 2, y + height / 2
    return [x - half_x, y - half_y, x + half_x, y + half_y]


def _are_parts(boxes: dict[str, list[Box]]) -> bool:
    """Tell whether edges are parts of the image: in px all were a dot."""
    edges = [box.edges() for image in boxes.values() for box in image]
    return any(x2 > x1 and y2 > y1 for x1, y1, x2, y2 in edges) and all(
        -ROUNDING <= edge <= 1 + ROUNDING for each in edges for edge in each)
