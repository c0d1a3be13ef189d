"""Read data.yaml, obj.data and files of names of a YOLO data set."""

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from ..utils.errors import DataError
from ..utils.values import is_text, read_index
from .sources import WHOLE, any_in, is_split, named_files, read_lines, split_name

YAML_NAMES = ('data.yaml', 'data.yml', 'dataset.yaml')
YAML_SUFFIXES = ('.yaml', '.yml')
#: Files of names, one per line, where Darknet and labelling tools put them.
NAME_FILES = (
    'classes.txt',
    'labels/classes.txt',
    '*.names',
    'data/*.names',
    '*/classes.txt',
    '*/labels/classes.txt',
    'labels/*/classes.txt',
    '_darknet.labels',
    '*/_darknet.labels',
)


@dataclass
class Description:
    """Description of a YOLO data set in its own files.

    Args:
        names (list[str]): Categories, in the order of their numbers.
        splits (dict[str, list[str]]): Folders, lists or images of each split
            as written; empty if none are named.
        path (Path, optional): File that names the splits. Defaults to None.
        bases (list[Path]): Folders that paths may be relative to.
        keypoints (int): Numbers that follow each box. Defaults to 0.
        read (list[Path]): All files that were read.
        notes (list[str]): Further sentences for the user.
    """

    names: list[str]
    splits: dict[str, list[str]] = field(default_factory=dict)
    path: Path | None = None
    bases: list[Path] = field(default_factory=list)
    keypoints: int = 0
    read: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def describe(root: Path) -> Description:
    """Read the description of a data set.

    Args:
        root (Path): Data root.

    Returns:
        Description: From data.yaml or another YAML file with names, or else
        from obj.data and a file of names.

    Raises:
        DataError: If there are no readable names, or contradicting ones.
    """
    found = _find_yaml(root)
    if found is not None:
        about = _describe_yaml(*found)
        others = name_files(root)
    else:
        about, others = _describe_darknet(root)
    for path in others:
        try:
            if _read_names(path) != about.names:
                about.notes.append(
                    f'{path} lists other categories than {about.read[0]}, or '
                    'in another order: not used.'
                )
        except DataError:
            continue  # It is not a list of names, and none is needed.
        about.read.append(path)
    return about


def _describe_darknet(root: Path) -> tuple[Description, list[Path]]:
    """Take names and splits from obj.data and a file of names.

    Also gives the other files of names, which may be about something else.
    """
    data = any_in(root, ('.data',)) or any_in(root / 'data', ('.data',))
    entries = {}
    for line in read_lines(data) if data else ():
        key, _, value = map(str.strip, line.partition('='))
        if is_text(value):
            entries[key] = value
    splits = {
        split_name(key): [value] for key, value in entries.items() if is_split(key)
    }
    # It may say data/obj.names for the file next to it.
    own = [
        root / place
        for place in places(entries.get('names', ''), root, [root])
        if os.path.isfile(root / place)
    ]
    paths = list(dict.fromkeys([*own, *name_files(root)]))
    if not paths:
        raise DataError(
            f'{root} has neither data.yaml nor classes.txt: write '
            'the categories into classes.txt, one per line, in '
            'the order of their numbers.'
        )
    names = _read_names(paths[0])
    if paths[0].parent != root and not own:
        # No file takes precedence over the others.
        for path in paths[1:]:
            if _read_names(path) != names:
                raise DataError(
                    f'{paths[0]} and {path} list other categories, or in '
                    f'another order: write the right ones into {root}'
                    '/classes.txt.'
                )
    return Description(
        names, splits, data, [root], read=[paths[0], *([data] if data else [])]
    ), paths[1:]


def name_files(root: Path) -> list[Path]:
    """Find the files of names, one per line."""
    return list(
        dict.fromkeys(
            path
            for pattern in NAME_FILES
            for path in sorted(root.glob(pattern))
            if path.is_file()
        )
    )


def has_description(root: Path) -> bool:
    """Tell whether any file gives the names of the categories."""
    return bool(name_files(root)) or _find_yaml(root, strict=False) is not None


def _find_yaml(root: Path, strict: bool = True) -> tuple[Path, Any] | None:
    """Find the YAML file that lists the names, and read it."""
    for name in YAML_NAMES:
        if (root / name).exists():
            return root / name, _load(root / name) if strict else None
    found = []
    for _, path in named_files(root, YAML_SUFFIXES):
        try:
            content = _load(path)
        except DataError:
            continue  # It is about something else.
        if isinstance(content, dict) and 'names' in content:
            found.append((path, content))
    for path, content in found[1:] if strict else ():
        if content['names'] != found[0][1]['names']:
            raise DataError(
                f'{found[0][0]} and {path} list other categories: '
                'call the right one data.yaml.'
            )
    return found[0] if found else None


class _PlainLoader(yaml.SafeLoader):
    """Loader without aliases, a few lines of which can mean gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node that is not an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError('aliases')
        return super().compose_node(parent, index)


def _load(path: Path) -> Any:
    """Read a YAML file."""
    try:
        return yaml.load(path.read_text(encoding='utf-8-sig'), _PlainLoader)
    except UnicodeDecodeError as error:
        raise DataError(
            f'{path} has no readable list of names, for it is '
            'not UTF-8: save it as UTF-8.'
        ) from error
    # PyYAML raises errors of many kinds on nonsense.
    except Exception as error:
        raise _no_names(path) from error


def _no_names(path: Path) -> DataError:
    """Make the error for a YAML file that does not list the categories."""
    return DataError(
        f'{path} has no readable list of names: write names: [cat, dog] into it.'
    )


def _describe_yaml(path: Path, content: Any) -> Description:
    """Take names, splits and key points from the content of a YAML file."""
    try:
        names = content['names']
        if isinstance(names, dict):
            numbered = {read_index(str(key)): name for key, name in names.items()}
            names = [numbered[number] for number in range(len(names))]
        # Without truth values, such as YAML makes of an unquoted no.
        names = [
            str(name) if type(name) is int else name
            for name in names
            if isinstance(names, list)
        ]
        if not (names and all(map(is_text, names))):
            raise ValueError(names)
    except (ValueError, LookupError, TypeError) as error:
        raise _no_names(path) from error
    splits = {}
    for key, value in content.items():
        if isinstance(key, str) and (is_split(key) or key == WHOLE) and value:
            values = value if isinstance(value, list) else [value]
            if not all(map(is_text, values)):
                raise DataError(
                    f'{path} has no readable path for {key}: '
                    f'write, for example, {key}: images/{key}.'
                )
            splits[split_name(key)] = values
    base = content.get('path')
    bases = [path.parent / base] if is_text(base) else []
    points = content.get('kpt_shape')
    is_shape = (
        isinstance(points, list)
        and len(points) == 2
        and all(type(each) is int for each in points)
    )
    return Description(
        names,
        splits,
        path,
        [*bases, path.parent],
        points[0] * points[1] if is_shape else 0,
        [path],
    )


def _read_names(path: Path) -> list[str]:
    """Read a file of names, one per line."""
    names = read_lines(path)
    if not all(map(is_text, names)):
        raise DataError(
            f'{path} has names with control characters: write one category per line.'
        )
    return names


def places(text: str, root: Path, bases: list[Path]) -> Iterator[str]:
    """Yield what a path, perhaps of another computer, can mean under a root.

    Args:
        text (str): The path as written.
        root (Path): Data root.
        bases (list[Path]): Folders that it may be relative to.

    Yields:
        str: A path relative to the root, with forward slashes: first from
        each base, then its ends, the longest first.
    """
    text = text.strip().replace('\\', '/')
    for base in bases:
        path = posixpath.normpath(posixpath.join(_relative(base, root), text))
        if path.startswith('/'):
            path = _relative(Path(path), root)
        if path.partition('/')[0] != '..':
            yield path
    parts = [part for part in text.split('/') if part not in ('', '.', '..')]
    for start in range(len(parts)):
        yield '/'.join(parts[start:])


@lru_cache
def _relative(path: Path, root: Path) -> str:
    """Give a path relative to the root, with forward slashes."""
    return os.path.relpath(path, root).replace(os.sep, '/')
