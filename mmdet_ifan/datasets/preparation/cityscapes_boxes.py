"""Boxes of Cityscapes' instance maps, image by image."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cityscapesscripts.helpers.labels import id2label, labels

from .disk import DataError

# person, rider, car, truck, bus, train, motorcycle, bicycle.
CATEGORIES = {label.id: label.name for label in labels
              if label.hasInstances and not label.ignoreInEval}
CLEAR_SUFFIX = '_leftImg8bit.png'
LABEL_SUFFIX = '_gtFine_instanceIds.png'
CLEAR_ARCHIVE = 'leftImg8bit_trainvaltest.zip'
LABEL_ARCHIVE = 'gtFine_trainvaltest.zip'
FOGGY_ARCHIVE = 'leftImg8bit_trainvaltest_foggy.zip'
PNG_START = b'\x89PNG\r\n\x1a\n'
PNG_END = b'IEND\xaeB`\x82'

Annotation = dict[str, Any]


@dataclass
class LabelledImage:
    """An image's boxes, shared by its foggy versions.

    Args:
        clear (str): Path of the clear image under the root.
        height (int): In px.
        width (int): In px.
        annotations (list[Annotation]): Without ids.
    """

    clear: str
    height: int
    width: int
    annotations: list[Annotation]


def boxes_from_instances(instances: np.ndarray) -> list[Annotation]:
    """Find every instance's box in one pass over the image.

    The image is cut into horizontal runs of one code; what follows touches
    only the runs of objects, a few thousand instead of two million pixels
    for each object in turn.

    Args:
        instances (np.ndarray): Cityscapes' instance map of shape (H, W):
            label id * 1000 + number, or the label id alone where the
            annotators could not tell a group's members apart.

    Returns:
        list[Annotation]: In the order of the codes, 'category_id' (the
        label id), 'bbox' (x, y, width, height in px), 'area' in px and
        'iscrowd' (1 for a group).

    Raises:
        ValueError: If a label id is not one of Cityscapes.
    """
    codes, rows, lefts, rights = _runs(instances)
    order = np.argsort(codes, kind='stable')
    codes, rows, lefts, rights = (
        values[order] for values in (codes, rows, lefts, rights))
    firsts = np.flatnonzero(np.diff(codes, prepend=-1))
    if not len(firsts):
        return []
    # Runs of one code are still in the order of their rows.
    tops, bottoms = rows[firsts], rows[np.append(firsts[1:], len(rows)) - 1]
    x1 = np.minimum.reduceat(lefts, firsts)
    widths = np.maximum.reduceat(rights, firsts) - x1
    boxes = np.stack([x1, tops, widths, bottoms - tops + 1], axis=1)
    areas = np.add.reduceat(rights - lefts, firsts)
    return [
        dict(category_id=_label_id(code), bbox=box, area=area,
             iscrowd=int(code < 1000))
        for code, box, area in zip(codes[firsts].tolist(), boxes.tolist(),
                                   areas.tolist(), strict=True)]


def _runs(instances: np.ndarray) -> tuple[np.ndarray, ...]:
    """Horizontal runs of objects: code, row, first and past-last column."""
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
    """Label id of an instance map's code."""
    return code // 1000 if code >= 1000 else code


def read_labelled_image(root: Path, clear: str) -> LabelledImage:
    """Read the boxes of a clear image and check its size.

    Args:
        root (Path): Cityscapes' root.
        clear (str): Path of the image under the root.

    Returns:
        LabelledImage: With its boxes.

    Raises:
        DataError: If a file is missing, damaged or of another size.
    """
    path = root / label_path(clear)
    if not path.exists():
        raise DataError(f'{root / clear} has no label file {path}: '
                        f'{mend(LABEL_ARCHIVE)}.')
    instances = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if instances is None or instances.ndim != 2:
        raise DataError(f'{path} is not a readable instance map: remove it '
                        f'and {mend(LABEL_ARCHIVE)}.')
    try:
        annotations = boxes_from_instances(instances)
    except ValueError as error:
        raise DataError(f'{path} holds {error}, which Cityscapes does not '
                        f'have: remove it and {mend(LABEL_ARCHIVE)}.'
                        ) from error
    height, width = instances.shape
    check_png(root / clear, height, width, CLEAR_ARCHIVE)
    return LabelledImage(clear, height, width, annotations)


def label_path(clear: str) -> str:
    """Path of a clear image's instance map, both under the root."""
    stem = clear.removesuffix(CLEAR_SUFFIX)
    return 'gtFine' + stem.removeprefix('leftImg8bit') + LABEL_SUFFIX


def foggy_path(clear: str, beta: float) -> str:
    """Path of a clear image's foggy version, both under the root."""
    stem = clear.removesuffix('.png')
    return ('leftImg8bit_foggy' + stem.removeprefix('leftImg8bit')
            + f'_foggy_beta_{beta}.png')


def mend(archive: str) -> str:
    """How to get back a file that is missing or damaged."""
    return f'unpack {archive} (or render Mini City) into this root again'


def check_png(path: Path, height: int, width: int, archive: str) -> None:
    """Check a PNG's size and that it is whole, without decoding it.

    Args:
        path (Path): The image.
        height (int): What it should be, in px.
        width (int): What it should be, in px.
        archive (str): Where it comes from, for the message.

    Raises:
        DataError: If it is missing, damaged or of another size.
    """
    if not path.exists():
        raise DataError(f'{path} is missing: {mend(archive)}.')
    with path.open('rb') as file:
        start = file.read(24)
        file.seek(max(0, path.stat().st_size - len(PNG_END)))
        end = file.read()
    if not start.startswith(PNG_START) or end != PNG_END:
        raise DataError(f'{path} is not a whole PNG: remove it and '
                        f'{mend(archive)}.')
    found_width, found_height = struct.unpack('>II', start[16:24])
    if (found_height, found_width) != (height, width):
        raise DataError(
            f'{path} has {found_height} x {found_width} px, but its label '
            f'file {height} x {width}: remove both and {mend(archive)}.')
