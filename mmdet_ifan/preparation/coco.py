"""Reader of COCO files made elsewhere, which checks them."""

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..utils.errors import DataError, name_some
from ..utils.files import HEAD
from ..utils.image_files import Place, find_place
from ..utils.values import read_number
from .boxes import Box
from .coco_entries import CocoEntries, read_entries
from .coco_files import MARK
from .records import LeftOut, Problem
from .sources import Item, Source, check_splits

PLACES = ('annotations/*.json', '*.json')
#: File names that tools use for every split, one folder for each.
IN_FOLDERS = (
    '_annotations.coco.json',
    'labels.json',
    'result.json',
    'annotations.json',
    'dataset.json',
    'coco.json',
)
#: Folders of images, below the data root and next to the file.
FOLDERS = ('', 'images', 'data', 'JPEGImages')


class CocoSets(Source):
    """COCO files in the data root, in annotations, or next to their images.

    The split is the file's name without ``instances_``, or the name of
    its folder if tools use the same file name in every folder (`IN_FOLDERS`).
    Images are searched for in the data root, next to the file, in `FOLDERS`
    below both, in SPLIT and images/SPLIT, and last in any folder of the data
    root. Folders of another computer are cut from their names. Boxes marked
    with 'ignore' or 'difficult', as other converters do, become 'iscrowd'.
    """

    FORMAT = 'coco'
    LOOKS_LIKE = 'annotations/*.json with images, annotations and categories'
    # Only the header of each image file is read.
    processes = False

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.files: dict[str, Path] = {}
        for split, path in _find(root):
            first = self.files.setdefault(split, path)
            if first != path:
                raise DataError(
                    f'{first} and {path} are both the split '
                    f'{split}: rename one, or move it away.'
                )
        if not self.files:
            raise DataError(f'{root} has no COCO file.')

    @classmethod
    def recognise(cls, root: Path) -> str | None:
        """Look for JSON files that begin as a COCO file does."""
        found = _find(root)
        return str(found[0][1]) if found else None

    def choose(self, splits: Sequence[str]) -> None:
        """Keep these files only; others, such as captions, may hold no boxes.

        Args:
            splits (Sequence[str]): Splits to keep.

        Raises:
            DataError: If a split does not exist.
        """
        check_splits(splits, self.files)
        self.files = {split: self.files[split] for split in splits}

    def items(self) -> Iterator[Item]:
        """List the images of each file, each with its boxes."""
        files = {split: self._read(path) for split, path in self.files.items()}
        self.names = self._categories(list(files.values()))
        for split, entries in files.items():
            self.problems += entries.problems
            self.notes += entries.notes
            listed: dict[str, Item] = {}
            for image, number, size in self._images(split, entries):
                _, sizes, _, boxes = listed.setdefault(
                    image, Item(split, image, (entries.path, [], entries.as_parts, []))
                ).labels
                if sizes:
                    self.problems.append(
                        Problem(
                            'images listed twice',
                            f'{entries.path} lists {image} twice: kept once, with '
                            'the boxes of both.',
                        )
                    )
                sizes.append(size)
                there = [(box.name, box.edges()) for box in boxes]
                boxes += [
                    box
                    for box in entries.boxes[number]
                    if (box.name, box.edges()) not in there
                ]
            yield from listed.values()

    def _read(self, path: Path) -> CocoEntries:
        """Read a file; an error says how to do without it."""
        try:
            return read_entries(path)
        except DataError as error:
            others = ', '.join(
                split for split, each in self.files.items() if each != path
            )
            hint = f' Or leave it out: name others ({others}) with --split.'
            raise DataError(f'{error}{hint * bool(others)}') from error

    def _categories(self, files: list[CocoEntries]) -> list[str]:
        """Name the categories of all files, without groups lacking boxes."""
        used = {each.categories[key] for each in files for key in each.used}
        groups = {name for each in files for name in each.groups} - used
        if groups:
            self.notes.append(
                f'{name_some(sorted(groups))} has no box and only names the '
                'group that other categories belong to: it is not kept.'
            )
        return list(
            dict.fromkeys(
                name
                for each in files
                for name in each.categories.values()
                if name not in groups
            )
        )

    def _images(
        self, split: str, entries: CocoEntries
    ) -> Iterator[tuple[str, str, tuple[Any, Any]]]:
        """Yield path below the data root, id and size of each image."""
        if not entries.images:
            return
        place = self._place(split, entries)
        root = os.path.abspath(self.root)
        paths = [os.path.abspath(place.path(each.name)) for each in entries.images]
        names = defaultdict(set)
        for path, each in zip(paths, entries.images, strict=True):
            names[path].add(each.name)
        for path, each in zip(paths, entries.images, strict=True):
            if not Path(path).is_relative_to(root):
                self.problems.append(
                    Problem(
                        'images outside the data root',
                        f'{entries.path} names {path}, which is not under '
                        f'{self.root}: left out.',
                    )
                )
            elif place.kept and len(names[path]) > 1:
                self.problems.append(
                    Problem(
                        'images of the same name',
                        f'{entries.path} names {each.name} and others that would '
                        f'all be {path}: left out.',
                    )
                )
            else:
                image = os.path.relpath(path, root).replace(os.sep, '/')
                yield image, each.number, each.size

    def _place(self, split: str, entries: CocoEntries) -> Place:
        """Find the folder of the images of a file."""
        names = [each.name for each in entries.images]
        bases = self.root, entries.path.parent
        folders = [
            *bases,
            *(self.root / name for name in ('images', split, f'images/{split}')),
        ]
        folders += [base / name for base in bases for name in FOLDERS]
        below = sorted(filter(Path.is_dir, self.root.iterdir()))
        place = find_place(names, folders) or find_place(names, below)
        if place is None:
            looked = ', '.join(map(str, dict.fromkeys(folders)))
            raise DataError(
                f'None of the images that {entries.path} names, such as '
                f'{names[0]}, exists (looked in {looked} and the folders of '
                f'{self.root}): is it the file of another split?'
            )
        if place.kept:
            self.notes.append(
                f'{entries.path} names images as {names[0]}: taken for '
                f'{place.path(names[0])}.'
            )
        return place

    def where(self, item: Item) -> str:
        """Name the file and the image."""
        return f'{item.labels[0]}, for {item.image},'

    def label_files(self, item: Item) -> list[Path]:
        """List the file that lists the image."""
        return [item.labels[0]]

    def boxes(
        self, item: Item, height: int, width: int
    ) -> tuple[list[Box], list[Problem]]:
        """Check the size and give the boxes, in px."""
        path, sizes, as_parts, boxes = item.labels
        problems = []
        for said in sizes:
            try:
                numbers = [read_number(side or 0) for side in said]
            except ValueError:
                problems.append(
                    Problem(
                        'unreadable sizes',
                        f'{path} gives {item.image} a size '
                        f'of {said[0]!r:.40} x {said[1]!r:.40}: the size of the '
                        'image is used.',
                    )
                )
                continue
            if all(numbers) and any(
                abs(a - b) >= 1 for a, b in zip(numbers, (height, width), strict=True)
            ):
                raise LeftOut(
                    'images of another size',
                    f'{path} gives {item.image} {said[0]} x {said[1]} px, but '
                    f'it has {height} x {width}: left out.',
                )
        across, down = (width, height) if as_parts else (1, 1)
        # A copy: the boxes are cut in place.
        return [
            replace(
                box,
                x1=box.x1 * across,
                y1=box.y1 * down,
                x2=box.x2 * across,
                y2=box.y2 * down,
                area=None if as_parts else box.area,
            )
            for box in boxes
        ], problems


def _find(root: Path) -> list[tuple[str, Path]]:
    """Find splits and their COCO files, without those that we wrote."""
    found = []
    for place in (*PLACES, *(f'*/{name}' for name in IN_FOLDERS)):
        for path in filter(Path.is_file, sorted(root.glob(place))):
            try:
                with path.open('rb') as file:
                    head = file.read(HEAD)
            except OSError as error:
                raise DataError(
                    f'{path} cannot be read ({error.strerror}): allow it, or '
                    'move the file away.'
                ) from error
            text = head.decode(json.detect_encoding(head), 'replace')
            is_coco = any(
                f'"{key}"' in text for key in ('images', 'annotations', 'categories')
            )
            # Not the notes that Label Studio puts next to a YOLO export.
            is_coco &= len(head) == HEAD or '"images"' in text
            if is_coco and MARK not in text:
                name = path.stem.removeprefix('instances_')
                if (
                    path.name in IN_FOLDERS
                    and path.parent != root
                    and (
                        path.parent.name != 'annotations' or name == '_annotations.coco'
                    )
                ):
                    name = path.parent.name
                found.append((name, path))
    return list(dict.fromkeys(found))
