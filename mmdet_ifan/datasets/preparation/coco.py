"""COCO files made elsewhere, checked before training trusts them."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..disk import DataError
from ..image_files import repeated
from ..json_files import is_box, is_id, is_number, read_coco
from .boxes import Box
from .coco_files import MARK
from .records import LeftOut, Problem
from .sources import Item, Source
from .splits import check_splits

HEAD = 4096  # Bytes in which a COCO file shows that it is one.
SAMPLE = 200  # Images looked for to find their folder.
PLACES = ('annotations/*.json', '*.json', '*/_annotations.coco.json')


class CocoSets(Source):
    """COCO files in the data root, in annotations, or beside their images.

    The split is the file's name without 'instances_', or the folder's if it
    is called _annotations.coco.json. Images are looked for in the data root,
    in images, SPLIT and images/SPLIT below it and beside the file. What is
    marked with 'ignore', as other converters do, becomes 'iscrowd'.

    Args:
        root (Path): Data root.
    """

    FORMAT = 'coco'
    LOOKS_LIKE = ('annotations/*.json with images, annotations and '
                  'categories')
    # What is read per image is only the header of its file.
    processes = False

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.files: dict[str, Path] = {}
        for split, path in _find(root):
            first = self.files.setdefault(split, path)
            if first != path:
                raise DataError(f'{first} and {path} are both the split '
                                f'{split}: rename one, or move it away.')
        if not self.files:
            raise DataError(f'{root} has no COCO file.')

    @classmethod
    def recognise(cls, root: Path) -> str | None:
        """Look for JSON files that begin as a COCO file does."""
        found = _find(root)
        return str(found[0][1]) if found else None

    def choose(self, splits: Sequence[str]) -> None:
        """Keep these files only: others, such as captions, may hold no boxes.

        Args:
            splits (Sequence[str]): Those to keep.

        Raises:
            DataError: If one does not exist.
        """
        check_splits(splits, self.files)
        self.files = {split: self.files[split] for split in splits}

    def items(self) -> Iterator[Item]:
        """List the images of each file, each with its annotations."""
        root = os.path.abspath(self.root)
        for split, path in self.files.items():
            content = self._content(split, path)
            names = {each['id']: each['name']
                     for each in content['categories']}
            self.names = list(dict.fromkeys(
                [*(self.names or []), *names.values()]))
            images = self._images(path, content['images'])
            found = self._annotations(
                path, content['annotations'],
                {each['id'] for each in content['images']}, names)
            folder = self._folder(split, path, images)
            listed: dict[str, Item] = {}
            for each in images:
                file_name = os.path.abspath(
                    folder / each['file_name'].replace('\\', '/'))
                if not Path(file_name).is_relative_to(root):
                    self.problems.append(Problem(
                        'images outside the data root',
                        f'{path} names {file_name}, which is not under '
                        f'{self.root}: left out.'))
                    continue
                image = os.path.relpath(file_name, root).replace(os.sep, '/')
                _, sizes, annotations = listed.setdefault(
                    image, Item(split, image, (path, [], []))).labels
                if sizes:
                    self.problems.append(Problem(
                        'images listed twice',
                        f'{path} lists {image} twice: kept once, with the '
                        'boxes of both.'))
                sizes.append((each.get('height'), each.get('width')))
                there = [(box['name'], box.get('bbox')) for box in annotations]
                annotations += [
                    box for box in found[each['id']]
                    if (box['name'], box.get('bbox')) not in there]
            yield from listed.values()

    def _content(self, split: str, path: Path) -> dict[str, Any]:
        """Read a file; if that fails, say how to do without it."""
        try:
            return _load(path)
        except DataError as error:
            others = ', '.join(each for each in self.files if each != split)
            hint = f' Or leave it out: name others ({others}) with --split.'
            raise DataError(f'{error}{hint * bool(others)}') from error

    def _images(self, path: Path,
                entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave out images of an id that another one has."""
        files: dict[Any, set[str]] = defaultdict(set)
        for each in entries:
            files[each['id']].add(each['file_name'])
        for number, names in files.items():
            if len(names) > 1:
                self.problems.append(Problem(
                    'image ids that clash',
                    f'{path} gives id {number} to '
                    f'{" and to ".join(sorted(names))}: all are left out, for '
                    'their boxes cannot be told apart.'))
        return [each for each in entries if len(files[each['id']]) == 1]

    def _annotations(self, path: Path, entries: list[dict[str, Any]],
                     image_ids: set[Any], names: dict[Any, str]
                     ) -> dict[Any, list[dict[str, Any]]]:
        """Sort annotations by image, with the category's name in each."""
        found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        seen = set()
        for each in entries:
            number, image, category = (
                each.get(key) if is_id(each.get(key)) else None
                for key in ('id', 'image_id', 'category_id'))
            what = f'{path} has annotation {number}'
            if number in seen:
                self.problems.append(Problem(
                    'annotation ids that clash',
                    f'{what} twice: both are kept, renumbered.'))
            seen.add(number)
            name = names.get(category)
            if name is None:
                self.problems.append(Problem(
                    'boxes of an unknown category',
                    f'{what} of category {category}, which it does not '
                    'list: left out.'))
            elif image not in image_ids:
                self.problems.append(Problem(
                    'boxes of an unknown image',
                    f'{what} of image {image}, which it does not list: left '
                    'out.'))
            else:
                found[image].append(dict(each, name=name))
        return found

    def _folder(self, split: str, path: Path,
                images: list[dict[str, Any]]) -> Path:
        """Find the folder that the images' names start from."""
        candidates = [
            self.root, path.parent, self.root / 'images', self.root / split,
            self.root / 'images' / split]
        sample = images[::max(1, len(images) // SAMPLE)]
        counts = {folder: sum((folder / each['file_name']).exists()
                              for each in sample) for folder in candidates}
        best = max(candidates, key=counts.__getitem__)
        if images and not counts[best]:
            looked = ', '.join(map(str, counts))
            raise DataError(
                f'None of the images that {path} names, such as '
                f'{images[0]["file_name"]}, exists (looked in {looked}): is '
                'it the file of another split?')
        return best

    def where(self, item: Item) -> str:
        """Name the file and the image."""
        return f'{item.labels[0]}, for {item.image},'

    def label_files(self, item: Item) -> list[Path]:
        """Give the file that lists the image."""
        return [item.labels[0]]

    def boxes(self, item: Item, height: int,
              width: int) -> tuple[list[Box], list[Problem]]:
        """Turn annotations into boxes."""
        path, sizes, annotations = item.labels
        for said in sizes:
            if all(said) and said != (height, width):
                raise LeftOut(Problem(
                    'images of another size',
                    f'{path} gives {item.image} {said[0]} x {said[1]} px, but '
                    f'it has {height} x {width}: left out.'))
        boxes, problems = [], []
        for each in annotations:
            bbox, area = each.get('bbox'), each.get('area')
            if not is_box(bbox):
                problems.append(Problem(
                    'unreadable boxes', f'{path} has annotation '
                    f'{each.get("id")} without a readable bbox: left out.'))
                continue
            x, y, w, h = bbox
            # MMDetection drops boxes whose area says 0.
            has_area = is_number(area) and area > 0
            boxes.append(Box(
                each['name'], x, y, x + w, y + h,
                bool(each.get('iscrowd') or each.get('ignore')),
                area if has_area else None))
        return boxes, problems


def _find(root: Path) -> list[tuple[str, Path]]:
    """Splits and their COCO files, without those that we wrote."""
    found = []
    for place in PLACES:
        for path in filter(Path.is_file, sorted(root.glob(place))):
            try:
                with path.open('rb') as file:
                    head = file.read(HEAD)
            except OSError as error:
                raise DataError(
                    f'{path} cannot be read ({error.strerror}): allow it, or '
                    'move the file away.') from error
            is_coco = any(f'"{key}"'.encode() in head for key in (
                'images', 'annotations', 'categories'))
            # All of the notes that Label Studio puts beside a YOLO export.
            is_coco &= len(head) == HEAD or b'"images"' in head
            if is_coco and MARK.encode() not in head:
                name = path.stem.removeprefix('instances_')
                if name == '_annotations.coco':
                    name = path.parent.name
                found.append((name, path))
    return found


def _load(path: Path) -> dict[str, Any]:
    """Read a COCO file and check that its parts are there.

    Raises:
        DataError: If they are not.
    """
    content = read_coco(path, dict(
        images=('id', 'file_name'), categories=('id', 'name'),
        annotations=()))
    for what in ('id', 'name'):
        twice = repeated(each[what] for each in content['categories'])
        if twice:
            raise DataError(f'{path} has two categories of the {what} '
                            f'{twice[0]}: give each its own.')
    return content
