"""Find the files of Cityscapes and its companions, and the boxes in them.

A frame is named by its split, city and stem, such as
'train/aachen/aachen_000000_000019'.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cityscapesscripts.helpers.labels import id2label, labels

from ..utils.errors import DataError
from .fog import BETAS, OFFICIAL_BETAS
from .images import image_size
from .records import LeftOut, damaged_labels, missing_labels

SPLITS = ('train', 'val')


@dataclass(frozen=True)
class Kind:
    """One kind of file, of which every frame has one.

    Args:
        folder (str): Folder relative to the root.
        ending (str): End of the file name, after the stem.
        archive (str): Archive that holds the files.
    """

    folder: str
    ending: str
    archive: str

    def path(self, frame: str) -> str:
        """Give the path of a frame's file relative to the root."""
        return f'{self.folder}/{frame}{self.ending}'

    def frames(self, root: Path, split: str) -> set[str]:
        """Find the frames of a split that have the file."""
        folder = root / self.folder
        return {
            path.relative_to(folder).as_posix()[: -len(self.ending)]
            for path in (folder / split).glob(f'*/*{self.ending}')
        }


CLEAR = Kind('leftImg8bit', '_leftImg8bit.png', 'leftImg8bit_trainvaltest.zip')
LABELS = Kind('gtFine', '_gtFine_instanceIds.png', 'gtFine_trainvaltest.zip')
DISPARITY = Kind('disparity', '_disparity.png', 'disparity_trainvaltest.zip')
CAMERA = Kind('camera', '_camera.json', 'camera_trainvaltest.zip')
#: By fog level, in 1/m.
FOGGY = {
    beta: Kind(
        'leftImg8bit_foggy',
        f'_leftImg8bit_foggy_beta_{beta}.png',
        'leftImg8bit_trainvaltest_foggy.zip',
    )
    for beta in BETAS
}
FOGGY_FOLDER = 'leftImg8bit_foggy'
#: Marks a foggy folder whose images are not the official ones.
SYNTHETIC_MARKER = f'{FOGGY_FOLDER}/SYNTHETIC_FOG.txt'


def find_frames(root: Path, split: str, *kinds: Kind) -> list[str]:
    """List the frames of a split.

    Args:
        root (Path): Root of Cityscapes.
        split (str): 'train' or 'val'.
        *kinds (Kind): Files that every frame should have; a frame with any
            of them is listed.

    Returns:
        list[str]: The frames, sorted.

    Raises:
        DataError: If a split has no file of a kind.
    """
    if not root.is_dir():
        raise DataError(
            f'The data root {root} does not exist or is not a '
            'folder: name the folder that holds '
            f'{" and ".join(kind.folder for kind in kinds)}.'
        )
    frames: set[str] = set()
    for kind in kinds:
        folder = f'{kind.folder}/{split}'
        found = kind.frames(root, split)
        if not found:
            what = 'holds no image' if (root / folder).is_dir() else ('is missing')
            raise DataError(f'{root / folder} {what}: {fix(kind)}.')
        frames |= found
    return sorted(frames)


def fog_levels(betas: Iterable[float | str]) -> list[float]:
    """Check fog levels.

    Args:
        betas (Iterable[float | str]): Levels in 1/m, or 'all', the official
            three.

    Returns:
        list[float]: Sorted levels, each once.

    Raises:
        DataError: If there is no such level.
    """
    levels: set[float] = set()
    for beta in betas:
        named = [
            level
            for level in BETAS
            if str(beta) == str(level) or beta == 'all' and level in OFFICIAL_BETAS
        ]
        if not named:
            raise DataError(
                f'beta {beta} is not a level of fog: choose among '
                f'{", ".join(map(str, BETAS))} and all.'
            )
        levels.update(named)
    return sorted(levels)


def fix(kind: Kind) -> str:
    """Say how to replace a missing or damaged file."""
    return f'unpack {kind.archive} (or render Mini City) into this root again'


#: person, rider, car, truck, bus, train, motorcycle, bicycle.
CATEGORIES = {
    label.id: label.name
    for label in labels
    if label.hasInstances and not label.ignoreInEval
}


def read_instances(path: Path) -> np.ndarray:
    """Read an instance map.

    Args:
        path (Path): A file of gtFine.

    Returns:
        np.ndarray: Label id * 1000 + number of each pixel, or the label id
        alone, of shape (H, W).

    Raises:
        LeftOut: If the file is missing or damaged.
    """
    if not path.exists():
        raise missing_labels(path)
    try:
        # OpenCV reads a file that is cut short without complaint.
        image_size(path)
        instances = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except LeftOut:
        instances = None
    if instances is None or instances.ndim != 2:
        raise damaged_labels(path, 'is not a readable instance map')
    return instances


def boxes_from_instances(instances: np.ndarray) -> list[dict[str, Any]]:
    """Find the box of every instance in one pass over the image.

    The image is cut into horizontal runs of one code. Only the runs of
    objects are processed further: a few thousand instead of two million
    pixels for each object.

    Args:
        instances (np.ndarray): Instance map of shape (H, W): label id * 1000
            + number, or the label id alone for a group whose members the
            annotators could not separate.

    Returns:
        list[dict[str, Any]]: In the order of the codes, 'category_id' (the
        label id), 'bbox' (x, y, width, height in px), 'area' in px and
        'iscrowd' (1 for a group).

    Raises:
        ValueError: If a label id is not one of Cityscapes.
    """
    codes, rows, lefts, rights = _runs(instances)
    order = np.argsort(codes, kind='stable')
    codes, rows, lefts, rights = (
        values[order] for values in (codes, rows, lefts, rights)
    )
    firsts = np.flatnonzero(np.diff(codes, prepend=-1))
    if not len(firsts):
        return []
    # The runs of one code are still sorted by row.
    tops, bottoms = rows[firsts], rows[np.append(firsts[1:], len(rows)) - 1]
    x1 = np.minimum.reduceat(lefts, firsts)
    widths = np.maximum.reduceat(rights, firsts) - x1
    boxes = np.stack([x1, tops, widths, bottoms - tops + 1], axis=1)
    areas = np.add.reduceat(rights - lefts, firsts)
    return [
        dict(category_id=_label_id(code), bbox=box, area=area, iscrowd=int(code < 1000))
        for code, box, area in zip(
            codes[firsts].tolist(), boxes.tolist(), areas.tolist(), strict=True
        )
    ]


def _runs(instances: np.ndarray) -> tuple[np.ndarray, ...]:
    """Find runs of objects: code, row, first and past-the-end column."""
    height, width = instances.shape
    starts_run = np.ones((height, width), dtype=bool)
    np.not_equal(instances[:, 1:], instances[:, :-1], out=starts_run[:, 1:])
    starts = np.flatnonzero(starts_run)
    codes = instances.reshape(-1)[starts].astype(np.int64)
    ends = np.append(starts[1:], height * width)
    present = np.flatnonzero(np.bincount(codes)).tolist()
    for code in present:
        if _label_id(code) not in id2label:
            raise ValueError(f'the label id {_label_id(code)}')
    wanted = np.zeros(present[-1] + 1, dtype=bool)
    wanted[[code for code in present if _label_id(code) in CATEGORIES]] = True
    kept = wanted[codes]
    starts, ends = starts[kept], ends[kept]
    rows = starts // width
    return codes[kept], rows, starts - rows * width, ends - rows * width


def _label_id(code: int) -> int:
    """Give the label id of an instance map's code."""
    return code // 1000 if code >= 1000 else code
