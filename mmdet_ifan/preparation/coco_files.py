"""COCO files, written image by image, that appear all or none."""

import filecmp
import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TextIO

from ..utils.errors import DataError
from ..utils.files import TEMPORARY_SUFFIX, explain_write_errors
from .differences import describe_difference
from .records import Annotation, LabelledImage, Options, Problem
from .report import Problems, Report, Summary

#: Begins the description of files that are made from other annotations, so
#: that no later run takes them for a data set of its own.
MARK = 'Boxes prepared by mmdet_ifan'


class CocoFiles:
    """COCO files of one data set, under way.

    Use it as a context manager: `add` images, `note` problems, and `publish`
    in the end. Until then everything is in a temporary folder beside the
    files, which leaving the context removes. Memory does not grow with the
    number of images.

    Args:
        out (Path): Folder of the files; made when missing.
        names (list[str]): The files.
        categories (dict[int, str]): Name of each category id. May still be
            filled while images are added.
        description (str): Says in the files what they are.
        options (Options): Of the command. Its `out` is not looked at.

    Raises:
        DataError: On entering, if the folder cannot be written to.
    """

    def __init__(self, out: Path, names: list[str],
                 categories: dict[int, str], description: str,
                 options: Options) -> None:
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
            # The files are renamed in the end, so they must be on one disk;
            # a check leaves the data set's disk alone.
            folder = stack.enter_context(TemporaryDirectory(
                suffix=TEMPORARY_SUFFIX, prefix='.preparation.',
                dir=None if self.options.check else _existing(self.out)))
            for name in self.names:
                self._files[name] = stack.enter_context(_CocoFile(
                    Path(folder, name), self.out / name, self.description))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self._stack.close()

    def add(self, name: str, image: LabelledImage) -> None:
        """Append an image to a file.

        Args:
            name (str): The file.
            image (LabelledImage): Gets the next image id, from 0; its
                annotations the next annotation ids, from 1, since
                pycocotools' evaluation takes an object matched by id 0 for
                an unmatched one.

        Raises:
            DataError: If the disk is full.
        """
        self._files[name].add(image, self.categories)

    def note(self, problem: Problem) -> None:
        """Count something that was left out or mended."""
        self.problems.add(problem)

    def summaries(self) -> list[Summary]:
        """Count what each file holds so far, for checks of one's own."""
        for each in self._files.values():
            # Every category, in the order of the file.
            counts = each.summary.boxes.copy()
            each.summary.boxes.clear()
            each.summary.boxes.update(
                {name: counts[name] for name in self.categories.values()})
        return [each.summary for each in self._files.values()]

    def publish(self) -> Report:
        """Give the files their final names, or with `check` compare.

        Returns:
            Report: What was made.

        Raises:
            DataError: If a file exists and differs and must not be
                overwritten, has no image, or cannot be written; if there was
                a problem and `strict`; if something differs and `check`.
                Nothing is written then.
        """
        summaries = self.summaries()
        if self.options.strict and self.problems.counts:
            raise self._error(
                f'The data has problems ({self.problems.total()}) and '
                '--strict allows none, so nothing was written: mend them or '
                'leave out --strict.')
        for each in self._files.values():
            if not each.summary.images:
                raise self._error(f'No image is left for {each.path}: check '
                                  'the data root and its splits.')
            each.finish(self.categories)
        for each in self._files.values():
            self._compare(each)
        for each in self._files.values():
            if each.summary.is_new:
                with explain_write_errors(each.path):
                    self.out.mkdir(parents=True, exist_ok=True)
                    os.replace(each.temporary, each.path)
        return Report(summaries, self.problems)

    def _error(self, sentence: str) -> DataError:
        """Make an error that problems in the data may explain."""
        return DataError('\n'.join([sentence, *self.problems.lines()]))

    def _compare(self, each: '_CocoFile') -> None:
        """Compare a finished file with what has its final name."""
        if not each.path.exists():
            if self.options.check:
                raise DataError(f'{each.path} is missing: run the same '
                                'command without --check.')
            return
        each.summary.is_new = not filecmp.cmp(each.temporary, each.path,
                                              shallow=False)
        if not each.summary.is_new:
            return
        if self.options.check:
            raise self._error(
                f'{each.path} is not what the data set gives now: '
                f'{describe_difference(each.path, each.temporary)}. Run the '
                'same command with --overwrite instead of --check.')
        if not self.options.overwrite:
            raise DataError(f'{each.path} exists and differs: pass '
                            '--overwrite to replace it, or choose another '
                            'folder with --out.')


class _CocoFile:
    """One file: images go to it directly, annotations to one beside it.

    Args:
        temporary (Path): Where it is put together.
        path (Path): Where it will be.
        description (str): Says in the file what it is.
    """

    def __init__(self, temporary: Path, path: Path, description: str) -> None:
        self.temporary = temporary
        self.path = path
        self.summary = Summary(path)
        self._annotations = 0
        # Written in the end, when all categories are known.
        self._regions: list[Annotation] = []
        self._spool = temporary.with_name(f'{temporary.name}.annotations')
        self._main = temporary.open('w')
        self._side = self._spool.open('w')
        info = json.dumps(dict(description=description))
        self._main.write(f'{{"info": {info}, "licenses": [], "images": [')

    def __enter__(self) -> '_CocoFile':
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._main.close()
            self._side.close()
        except OSError:
            # The disk is full, as whoever wrote has been told; what is left
            # in the buffers is not wanted any more.
            pass

    def add(self, image: LabelledImage, categories: dict[int, str]) -> None:
        """Append an image and count its boxes."""
        summary = self.summary
        with explain_write_errors(self.path):
            _append(self._main, summary.images, dict(
                file_name=image.file_name, height=image.height,
                width=image.width, id=summary.images))
            for annotation in image.annotations:
                annotation = dict(annotation, image_id=summary.images)
                if annotation['category_id'] is None:
                    self._regions.append(annotation)
                else:
                    self._add(annotation, categories)
        summary.images += 1
        summary.empty += not image.annotations

    def _add(self, annotation: Annotation,
             categories: dict[int, str]) -> None:
        """Append an annotation and count it."""
        _append(self._side, self._annotations,
                dict(annotation, id=self._annotations + 1))
        self._annotations += 1
        if annotation['iscrowd']:
            self.summary.crowds += 1
        else:
            self.summary.boxes[categories[annotation['category_id']]] += 1

    def finish(self, categories: dict[int, str]) -> None:
        """Join images, categories and annotations."""
        with explain_write_errors(self.path):
            for region in self._regions:
                for category_id in categories:
                    self._add(dict(region, category_id=category_id),
                              categories)
            self._side.close()
            listed = json.dumps([dict(id=key, name=name)
                                 for key, name in categories.items()])
            self._main.write(f'], "categories": {listed}, "annotations": [')
            with self._spool.open() as side:
                shutil.copyfileobj(side, self._main)
            self._main.write(']}')
            self._main.close()


def _append(file: TextIO, position: int, entry: dict) -> None:
    """Append to an open list, as `json.dumps` would."""
    file.write((', ' if position else '') + json.dumps(entry))


def _existing(path: Path) -> Path:
    """Give a folder, or the nearest one above it that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
