"""Prepare SIM10K and compare it with its published numbers."""

from collections.abc import Sequence
from pathlib import Path

from ..utils.errors import DataError
from .coco_files import CocoFiles
from .custom import prepare_custom
from .records import Options, Problem, Report
from .stand_in import MANIFEST, check_stand_in, stand_in_counts
from .voc import VocFolders

#: SIM10K's name for what Cityscapes calls a motorcycle.
RENAME = {'motorbike': 'motorcycle'}
#: All its categories; a part or a stand-in may lack some.
NAMES = ['car', 'motorbike', 'person']
# As published and repeated in every paper on SIM10K -> Cityscapes.
IMAGES = 10_000
CARS = 58_701


def prepare_sim10k(
    root: Path, options: Options, classes: Sequence[str] = ('car',)
) -> Report:
    """Write the COCO files of SIM10K, or of a rendered stand-in for it.

    Args:
        root (Path): Folder with Annotations and JPEGImages, or with VOC2012
            that holds them.
        options (Options): Options of the command.
        classes (Sequence[str]): Categories, of car, person and motorcycle.
            Defaults to car alone, as in the literature.

    Returns:
        Report: The result.

    Raises:
        DataError: If images are missing or the annotations cannot be used.
    """
    if VocFolders.recognise(root) is None:
        raise DataError(
            f'{root} has no Annotations/*.xml, nor has '
            f'{root}/VOC2012: unpack the images and the '
            'annotations of SIM10K there.'
        )
    expected = stand_in_counts(root)
    # SIM10K has no splits. All of it is for training, whatever lists others
    # have added.
    source = VocFolders(root, use_lists=expected is not None)
    source.names = NAMES
    source.read.append(root / MANIFEST)
    if expected is None:
        found = sum(1 for _ in source.items())
        if found != IMAGES:
            raise DataError(
                f'SIM10K has {IMAGES} images, but {root} has {found}: unpack '
                'all of its archives. To prepare a part of it, use '
                'tools/prepare/custom.py.'
            )
        # They are listed, and their problems found, a second time.
        source.problems.clear()

    def verify(files: CocoFiles, splits: list[str]) -> None:
        if expected is not None:
            check_stand_in(
                root, expected, dict(zip(splits, files.summaries(), strict=True))
            )
            return
        (found,) = files.summaries()
        cars = found.boxes.get('car', CARS)
        if cars != CARS:
            files.note(
                Problem(
                    'counts that differ from the published ones',
                    f'{found.path} gets {cars} boxes of cars, but {CARS} are '
                    'published: see what was left out, or unpack the annotations '
                    'again.',
                )
            )

    return prepare_custom(source, options, classes, RENAME, verify=verify)
