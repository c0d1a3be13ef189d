"""Where a COCO file differs from what it should be, in a sentence."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ..utils.json_files import read_json


def describe_difference(path: Path, expected: Path) -> str:
    """Say what is wrong with a COCO file.

    Args:
        path (Path): The file.
        expected (Path): What it should be.

    Returns:
        str: A part of a sentence about the first difference found.
    """
    want = read_json(expected)
    try:
        return _compare(read_json(path), want)
    except (KeyError, TypeError, ValueError, AttributeError):
        return 'it is not a whole COCO file'


def _compare(got: dict[str, Any], want: dict[str, Any]) -> str:
    """Compare images, categories and boxes, in this order."""
    got_boxes, want_boxes = (_boxes(each) for each in (got, want))
    lost = [name for name in want_boxes if name not in got_boxes]
    if lost:
        return f'it lacks {_some(lost)}'
    extra = [name for name in got_boxes if name not in want_boxes]
    if extra:
        return f'it should not list {_some(extra)}'
    got_names, want_names = ([each['name'] for each in content['categories']]
                             for content in (got, want))
    if got_names != want_names:
        return (f'its categories are {", ".join(got_names)} instead of '
                f'{", ".join(want_names)}')
    changed = [name for name, boxes in want_boxes.items()
               if got_boxes[name] != boxes]
    if changed:
        return f'the size or the boxes changed of {_some(changed)}'
    return 'order, ids or description are not the same'


def _some(names: list[str]) -> str:
    """Name the first and count the others."""
    others = f' and {len(names) - 1} more' * (len(names) > 1)
    return f'{names[0]}{others}'


def _boxes(content: dict[str, Any]) -> dict[str, Counter[str]]:
    """Size and boxes of each image, whatever the ids and the order."""
    found: dict[Any, Counter[str]] = {
        image['id']: Counter([f'{image["height"]} x {image["width"]}'])
        for image in content['images']}
    names = {each['id']: each['name'] for each in content['categories']}
    for each in content['annotations']:
        found[each['image_id']][json.dumps(
            [names[each['category_id']], each['bbox'], each['area'],
             each['iscrowd']])] += 1
    return {image['file_name']: found[image['id']]
            for image in content['images']}
