"""Reading Cityscapes' instance maps."""

from pathlib import Path

import cv2
import numpy as np

from .images import image_size
from .records import LeftOut, Problem


def read_instances(path: Path) -> np.ndarray:
    """Read an instance map.

    Args:
        path (Path): gtFine's file.

    Returns:
        np.ndarray: Of shape (H, W).

    Raises:
        LeftOut: If it is missing or damaged.
    """
    if not path.exists():
        raise LeftOut(Problem(
            'images without an annotation file',
            f'{path} is missing: its image is left out.'))
    try:
        # OpenCV gives what there is of a file that is cut short.
        image_size(path)
        instances = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except LeftOut:
        instances = None
    if instances is None or instances.ndim != 2:
        raise damaged(path, 'is not a readable instance map')
    return instances


def damaged(path: Path, what: str) -> LeftOut:
    """Make the error for an instance map that cannot be used."""
    return LeftOut(Problem('damaged annotation files',
                           f'{path} {what}: its image is left out.'))
