"""Folders in the format of YOLO (Darknet, Ultralytics, Roboflow)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ..disk import DataError
from ..image_files import images_below
from ..json_files import is_text
from .boxes import Box
from .records import Problem
from .sources import Item, Source, any_in, read_lines

YAML_NAMES = ('data.yaml', 'data.yml', 'dataset.yaml')
ALIASES = {'valid': 'val', 'validation': 'val'}


class YoloFolders(Source):
    """images and labels, and the categories in data.yaml or classes.txt.

    Either `images/SPLIT` and `labels/SPLIT`, or `SPLIT/images` and
    `SPLIT/labels`, or just `images` and `labels`, without splits.
    'valid' and 'validation' are written as 'val'. An image without a label
    file is one without objects, as in YOLO.

    Args:
        root (Path): Data root.
    """

    FORMAT = 'yolo'
    LOOKS_LIKE = ('images and labels (with or without folders for the '
                  'splits, or inside them) and data.yaml or classes.txt')

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        found = _folders(root)
        if not found:
            raise DataError(f'{root} has no folders images and labels.')
        self.folders = dict(found)
        for split, folder in found:
            if folder != self.folders[split]:
                raise DataError(
                    f'{folder} and {self.folders[split]} are both the split '
                    f'{split}: join them, and their labels, or rename one.')
        self.names = _read_names(root)

    @classmethod
    def recognise(cls, root: Path) -> str | None:
        """Look for text files in a folder of labels."""
        found = [folder for _, folder in _folders(root)
                 if any_in(_labels(folder), '*.txt')]
        return f'{_labels(found[0])}/*.txt' if found else None

    def items(self) -> Iterator[Item]:
        """List all images, and label files without one."""
        for split, folder in self.folders.items():
            images = self.images_in(folder)
            labels = _labels(folder)
            stems = {path.stem for path in labels.glob('*.txt')
                     if path.name != 'classes.txt'} | set(images)
            for stem in sorted(stems):
                image = images.get(stem, folder / f'{stem}.jpg')
                yield Item(split, self.under_root(image),
                           labels / f'{stem}.txt')
        below = {folder / name for pattern in ('images', '*/images')
                 for folder in self.root.glob(pattern) if folder.is_dir()
                 for name in images_below(folder)}
        read = ', '.join(map(str, self.folders.values()))
        for path in sorted(below):
            if path.parent not in self.folders.values():
                self.problems.append(Problem(
                    'images that no split holds',
                    f'{path} is in none of the folders that have labels '
                    f'({read}): left out.'))

    def boxes(self, item: Item, height: int,
              width: int) -> tuple[list[Box], list[Problem]]:
        """Read a label file."""
        path = item.labels
        if not path.exists():
            return [], []
        try:
            lines = read_lines(path)
        except DataError as error:
            raise self.unreadable(path, 'is not readable text') from error
        boxes, problems = [], []
        for line in lines:
            try:
                boxes.append(self._read_box(line, height, width))
            except IndexError:
                problems.append(Problem(
                    'boxes of an unknown category',
                    f'{path} has category {line.split()[0]}, but there are '
                    f'only {len(self.names or [])}: left out.'))
            except ValueError:
                problems.append(Problem(
                    'unreadable boxes', f'{path} has the line {line[:40]!r} '
                    'instead of category, x, y, width, height: left out.'))
        return boxes, problems

    def _read_box(self, line: str, height: int, width: int) -> Box:
        """Read a line: category, centre and size as parts of the image.

        Raises:
            ValueError: If it is something else.
            IndexError: If the category does not exist.
        """
        number, *numbers = line.split()
        x, y, w, h = map(float, numbers)
        if int(number) < 0:
            raise IndexError(number)
        return Box((self.names or [])[int(number)],
                   (x - w / 2) * width, (y - h / 2) * height,
                   (x + w / 2) * width, (y + h / 2) * height)


def _folders(root: Path) -> list[tuple[str | None, Path]]:
    """Splits and their folders of images."""
    found: list[tuple[str | None, Path]] = []
    for pattern in ('images/*/', '*/images/'):
        for folder in sorted(root.glob(pattern)):
            if _labels(folder).is_dir():
                inside = folder.name == 'images'
                name = (folder.parent if inside else folder).name
                found.append((ALIASES.get(name, name), folder))
    if not found and (root / 'images').is_dir() and (root / 'labels').is_dir():
        found.append((None, root / 'images'))
    return found


def _labels(images: Path) -> Path:
    """Folder of the labels for a folder of images."""
    if images.name == 'images':
        return images.with_name('labels')
    return images.parent.with_name('labels') / images.name


def _read_names(root: Path) -> list[str]:
    """Names of the categories, in the order of their numbers."""
    for name in YAML_NAMES:
        if (root / name).exists():
            return _read_yaml(root / name)
    for path in (root / 'classes.txt', root / 'labels' / 'classes.txt'):
        if path.exists():
            names = read_lines(path)
            if not all(map(is_text, names)):
                raise DataError(f'{path} has names with control characters: '
                                'write one category a line.')
            return names
    raise DataError(f'{root} has neither data.yaml nor classes.txt: write '
                    'the categories into classes.txt, one a line, in the '
                    'order of their numbers.')


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose what is no alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError('aliases')
        return super().compose_node(parent, index)


def _read_yaml(path: Path) -> list[str]:
    """Names in a data.yaml: a list, or a mapping from numbers."""
    try:
        content: Any = yaml.load(
            path.read_text(encoding='utf-8-sig'), _PlainLoader)
        names = content['names']
        if isinstance(names, dict):
            names = [names[number] for number in range(len(names))]
        # Not what YAML takes for a truth value, such as an unquoted no.
        names = [str(name) if type(name) is int else name for name in names]
        if not all(map(is_text, names)):
            raise ValueError(names)
        return names
    # What PyYAML raises on nonsense, besides an error of its own.
    except (OSError, ValueError, LookupError, TypeError, AttributeError,
            ArithmeticError, RecursionError, yaml.YAMLError) as error:
        raise DataError(f'{path} has no readable list of names: write names: '
                        '[cat, dog] into it.') from error
