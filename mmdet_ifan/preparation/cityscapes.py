"""Prepare clear and foggy Cityscapes.

A box is the tightest rectangle around an instance mask, as in every paper on
Cityscapes -> Foggy Cityscapes. Categories, boxes, areas and crowds equal
those of MMDetection's own converter, which also writes masks.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from ..utils.errors import DataError
from ..utils.parallel import map_in_order
from .accounting import Account
from .cityscapes_files import (
    CATEGORIES,
    CLEAR,
    FOGGY,
    FOGGY_FOLDER,
    LABELS,
    SPLITS,
    SYNTHETIC_MARKER,
    Kind,
    boxes_from_instances,
    find_frames,
    fix,
    fog_levels,
    read_instances,
)
from .coco_files import MARK, CocoFiles
from .fog import DENSE_BETA, OFFICIAL_BETAS
from .images import image_size
from .records import (
    LabelledImage,
    LeftOut,
    Options,
    Problem,
    Report,
    damaged_labels,
    one_file,
)
from .stand_in import MANIFEST, check_stand_in, stand_in_counts

REAL_IMAGES = {'train': 2975, 'val': 500}
REAL_IF_MORE_THAN = 2000  # Training images; no Mini City is that large.
#: Kinds of a file's images, by the part of its name after the split.
Versions = dict[str, list[Kind]]


def prepare_cityscapes(
    root: Path, options: Options, betas: Iterable[float | str] | None = None
) -> Report:
    """Write the COCO files of a Cityscapes root.

    An image of 'train' with a damaged or missing file is left out and
    reported. Images of 'val' are never left out, so there it is an error.

    Args:
        root (Path): Root of Cityscapes or Mini City, with leftImg8bit,
            gtFine and perhaps leftImg8bit_foggy.
        options (Options): Options of the command.
        betas (Iterable[float | str], optional): Fog levels, or 'all', the
            official three, which also gives a file with all of them.
            Defaults to None: 0.02 if there are foggy images, and 0.05 for
            Mini City.

    Returns:
        Report: The result.

    Raises:
        DataError: If the root is not one of Cityscapes, images are missing
            or a test image cannot be used. Nothing is written then.
    """
    counts = stand_in_counts(root)
    account = Account(root)
    account.use(files=[root / MANIFEST, root / SYNTHETIC_MARKER])
    frames = {split: find_frames(root, split, CLEAR, LABELS) for split in SPLITS}
    if counts is None:
        _check_numbers(root, frames)
    if betas is None and (root / FOGGY_FOLDER).is_dir():
        betas = [0.02] if counts is None else [0.02, DENSE_BETA]
    versions = _versions(root, betas or [])
    kinds = list(dict.fromkeys(sum(versions.values(), [])))
    with CocoFiles(
        options.folder(root),
        [_file(split, version) for split in SPLITS for version in versions],
        CATEGORIES,
        f'{MARK} from Cityscapes',
        options,
    ) as files:
        for problem in _keep_apart(root, frames):
            files.note(problem)
            if problem.image is not None:
                account.leave_out(problem.kind, problem.image)
        for split in SPLITS:
            readings = map_in_order(
                partial(_read, root, kinds),
                frames[split],
                options.workers,
                title=f'read {split}',
            )
            for frame, (images, problems) in zip(frames[split], readings, strict=True):
                for problem in problems:
                    files.note(problem)
                for version, listed in versions.items():
                    for kind in listed:
                        if kind in images:
                            files.add(_file(split, version), images[kind])
                labels = [root / LABELS.path(frame)]
                for kind in kinds:
                    if kind in images:
                        account.use(kind.path(frame), labels)
                    else:
                        account.leave_out(problems[-1].kind, kind.path(frame), labels)
        # No image of a stand-in may be missing either.
        for split in ('val',) if counts is None else SPLITS:
            _check_whole(files, split, len(frames[split]), versions)
        if counts is not None:
            found = {each.path.name: each for each in files.summaries()}
            check_stand_in(
                root, counts, {split: found[_file(split, '')] for split in SPLITS}
            )
        report = files.publish()
    if (root / SYNTHETIC_MARKER).exists():
        report.notes.append(
            f'The fog in {root / FOGGY_FOLDER} is synthetic, made by '
            'tools/prepare/fog.py. It is not the official Foggy Cityscapes.'
        )
    report.account += account.lines()
    return report


def _file(split: str, version: str) -> str:
    """Name a COCO file."""
    return f'instances_{split}{version}.json'


def _versions(root: Path, betas: Iterable[float | str]) -> Versions:
    """Choose the files to write for each split."""
    levels = fog_levels(betas)
    if levels and not (root / FOGGY_FOLDER).is_dir():
        raise DataError(
            f'{root} has no {FOGGY_FOLDER}: {fix(FOGGY[levels[0]])}, make '
            'fog with tools/prepare/fog.py, or leave out --beta.'
        )
    versions = {'': [CLEAR]}
    versions |= {f'_foggy_beta_{beta}': [FOGGY[beta]] for beta in levels}
    if set(OFFICIAL_BETAS) <= set(levels):
        versions['_foggy_all'] = [FOGGY[beta] for beta in OFFICIAL_BETAS]
    return versions


def _check_numbers(root: Path, frames: dict[str, list[str]]) -> None:
    """Compare the numbers of images with those of real Cityscapes."""
    if len(frames['train']) <= REAL_IF_MORE_THAN:
        return
    for split, expected in REAL_IMAGES.items():
        if len(frames[split]) != expected:
            raise DataError(
                f'{root}/leftImg8bit/{split} holds {len(frames[split])} '
                f'images, but Cityscapes has {expected}: unpack '
                f'{CLEAR.archive} and {LABELS.archive} again.'
            )


def _keep_apart(root: Path, frames: dict[str, list[str]]) -> list[Problem]:
    """Remove images that are in both splits from 'train'."""
    both = sorted(
        CLEAR.frames(root, 'train').intersection(
            frame.replace('val', 'train', 1) for frame in CLEAR.frames(root, 'val')
        )
    )
    frames['train'] = sorted(set(frames['train']).difference(both))
    return [
        Problem(
            'images in two splits',
            f'{CLEAR.path(frame)} is in val too: kept in val only.',
            CLEAR.path(frame),
        )
        for frame in both
    ]


def _read(
    root: Path, kinds: list[Kind], frame: str
) -> tuple[dict[Kind, LabelledImage], list[Problem]]:
    """Read the boxes of a frame; give its usable images, and the problems."""
    images: dict[Kind, LabelledImage] = {}
    problems: list[Problem] = []
    path = root / LABELS.path(frame)
    try:
        with one_file(path):
            instances = read_instances(path)
            try:
                annotations = boxes_from_instances(instances)
            except ValueError as error:
                raise damaged_labels(
                    path, f'holds {error}, which Cityscapes does not have'
                ) from error
    except LeftOut as error:
        return images, [error.problem]
    height, width = instances.shape
    for kind in kinds:
        name = kind.path(frame)
        try:
            with one_file(root / name):
                size = image_size(root / name)
                if size != (height, width):
                    raise LeftOut(
                        'images of another size',
                        f'{root / name} has {size[0]} x {size[1]} px, but its '
                        f'label file {height} x {width}: left out.',
                    )
        except LeftOut as error:
            problems.append(error.problem)
        else:
            images[kind] = LabelledImage(name, height, width, annotations)
    return images, problems


def _check_whole(files: CocoFiles, split: str, frames: int, versions: Versions) -> None:
    """Check that no image of a split was left out."""
    found = {each.path.name: each.images for each in files.summaries()}
    for version, kinds in versions.items():
        name, expected = _file(split, version), frames * len(kinds)
        if found[name] != expected:
            raise files.problems.error(
                f'{name} would hold {found[name]} of {expected} images. None '
                'may be left out, since scores on fewer images cannot be '
                f'compared: {fix(LABELS)}, and likewise the archive of any '
                'image named here.'
            )
