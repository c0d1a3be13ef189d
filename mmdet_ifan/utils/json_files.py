"""Read JSON files, above all COCO files of unknown origin."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from .errors import DataError
from .values import is_number, is_text

T = TypeVar('T')


def _is_id(value: Any) -> bool:
    """Tell whether a value can be looked up."""
    return isinstance(value, int | str)


def _is_box(value: Any) -> bool:
    """Tell whether a value is a list of four numbers, of whatever sign."""
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


#: Check of each value of a COCO file.
USABLE: dict[str, Callable[[Any], bool]] = dict(
    id=_is_id,
    image_id=_is_id,
    category_id=_is_id,
    file_name=is_text,
    name=is_text,
    height=is_number,
    width=is_number,
    bbox=_is_box,
    area=is_number,
)
#: How to fix a file that training cannot read.
PREPARE = (
    'Make it again, or prepare it: tools/prepare/custom.py reads the '
    'files of many tools.'
)


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Args:
        path (str | Path): The file.

    Returns:
        Any: Its content.

    Raises:
        DataError: If the file cannot be read or is not JSON.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise DataError(f'{path} cannot be read ({error.strerror}).') from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f'{path} is not valid JSON ({error}): make or copy it again.'
        ) from error


def read_content(path: str | Path) -> dict[str, Any]:
    """Read a COCO file without checking it.

    Args:
        path (str | Path): The file.

    Returns:
        dict[str, Any]: Its content; ``annotation`` and ``filename`` get
        their usual keys. Empty if the file holds no object.

    Raises:
        DataError: If the file cannot be read or is not JSON.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        return {}
    if 'annotation' in content:
        content.setdefault('annotations', content['annotation'])
    images = content.get('images')
    for image in images if isinstance(images, list) else []:
        if isinstance(image, dict) and 'filename' in image:
            image.setdefault('file_name', image['filename'])
    return content


class Unusable(Exception):
    """Raised with the key and value that make an entry unusable."""


def parse_part(
    path: str | Path,
    content: dict[str, Any],
    part: str,
    parse: Callable[[dict[str, Any]], T],
) -> tuple[list[T], list[str]]:
    """Parse the entries of one part of a COCO file.

    Args:
        path (str | Path): The file, for the message.
        content (dict[str, Any]): Its content.
        part (str): Name of the part, such as 'images'.
        parse (Callable): Function of an entry; may raise :class:`Unusable`.

    Returns:
        tuple[list, list[str]]: The results, and a description of each entry
        that is unusable.

    Raises:
        DataError: If the part is not a list.
    """
    entries = content.get(part)
    if not isinstance(entries, list):
        raise DataError(f"{path} is not a COCO file: it has no list '{part}'.")
    parsed, failures = [], []
    for i, entry in enumerate(entries):
        where = f"entry {i} in its '{part}'"
        try:
            if isinstance(entry, dict):
                parsed.append(parse(entry))
            else:
                failures.append(f'{where} is not an object ({entry!r:.40})')
        except Unusable as error:
            key, value = error.args
            failures.append(
                f"the '{key}' of {where} is missing or not usable ({value!r:.40})"
            )
    return parsed, failures


def read_coco(path: str | Path, needed: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Read a COCO file and check the parts that are needed.

    Args:
        path (str | Path): The file.
        needed (Mapping[str, Sequence[str]]): Keys that every entry of a part
            must have, such as ``dict(images=['file_name'])``.

    Returns:
        dict[str, Any]: Its content.

    Raises:
        DataError: If the file cannot be read, is not JSON, lacks a part or
            a key, or has a value of the wrong kind.
    """
    content = read_content(path)
    # A file of test images may have none.
    content.setdefault('annotations', [])
    for part, keys in needed.items():
        _, failures = parse_part(path, content, part, partial(_check, keys))
        if failures:
            raise DataError(f'{path} is not a COCO file: {failures[0]}. {PREPARE}')
    return content


def _check(keys: Sequence[str], entry: dict[str, Any]) -> None:
    """Check the values that an entry must have."""
    for key in keys:
        if not USABLE[key](entry.get(key)):
            raise Unusable(key, entry.get(key))
