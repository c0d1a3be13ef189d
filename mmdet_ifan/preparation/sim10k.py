"""SIM10K's VOC files to COCO files, checked against what it should hold."""

from collections.abc import Sequence
from pathlib import Path

from ..utils.errors import DataError
from .coco_files import CocoFiles
from .custom import prepare_custom
from .records import Options, Problem
from .report import Report
from .stand_in import MANIFEST, check_stand_in, stand_in_counts
from .voc import VocFolders

#: SIM10K's name for what Cityscapes calls a motorcycle.
RENAME = {'motorbike': 'motorcycle'}
#: All that it has, whether or not each occurs in a part or a stand-in.
NAMES = ['car', 'motorbike', 'person']
# As published; every paper on SIM10K -> Cityscapes repeats the numbers.
IMAGES = 10_000
CARS = 58_701


def prepare_sim10k(root: Path, options: Options,
                   classes: Sequence[str] = ('car', )) -> Report:
    """Write the COCO files of SIM10K, or of a rendered stand-in for it.

    Args:
        root (Path): Holds Annotations and JPEGImages, or VOC2012 with them.
        options (Options): Of the command.
        classes (Sequence[str]): Categories, of car, person and motorcycle.
            Defaults to car alone, as in the literature.

    Returns:
        Report: What was made.

    Raises:
        DataError: If images are missing, or nothing can be made of them.
    """
    if VocFolders.recognise(root) is None:
        raise DataError(f'{root} has no Annotations/*.xml, nor has '
                        f'{root}/VOC2012: unpack the images and the '
                        'annotations of SIM10K there.')
    expected = stand_in_counts(root)
    # SIM10K has no splits: all of it is for training, whatever the lists
    # that others made say.
    source = VocFolders(root, use_lists=expected is not None)
    source.names = NAMES
    source.read.append(root / MANIFEST)
    if expected is None:
        _check_number(root, sum(1 for _ in source.items()))
        # They are listed, and what is wrong with them found, once more.
        source.problems.clear()

    def verify(files: CocoFiles, splits: list[str]) -> None:
        if expected is None:
            _check_cars(files)
        else:
            check_stand_in(root, expected, dict(
                zip(splits, files.summaries(), strict=True)))

    return prepare_custom(source, options, classes, RENAME, verify=verify)


def _check_number(root: Path, found: int) -> None:
    """Compare the number of images with the published one."""
    if found != IMAGES:
        raise DataError(
            f'SIM10K has {IMAGES} images, but {root} has {found}: unpack all '
            'of its archives. To prepare a part of it, use '
            'tools/prepare/custom.py.')


def _check_cars(files: CocoFiles) -> None:
    """Compare the number of cars with the published one."""
    (found, ) = files.summaries()
    cars = found.boxes.get('car', CARS)
    if cars != CARS:
        files.note(Problem(
            'counts that differ from the published ones',
            f'{found.path} gets {cars} boxes of cars, but {CARS} are '
            'published: see what was left out, or unpack the annotations '
            'again.'))
