"""Reading JSON, above all COCO files, that others made."""
import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import values
from .errors import DataError


def is_text(value: Any) -> bool:
    """Tell whether a value can be a name that is stored and printed.

    Args:
        value (Any): What a file has for a name.

    Returns:
        bool: False if it is no text, empty, or has control characters, which
        no file name can be (NUL), no file can be written with (surrogates)
        or would command the terminal that they are printed on.
    """
    return isinstance(value, str) and bool(value) and not any(
        unicodedata.category(char) in ('Cc', 'Cs') for char in value)


def is_id(value: Any) -> bool:
    """Tell whether a value can be an id: a whole number or text.

    Args:
        value (Any): What a file has for an id.

    Returns:
        bool: Whether it can be looked up.
    """
    return isinstance(value, int | str)


def is_number(value: Any) -> bool:
    """Tell whether a value can be computed with.

    Args:
        value (Any): What a file has for a number.

    Returns:
        bool: Whether it is finite and not absurdly large.
    """
    # Its square is still a number in single precision.
    return (isinstance(value, int | float) and not isinstance(value, bool)
            and abs(value) < 1e18)


def is_box(value: Any) -> bool:
    """Tell whether a value is x, y, width and height.

    Args:
        value (Any): What a file has for a box.

    Returns:
        bool: Whether it is a list of four numbers, of whatever sign.
    """
    return (isinstance(value, list) and len(value) == 4
            and all(map(is_number, value)))


def read_id(value: Any) -> str | None:
    """Read an id as text, so that 7, 7.0, '7' and '7.0' are one.

    Args:
        value (Any): What a file has for an id.

    Returns:
        str | None: None if it is none.
    """
    if type(value) is int:
        return str(value)
    if isinstance(value, bool) or not isinstance(value, float | str):
        return None
    text = re.sub(r'^(-?\d+)\.0+$', r'\1', str(value).strip())
    is_whole = isinstance(value, str) or value.is_integer()
    return text if is_text(text) and is_whole else None


def read_number(value: Any) -> float | None:
    """Read a number, which may be written as text.

    A decimal comma is not guessed at: it separates thousands, too.

    Args:
        value (Any): What a file has for a number.

    Returns:
        float | None: None if it is none, not finite or absurdly large.
    """
    if isinstance(value, str):
        try:
            value = values.read_number(value)
        except ValueError:
            return None
    return value if is_number(value) else None


def read_flag(value: Any) -> bool | None:
    """Read yes or no, in any of the notations of common tools.

    Args:
        value (Any): What a file has; None if it has nothing.

    Returns:
        bool | None: None if it is neither. Nothing means no.
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    try:
        return values.read_flag(str(value))
    except ValueError:
        return None


#: What the values of a COCO file must be.
USABLE: dict[str, Callable[[Any], bool]] = dict(
    id=is_id,
    file_name=is_text,
    name=is_text,
    image_id=is_id,
    category_id=is_id,
    height=is_number,
    width=is_number,
    bbox=is_box,
    area=is_number)
#: What to do with a file that training cannot read.
PREPARE = ('Make it again, or prepare it: tools/prepare/custom.py reads the '
           'files of many tools.')


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Args:
        path (str | Path): The file.

    Returns:
        Any: What it holds.

    Raises:
        DataError: If it cannot be read or is no JSON.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise DataError(
            f'{path} cannot be read ({error.strerror}).') from error
    except (ValueError, RecursionError) as error:
        raise DataError(f'{path} is no whole JSON file ({error}): make or '
                        'copy it again.') from error


def read_content(path: str | Path) -> dict[str, Any]:
    """Read a COCO file, unchecked.

    Args:
        path (str | Path): The file.

    Returns:
        dict[str, Any]: What it holds, under the usual keys where it has
        'annotation' or 'filename'. Empty if it is no object.

    Raises:
        DataError: If it cannot be read or is no JSON.
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


def read_coco(path: str | Path,
              needed: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Read a COCO file and check that its parts can be used.

    Args:
        path (str | Path): The file.
        needed (Mapping[str, Sequence[str]]): Keys that every entry of a part
            must have, such as ``dict(images=['file_name'])``.

    Returns:
        dict[str, Any]: What it holds.

    Raises:
        DataError: If it cannot be read, is no JSON, lacks a part or a key,
            or a value is not of the kind that it should be.
    """
    content = read_content(path)
    # A file of test images may have none.
    content.setdefault('annotations', [])
    for part, keys in needed.items():
        entries = content.get(part)
        if not isinstance(entries, list):
            raise DataError(f"{path} is no COCO file: it lacks a list "
                            f"'{part}'.")
        for i, entry in enumerate(entries):
            if not isinstance(entry, dict):
                raise DataError(f"{path} is no COCO file: entry {i} in its "
                                f"'{part}' is no object ({entry!r:.40}).")
            for key in keys:
                value = entry.get(key)
                if not USABLE[key](value):
                    raise DataError(
                        f"{path} is no COCO file: the '{key}' of entry {i} "
                        f"in its '{part}' is missing or not usable "
                        f'({value!r:.40}). {PREPARE}')
    return content
