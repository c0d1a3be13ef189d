"""Reader of folders in the format of YOLO (Darknet, Ultralytics, Roboflow)."""

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

from ..utils.errors import DataError
from ..utils.image_files import IMAGE_SUFFIXES, images_below
from ..utils.values import read_index, read_number
from .boxes import Box
from .kitti import has_kitti_lines
from .records import Problem
from .sources import (
    LISTS,
    Item,
    Source,
    any_in,
    is_split,
    named_files,
    read_label_lines,
    read_lines,
    split_name,
)
from .yolo_files import describe, has_description, places

#: Folders of images and labels together whose names are not splits.
WHOLE_FOLDERS = ('images', 'data', 'obj')
SAMPLE = 20  # Images that show whether there are labels.
#: Fraction of the image by which an outline may reach out of it.
SLACK = 0.01


class YoloFolders(Source):
    """images and labels, and the categories in data.yaml or classes.txt.

    The splits are the folders or lists of images that data.yaml or obj.data
    names. Otherwise they are lists such as train.txt, or folders:
    `images/SPLIT` and `labels/SPLIT`, `SPLIT/images` and `SPLIT/labels`, or
    `SPLIT` with images and labels together. `images` and `labels` alone have
    no splits. 'valid' and 'validation' become 'val'. As in YOLO, an image
    without a label file has no objects.
    """

    FORMAT = 'yolo'
    LOOKS_LIKE = (
        'images and labels (with or without folders for the '
        'splits, or inside them) and data.yaml or classes.txt'
    )

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.folders = _folders(root)
        self.about = describe(root)
        self.names = self.about.names
        self.read += self.about.read
        self.notes += self.about.notes
        self.given: dict[str, list[Path]] = {}
        self._index: dict[str, str | None] = {}
        self._find_given()
        if not self.given:
            self._find_lists()
        if not self.given:
            _check_folders(self.folders)
        if not (self.folders or self.given):
            raise DataError(f'{root} has no folders images and labels.')

    @classmethod
    def recognise(cls, root: Path) -> str | None:
        """Look for text files in a folder of labels, or next to images."""
        for _, folder in _folders(root):
            labels = _labels(root, folder)
            if not labels.is_dir():
                labels = folder
            if (
                any_in(labels, ('.txt',))
                and (labels != folder or has_description(root))
                and not has_kitti_lines(labels)
            ):
                return f'{labels}/*.txt'
        if not has_description(root):
            return None
        try:
            items = list(islice(cls(root).items(), SAMPLE))
        except DataError:
            return None
        return next((str(item.labels) for item in items if item.labels.exists()), None)

    def _find_given(self) -> None:
        """Find the splits that data.yaml or obj.data names."""
        said_by = self.about.path
        for split, texts in self.about.splits.items():
            paths = []
            for text in texts:
                place = next(
                    (
                        place
                        for place in places(text, self.root, self.about.bases)
                        if os.path.exists(self.root / place)
                    ),
                    None,
                )
                if place is None:
                    self.notes.append(
                        f'{said_by} names {text!r} for {split}, which is not '
                        f'under {self.root}: not used.'
                    )
                else:
                    paths.append(self.root / place)
            same = [
                other for other, their in self.given.items() if paths and their == paths
            ]
            if same:
                self.problems.append(
                    Problem(
                        'splits of the same images',
                        f'{said_by} gives {same[0]} and {split} the same images: '
                        f'{split} is left out.',
                    )
                )
            elif paths:
                self.given[split] = paths

    def _find_lists(self) -> None:
        """Find lists that are splits by their names."""
        for folder in (self.root / place for place in LISTS):
            # Ultralytics' autosplit puts that word before the name.
            lists = {
                split_name(name): path
                for stem, path in named_files(folder, ('.txt',))
                if is_split(name := stem.removeprefix('autosplit_'))
            }
            if any(
                self._find_image(line, [folder])
                for path in lists.values()
                for line in read_lines(path)
            ):
                self.given = {split: [path] for split, path in lists.items()}
                return

    def _find_image(self, line: str, bases: list[Path]) -> str | None:
        """Find the image that a line of a list means, if it is unique."""
        if not self._index:
            self._index = _index(self.root)
        return next(
            (
                self._index[place]
                for place in places(line, self.root, bases)
                if place in self._index
            ),
            None,
        )

    def items(self) -> Iterator[Item]:
        """List all images, and label files without an image."""
        seen: set[str] = set()
        for split, paths in self.given.items():
            for path in paths:
                for image, labels in self._given_by(path):
                    seen.add(image)
                    yield Item(split, image, labels)
        whole = [path for paths in self.given.values() for path in paths]
        if whole and not seen:
            named = ' and '.join(map(str, whole))
            raise DataError(
                f'{named} give no image under {self.root}: '
                'correct the paths, or remove what gives them.'
            )
        listed = frozenset(seen)
        for folder_split, folder in self.folders:
            if folder in whole:
                continue
            pairs = list(self._in_folder(folder))
            # A folder that nothing names is a split itself.
            is_other = folder_split not in self.given and listed.isdisjoint(
                image for image, _ in pairs
            )
            for image, labels in pairs:
                if image not in seen:
                    seen.add(image)
                    yield Item(folder_split if is_other else None, image, labels)
        self._note_others(seen)
        # A folder may have been listed for data.yaml and by itself.
        self.problems = list(dict.fromkeys(self.problems))

    def _given_by(self, path: Path) -> Iterator[tuple[str, Path]]:
        """Yield the images and label files of a folder, list or image."""
        if path.is_dir():
            yield from self._in_folder(path, below=True)
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            yield self.under_root(path), self._label(path)
        else:
            self.read.append(path)
            bases = [path.parent, *self.about.bases]
            for line in read_lines(path):
                image = self._find_image(line, bases)
                if image is None:
                    self.problems.append(
                        Problem(
                            'missing images',
                            f'{path} names {line[:200]!r}, '
                            f'which no image, or several, under {self.root} can '
                            'be: left out.',
                        )
                    )
                else:
                    yield image, self._label(self.root / image)

    def _in_folder(
        self, folder: Path, below: bool = False
    ) -> Iterator[tuple[str, Path]]:
        """Yield the images of a folder, and label files without an image."""
        images = self.images_in(folder, below)
        labels = _labels(self.root, folder)
        alone: dict[str, Path] = {}
        if labels != folder:
            alone = {
                name: path
                for name, path in named_files(labels, ('.txt',), below)
                if name not in images and path.name != 'classes.txt'
            }
        for name in sorted({*images, *alone}):
            if name in images:
                yield (self.under_root(images[name]), self._label(images[name]))
            else:
                yield self.under_root(folder / f'{name}.jpg'), alone[name]

    def _label(self, image: Path) -> Path:
        """Find the label file of an image."""
        path = _labels(self.root, image.parent) / f'{image.stem}.txt'
        beside = image.with_suffix('.txt')
        return beside if beside.exists() and not path.exists() else path

    def _note_others(self, seen: set[str]) -> None:
        """Name the images that seem to belong to the data set."""
        seen |= {each.image for each in self.problems if each.image}
        folders = [folder for _, folder in self.folders] + [
            path for paths in self.given.values() for path in paths
        ]
        read = ', '.join(map(str, dict.fromkeys(folders)))
        for pattern in ('images', '*/images'):
            for folder in sorted(self.root.glob(pattern)):
                for _, path in named_files(folder, IMAGE_SUFFIXES, True):
                    name = self.under_root(path)
                    if name not in seen:
                        self.problems.append(
                            Problem(
                                'images that no split holds',
                                f'{path} is in none of the folders that have '
                                f'labels ({read}): left out.',
                                name,
                            )
                        )

    def boxes(
        self, item: Item, height: int, width: int
    ) -> tuple[list[Box], list[Problem]]:
        """Read a label file."""
        path = item.labels
        boxes, problems = [], []
        for line in read_label_lines(path) if path.exists() else ():
            try:
                boxes.append(self._read_box(line, height, width))
            except IndexError:
                problems.append(
                    Problem(
                        'boxes of an unknown category',
                        f'{path} has category {line.split()[0][:40]}, but there '
                        f'are only {len(self.names or [])}: left out.',
                    )
                )
            except ValueError as error:
                problems.append(
                    Problem(
                        'unreadable boxes',
                        f'{path} has the line {line[:40]!r} '
                        'instead of category, x, y, width, height, or an outline '
                        f'({error}): left out.',
                    )
                )
        return boxes, problems

    def _read_box(self, line: str, height: int, width: int) -> Box:
        """Read a line: category, and a box or outline in image fractions.

        An IndexError means that the category does not exist; a ValueError
        says what else is wrong.
        """
        number, *words = line.split()
        numbers = [read_number(word) for word in words]
        index = read_index(number)
        if self.about.keypoints and len(numbers) == 4 + self.about.keypoints:
            numbers = numbers[:4]
        if len(numbers) == 4:
            x, y, w, h = numbers
            edges = x - w / 2, y - h / 2, x + w / 2, y + h / 2
        elif len(numbers) < 6 or len(numbers) % 2:
            raise ValueError(
                f'{len(numbers)} numbers'
                + (', perhaps with a confidence' * (len(numbers) == 5))
            )
        elif not all(-SLACK <= each <= 1 + SLACK for each in numbers):
            raise ValueError('an outline that is not in the image')
        else:
            xs, ys = numbers[::2], numbers[1::2]
            edges = min(xs), min(ys), max(xs), max(ys)
        if index < 0:
            raise IndexError(index)
        x1, y1, x2, y2 = edges
        return Box(
            (self.names or [])[index], x1 * width, y1 * height, x2 * width, y2 * height
        )


def _index(root: Path) -> dict[str, str | None]:
    """Index images by every name for them in a list; None if ambiguous."""
    images = images_below(root)
    index: dict[str, str | None] = {}
    for image in images:
        for whole in (image, os.path.splitext(image)[0]):
            parts = whole.split('/')
            for start in range(len(parts)):
                name = '/'.join(parts[start:])
                index[name] = None if name in index else image
    return index | {image: image for image in images}


def _folders(root: Path) -> list[tuple[str | None, Path]]:
    """Find the splits and their folders of images."""
    found: list[tuple[str | None, Path]] = []
    for pattern in ('images/*/', '*/images/'):
        for folder in sorted(root.glob(pattern)):
            if _labels(root, folder).is_dir():
                inside = folder.name == 'images'
                name = (folder.parent if inside else folder).name
                found.append((split_name(name), folder))
    if not found and (root / 'images').is_dir() and (root / 'labels').is_dir():
        found.append((None, root / 'images'))
    for folder in (
        ()
        if found
        else (
            root,
            *sorted(
                path
                for pattern in ('[!.]*', 'data/[!.]*')
                for path in root.glob(pattern)
                if path.is_dir()
            ),
        )
    ):
        if _is_mixed(folder):
            # Darknet's obj_train_data is the folder of train.
            name = re.sub(r'^obj_(\w+)_data$', r'\1', folder.name, flags=re.I)
            is_whole = folder == root or name in WHOLE_FOLDERS
            found.append((None if is_whole else split_name(name), folder))
    return found


def _is_mixed(folder: Path) -> bool:
    """Tell whether a folder holds images and their label files together."""
    labels = {name for name, _ in named_files(folder, ('.txt',))}
    return any(name in labels for name, _ in named_files(folder, IMAGE_SUFFIXES))


def _check_folders(found: list[tuple[str | None, Path]]) -> None:
    """Refuse two folders of one split."""
    folders = dict(found)
    for split, folder in found:
        if folder != folders[split]:
            raise DataError(
                f'{folder} and {folders[split]} are both the split '
                f'{split}: join them, and their labels, or rename one.'
            )


@lru_cache
def _labels(root: Path, images: Path) -> Path:
    """Give the folder of labels for a folder of images; perhaps the same."""
    parts = list(images.relative_to(root).parts)
    for i in reversed(range(len(parts))):
        if parts[i] == 'images':
            parts[i] = 'labels'
            return root.joinpath(*parts)
    return images
