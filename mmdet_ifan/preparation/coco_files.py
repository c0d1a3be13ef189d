"""Write COCO files image by image, and publish all of them or none."""

import filecmp
import json
import os
import shutil
from collections import Counter
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

from ..utils.errors import DataError, name_some
from ..utils.files import TEMPORARY_SUFFIX, explain_write_errors
from ..utils.json_files import read_json
from .records import (
    Annotation,
    LabelledImage,
    Options,
    Problem,
    Problems,
    Report,
    Summary,
)

#: Begins the description of files that we make from other annotations, so
#: that no later command takes them for a data set.
MARK = 'Boxes prepared by mmdet_ifan'


class CocoFiles:
    """COCO files of one data set while they are being written.

    Use it as a context manager: `add` images, `note` problems, and `publish`
    in the end. Until then everything is in a temporary folder next to the
    files, which is removed on leaving the context. Memory does not grow with
    the number of images.

    Args:
        out (Path): Folder of the files; made if missing.
        names (list[str]): Names of the files.
        categories (dict[int, str]): Name of each category id. More may be
            added while images are added.
        description (str): Description that the files carry.
        options (Options): Options of the command; `out` is not used.

    Raises:
        DataError: On entering, if the folder cannot be written to.
    """

    def __init__(
        self,
        out: Path,
        names: list[str],
        categories: dict[int, str],
        description: str,
        options: Options,
    ) -> None:
        self.out = out
        self.names = names
        self.categories = categories
        self.description = description
        self.options = options
        self.problems = Problems()
        self._files: dict[str, _CocoFile] = {}
        self._stack = ExitStack()

    def __enter__(self) -> 'CocoFiles':
        with explain_write_errors(self.out), ExitStack() as stack:
            # The files are renamed in the end, so they must be on one disk.
            # A check does not touch the disk of the data set.
            existing = self.out.absolute()
            while not existing.exists():
                existing = existing.parent
            folder = stack.enter_context(
                TemporaryDirectory(
                    suffix=TEMPORARY_SUFFIX,
                    prefix='.preparation.',
                    dir=None if self.options.check else existing,
                )
            )
            for name in self.names:
                self._files[name] = stack.enter_context(
                    closing(
                        _CocoFile(
                            Path(folder, name),
                            self.out / name,
                            self.description,
                            self.categories,
                        )
                    )
                )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, name: str, image: LabelledImage) -> None:
        """Append an image to a file.

        Args:
            name (str): The file.
            image (LabelledImage): It gets the next image id, from 0, and its
                annotations the next ids from 1, since pycocotools takes an
                object that is matched by id 0 for an unmatched one.

        Raises:
            DataError: If the disk is full.
        """
        self._files[name].add(image)

    def note(self, problem: Problem) -> None:
        """Count something that was left out or corrected."""
        self.problems.add(problem)

    def summaries(self) -> list[Summary]:
        """Count the content of each file so far."""
        for each in self._files.values():
            # Every category, in the order of the file.
            counts = each.summary.boxes
            each.summary.boxes = Counter(
                {name: counts[name] for name in self.categories.values()}
            )
        return [each.summary for each in self._files.values()]

    def publish(self) -> Report:
        """Give the files their final names, or with `check` compare them.

        Returns:
            Report: The result.

        Raises:
            DataError: If a file has no image, cannot be written, or exists,
                differs and must not be overwritten; with `strict` if there
                was a problem; with `check` if anything differs. Nothing is
                written then.
        """
        summaries = self.summaries()
        if self.options.strict and self.problems.counts:
            raise self.problems.error(
                f'The data has problems ({self.problems.total()}) and '
                '--strict allows none, so nothing was written: fix them or '
                'leave out --strict.'
            )
        for each in self._files.values():
            if not each.summary.images:
                raise self.problems.error(
                    f'No image is left for {each.path}: check '
                    'the data root and its splits.'
                )
            each.finish()
        for each in self._files.values():
            self._compare(each)
        for each in self._files.values():
            if each.summary.is_new:
                with explain_write_errors(each.path):
                    self.out.mkdir(parents=True, exist_ok=True)
                    os.replace(each.temporary, each.path)
        return Report(summaries, self.problems)

    def _compare(self, each: '_CocoFile') -> None:
        """Compare a finished file with the one that has its final name."""
        if not each.path.exists():
            if self.options.check:
                raise DataError(
                    f'{each.path} is missing: run the same command without --check.'
                )
            return
        each.summary.is_new = not filecmp.cmp(each.temporary, each.path, shallow=False)
        if not each.summary.is_new:
            return
        if self.options.check:
            raise self.problems.error(
                f'{each.path} is not what the data set gives now: '
                f'{_difference(each.path, each.temporary)}. Run the same '
                'command with --overwrite instead of --check.'
            )
        if not self.options.overwrite:
            raise DataError(
                f'{each.path} exists and differs: pass '
                '--overwrite to replace it, or choose another '
                'folder with --out.'
            )


class _CocoFile:
    """One file while it is being written.

    Images are written to it directly, annotations to a second file.

    Args:
        temporary (Path): Path while it is being written.
        path (Path): Final path.
        description (str): Description that the file carries.
        categories (dict[int, str]): Name of each category id.
    """

    def __init__(
        self, temporary: Path, path: Path, description: str, categories: dict[int, str]
    ) -> None:
        self.temporary = temporary
        self.path = path
        self.categories = categories
        self.summary = Summary(path)
        self._annotations = 0
        # Written in the end, when all categories are known.
        self._regions: list[Annotation] = []
        self._spool = temporary.with_name(f'{temporary.name}.annotations')
        self._main = temporary.open('w')
        self._side = self._spool.open('w')
        info = json.dumps(dict(description=description))
        self._main.write(f'{{"info": {info}, "licenses": [], "images": [')

    def close(self) -> None:
        """Close both files."""
        # A full disk has been reported already, and what is left in the
        # buffers is no longer wanted.
        with suppress(OSError):
            self._main.close()
            self._side.close()

    def add(self, image: LabelledImage) -> None:
        """Append an image and count its boxes."""
        summary = self.summary
        with explain_write_errors(self.path):
            _append(
                self._main,
                summary.images,
                dict(
                    file_name=image.file_name,
                    height=image.height,
                    width=image.width,
                    id=summary.images,
                ),
            )
            for annotation in image.annotations:
                annotation = dict(annotation, image_id=summary.images)
                if annotation['category_id'] is None:
                    self._regions.append(annotation)
                else:
                    self._add(annotation)
        summary.images += 1
        summary.empty += not image.annotations

    def _add(self, annotation: Annotation) -> None:
        """Append an annotation and count it."""
        _append(
            self._side, self._annotations, dict(annotation, id=self._annotations + 1)
        )
        self._annotations += 1
        if annotation['iscrowd']:
            self.summary.crowds += 1
        else:
            self.summary.boxes[self.categories[annotation['category_id']]] += 1

    def finish(self) -> None:
        """Join images, categories and annotations."""
        with explain_write_errors(self.path):
            for region in self._regions:
                for category_id in self.categories:
                    self._add(dict(region, category_id=category_id))
            self._side.close()
            listed = json.dumps(
                [dict(id=key, name=name) for key, name in self.categories.items()]
            )
            self._main.write(f'], "categories": {listed}, "annotations": [')
            with self._spool.open() as side:
                shutil.copyfileobj(side, self._main)
            self._main.write(']}')
            self._main.close()


def _append(file: TextIO, position: int, entry: dict) -> None:
    """Append to an open list as `json.dumps` would."""
    file.write((', ' if position else '') + json.dumps(entry))


def _difference(path: Path, expected: Path) -> str:
    """Describe the first difference between a file and the expected one."""
    want = read_json(expected)
    try:
        got = read_json(path)
        got_names, want_names = (
            [each['name'] for each in file['categories']] for file in (got, want)
        )
        got_boxes, want_boxes = _boxes(got), _boxes(want)
    except (KeyError, TypeError, ValueError, AttributeError):
        return 'it is not a valid COCO file'
    lost = [name for name in want_boxes if name not in got_boxes]
    if lost:
        return f'it lacks {name_some(lost, 1)}'
    extra = [name for name in got_boxes if name not in want_boxes]
    if extra:
        return f'it should not list {name_some(extra, 1)}'
    if got_names != want_names:
        return (
            f'its categories are {", ".join(got_names)} instead of '
            f'{", ".join(want_names)}'
        )
    changed = [name for name, boxes in want_boxes.items() if got_boxes[name] != boxes]
    if changed:
        return f'the size or the boxes changed of {name_some(changed, 1)}'
    return 'order, ids or description are not the same'


def _boxes(content: dict[str, Any]) -> dict[str, Counter[str]]:
    """Count size and boxes of each image, whatever the ids and the order."""
    found: dict[Any, Counter[str]] = {
        image['id']: Counter([f'{image["height"]} x {image["width"]}'])
        for image in content['images']
    }
    names = {each['id']: each['name'] for each in content['categories']}
    for each in content['annotations']:
        found[each['image_id']][
            json.dumps(
                [
                    names[each['category_id']],
                    each['bbox'],
                    each['area'],
                    each['iscrowd'],
                ]
            )
        ] += 1
    return {image['file_name']: found[image['id']] for image in content['images']}
