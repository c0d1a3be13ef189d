"""Prepare any labelled data set in a common format."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ..utils.errors import DataError
from ..utils.parallel import map_in_order
from ..utils.values import is_text
from .accounting import Account
from .boxes import Box, clean_boxes
from .categories import Categories
from .coco import CocoSets
from .coco_files import MARK, CocoFiles
from .images import image_size, lost_pixels
from .kitti import KittiFolders
from .records import SHOWN, LabelledImage, LeftOut, Options, Problem, Report, one_file
from .sources import WHOLE, Item, Source, choose_splits, gather_splits
from .voc import VocFolders
from .yolo import YoloFolders

FORMATS: dict[str, type[Source]] = {
    each.FORMAT: each for each in (VocFolders, YoloFolders, KittiFolders, CocoSets)
}
Verify = Callable[[CocoFiles, list[str]], None]


def open_source(root: Path, name: str = 'auto') -> tuple[Source, str]:
    """Open a data set whose format is given or recognised.

    Args:
        root (Path): Data root.
        name (str): One of `FORMATS`, or 'auto'. Defaults to 'auto'.

    Returns:
        tuple[Source, str]: The data set, and the path that shows its format.

    Raises:
        DataError: If the data set does not have the format, or if no format
            or several are recognised.
    """
    if not root.is_dir():
        raise DataError(f'The data root {root} does not exist or is not a folder.')
    candidates = FORMATS if name == 'auto' else {name: FORMATS[name]}
    found = _recognise(root, candidates)
    if len(found) == 1:
        name, shown = found.popitem()
        return FORMATS[name](root), shown
    if found:
        seen = ' and like '.join(f'{each} ({shown})' for each, shown in found.items())
        raise DataError(f'{root} looks like {seen}: say which it is with --format.')
    looks = '; '.join(
        f'{each} has {source.LOOKS_LIKE}' for each, source in candidates.items()
    )
    below = [
        str(folder)
        for folder in sorted(root.iterdir())
        if folder.is_dir() and _recognise(folder, candidates)
    ]
    if below:
        raise DataError(
            f'{root} is not a data set itself, but holds some: '
            f'name one of {", ".join(below)}.'
        )
    raise DataError(
        f'{root} does not look like a data set with boxes: {looks}. A target '
        'domain for training needs none; name its folder in the config.'
    )


def _recognise(root: Path, candidates: dict[str, type[Source]]) -> dict[str, str]:
    """Give the formats that a folder has, each with what shows it."""
    return {
        name: shown
        for name, source in candidates.items()
        if (shown := source.recognise(root))
    }


def prepare_custom(
    source: Source,
    options: Options,
    classes: Sequence[str] | None = None,
    rename: Mapping[str, str] | None = None,
    splits: Sequence[str] | None = None,
    verify: Verify | None = None,
) -> Report:
    """Write the COCO files of a labelled data set.

    Args:
        source (Source): The data set.
        options (Options): Options of the command.
        classes (Sequence[str], optional): Categories to keep, in this order.
            Defaults to None: those that the data set lists, or else those
            that occur; 'car' for KITTI.
        rename (Mapping[str, str], optional): New names of categories.
        splits (Sequence[str], optional): Splits to write. Defaults to None,
            all. A data set without splits gets the given name, or 'train'.
        verify (Callable, optional): Function of the files and their splits
            that is called before the files get their final names. It may
            `note` problems or raise a `DataError`. Defaults to None.

    Returns:
        Report: The result.

    Raises:
        DataError: If the files cannot be made.
    """
    if classes is None and isinstance(source, KittiFolders):
        classes = ['car']
    if splits is not None and isinstance(source, CocoSets):
        source.choose(splits)
    items = list(source.items())
    if not items:
        raise DataError(
            '\n'.join(
                [
                    'The data set lists no image.',
                    *(each.sentence for each in source.problems[:SHOWN]),
                ]
            )
        )
    # Not before: COCO files name their categories when they are listed.
    categories = Categories(rename or {}, classes, source.names)
    # A COCO file keeps its name.
    listed = choose_splits(
        items, splits, None if isinstance(source, CocoSets) else WHOLE
    )
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
                'in no split'
                if item.split is None
                else 'in splits that were not asked for',
                item.image,
                source.label_files(item),
            )
    with CocoFiles(
        out,
        list(names.values()),
        categories.names,
        f'{MARK} from {source.FORMAT}',
        options,
    ) as files:
        for problem in (*source.problems, *problems):
            files.note(problem)
            if problem.image is not None:
                account.leave_out(problem.kind, problem.image)
        readings = map_in_order(
            partial(_read, source),
            [item for item, _ in images],
            options.workers,
            source.processes,
        )
        for (item, members), (size, boxes, problems) in zip(
            images, readings, strict=True
        ):
            for problem in problems:
                files.note(problem)
            if size is None:
                account.leave_out(
                    problems[-1].kind, item.image, source.label_files(item)
                )
                continue
            account.use(item.image, source.label_files(item))
            image = LabelledImage(
                item.image, *size, list(categories.annotations(boxes))
            )
            for split in members:
                files.add(names[split], image)
        categories.check()
        if verify is not None:
            verify(files, list(names))
        report = files.publish()
    report.notes += [*source.notes, *categories.notes()]
    report.account += account.lines()
    return report


def _read(
    source: Source, item: Item
) -> tuple[tuple[int, int] | None, list[Box], list[Problem]]:
    """Read size, boxes and problems of an image; no size if it is left out."""
    path, where = source.root / item.image, source.where(item)
    try:
        if not is_text(item.image):
            raise LeftOut(
                'images with unusable names',
                f'{str(path)!r} is not UTF-8 or has control characters, which '
                'training refuses: left out.',
            )
        with one_file(path):
            size = image_size(path)
        with one_file(where):
            boxes, problems = source.boxes(item, *size)
    except LeftOut as error:
        return None, [], [error.problem]
    boxes, more = clean_boxes(boxes, *size, where)
    lost = lost_pixels(path)
    return size, boxes, [*problems, *more, *filter(None, [lost])]


def _spare_input(source: Source, paths: list[Path]) -> None:
    """Refuse to overwrite the files that are read."""
    if isinstance(source, CocoSets):
        read = {path.resolve() for path in source.files.values()}
        for path in paths:
            if path.resolve() in read:
                raise DataError(
                    f'{path} is read and would be overwritten: '
                    'choose another folder with --out.'
                )
