"""Any labelled data set in a common format to COCO files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..utils.errors import DataError
from ..utils.json_files import is_text
from ..utils.parallel import map_in_order
from .accounting import Account
from .boxes import Box, clean_boxes
from .categories import Categories
from .coco import CocoSets
from .coco_files import MARK, CocoFiles
from .images import image_size, lost_pixels
from .kitti import KittiFolders
from .records import LabelledImage, LeftOut, Options, Problem, one_file
from .report import SHOWN, Report
from .sources import Item, Source
from .splits import WHOLE, choose_splits, gather_splits
from .voc import VocFolders
from .yolo import YoloFolders

FORMATS: dict[str, type[Source]] = {
    each.FORMAT: each
    for each in (VocFolders, YoloFolders, KittiFolders, CocoSets)}
Verify = Callable[[CocoFiles, list[str]], None]


def open_source(root: Path, name: str = 'auto') -> tuple[Source, str]:
    """Open a data set, whose format is named or recognised.

    Args:
        root (Path): Data root.
        name (str): One of `FORMATS`, or 'auto'. Defaults to 'auto'.

    Returns:
        tuple[Source, str]: The data set, and what shows its format.

    Raises:
        DataError: If it does not have the format, or none or several.
    """
    if not root.is_dir():
        raise DataError(f'The data root {root} does not exist or is no '
                        'folder.')
    candidates = FORMATS if name == 'auto' else {name: FORMATS[name]}
    found = _recognise(root, candidates)
    if len(found) == 1:
        name, shown = found.popitem()
        return FORMATS[name](root), shown
    if found:
        seen = ' and like '.join(f'{each} ({shown})'
                                 for each, shown in found.items())
        raise DataError(f'{root} looks like {seen}: say which it is with '
                        '--format.')
    looks = '; '.join(f'{each} has {source.LOOKS_LIKE}'
                      for each, source in candidates.items())
    below = [str(folder) for folder in sorted(root.iterdir())
             if folder.is_dir() and _recognise(folder, candidates)]
    if below:
        raise DataError(f'{root} is no data set itself, but holds some: name '
                        f'one of {", ".join(below)}.')
    raise DataError(
        f'{root} does not look like a data set with boxes: {looks}. A target '
        'to train on needs none; name its folder in the config as it is.')


def _recognise(root: Path, candidates: dict[str, type[Source]]
               ) -> dict[str, str]:
    """Formats that a folder has, each with what shows it."""
    return {name: shown for name, source in candidates.items()
            if (shown := source.recognise(root))}


def prepare_custom(source: Source, options: Options,
                   classes: Sequence[str] | None = None,
                   rename: Mapping[str, str] | None = None,
                   splits: Sequence[str] | None = None,
                   verify: Verify | None = None
                   ) -> Report:
    """Write the COCO files of a labelled data set.

    Args:
        source (Source): The data set.
        options (Options): Of the command.
        classes (Sequence[str], optional): Categories to keep, in this order.
            Defaults to None: those that the data set lists, or else those
            that occur; for KITTI 'car'.
        rename (Mapping[str, str], optional): New names of categories.
        splits (Sequence[str], optional): Which to write. Defaults to None,
            all. A data set that has no splits becomes the one named, or else
            'train'.
        verify (Callable, optional): Looks at the files, and the split of
            each, before they get their final names; may `note` problems or
            raise a `DataError`. Defaults to None.

    Returns:
        Report: What was made.

    Raises:
        DataError: If nothing can be made of it.
    """
    if classes is None and isinstance(source, KittiFolders):
        classes = ['car']
    if splits is not None and isinstance(source, CocoSets):
        source.choose(splits)
    items = list(source.items())
    if not items:
        raise DataError('\n'.join([
            'The data set lists no image.',
            *(each.sentence for each in source.problems[:SHOWN])]))
    # Not before: COCO files name their categories when they are listed.
    categories = Categories(rename or {}, classes, source.names)
    # A COCO file keeps its name.
    listed = choose_splits(
        items, splits, None if source.FORMAT == 'coco' else WHOLE)
    images, problems = gather_splits(listed)
    names = {split: f'instances_{split}.json' for split, _ in listed}
    out = options.folder(source.root)
    _spare_input(source, [out / name for name in names.values()])
    account = Account(source.root)
    account.use(files=source.read)
    chosen = {item.image for item, _ in images}
    for item in {item.image: item for item in items}.values():
        if item.image not in chosen:
            account.leave_out(
                'in no split' if item.split is None
                else 'in splits that were not asked for', item.image,
                source.label_files(item))
    with CocoFiles(out, list(names.values()), categories.names,
                   f'{MARK} from {source.FORMAT}', options) as files:
        for problem in (*source.problems, *problems):
            files.note(problem)
            if problem.image is not None:
                account.leave_out(problem.kind, problem.image)
        readings = map_in_order(
            partial(_read, source), [item for item, _ in images],
            options.workers, source.processes)
        for (item, members), reading in zip(images, readings, strict=True):
            for problem in reading.problems:
                files.note(problem)
            if reading.boxes is None:
                account.leave_out(reading.problems[-1].kind, item.image,
                                  source.label_files(item))
                continue
            account.use(item.image, source.label_files(item))
            image = LabelledImage(
                item.image, reading.height, reading.width,
                list(categories.annotations(reading.boxes)))
            for split in members:
                files.add(names[split], image)
        categories.check()
        if verify is not None:
            verify(files, list(names))
        report = files.publish()
    report.notes += [*source.notes, *categories.notes()]
    report.account += account.lines()
    return report


@dataclass
class _Reading:
    """What one image gave; no boxes at all if it was left out."""

    problems: list[Problem]
    height: int = 0
    width: int = 0
    boxes: list[Box] | None = None


def _read(source: Source, item: Item) -> _Reading:
    """Read an image's size and boxes."""
    if not is_text(item.image):
        return _Reading([Problem(
            'images with unusable names',
            f'{str(source.root / item.image)!r} is not UTF-8 or has control '
            'characters, which training refuses: left out.')])
    try:
        with one_file(source.root / item.image):
            height, width = image_size(source.root / item.image)
        with one_file(source.where(item)):
            boxes, problems = source.boxes(item, height, width)
    except LeftOut as error:
        return _Reading([error.problem])
    boxes, more = clean_boxes(boxes, height, width, source.where(item))
    lost = lost_pixels(source.root / item.image)
    return _Reading([*problems, *more, *filter(None, [lost])], height, width,
                    boxes)


def _spare_input(source: Source, paths: list[Path]) -> None:
    """Refuse to write over the files that are read."""
    if isinstance(source, CocoSets):
        read = {path.resolve() for path in source.files.values()}
        for path in paths:
            if path.resolve() in read:
                raise DataError(f'{path} is read and would be overwritten: '
                                'choose another folder with --out.')
