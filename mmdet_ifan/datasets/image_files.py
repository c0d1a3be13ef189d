"""Lists of image files, and what is wrong with them, by their names."""
import os
import os.path as osp
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import mmengine

from .disk import DataError

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def name_some(names: Iterable[object], limit: int = 5) -> str:
    """Write a list that stays readable when it is long.

    Args:
        names (Iterable): What to name.
        limit (int): How many, at most. Defaults to 5.

    Returns:
        str: Such as ``a, b and 7 more``.
    """
    words = [str(name) for name in names]
    more = len(words) - limit
    return ', '.join(words[:limit]) + (f' and {more} more' if more > 0 else '')


def repeated(values: Iterable) -> list:
    """Give what occurs more than once, in order of first occurrence.

    Args:
        values (Iterable): Hashable values.

    Returns:
        list: Each of them once.
    """
    return [value for value, num in Counter(values).items() if num > 1]


def images_below(folder: str | Path) -> list[str]:
    """Name the images in a folder and its sub-folders.

    Args:
        folder (str | Path): Must exist.

    Returns:
        list[str]: Paths relative to it, sorted. Hidden files are left out:
        macOS puts a ``._a.jpg``, which is no image, beside an ``a.jpg``.
    """
    return sorted(
        mmengine.scandir(
            folder, IMAGE_SUFFIXES, recursive=True, case_sensitive=False))


def check_images(paths: list[str], named_by: str, mend: str) -> None:
    """Check that every image of a list is there, and once.

    Args:
        paths (list[str]): The images.
        named_by (str): The list, for the message.
        mend (str): What to do if images are missing.

    Raises:
        DataError: If an image is listed twice.
        FileNotFoundError: If an image does not exist or is empty.
    """
    twice = repeated(osp.normpath(path) for path in paths)
    if twice:
        raise DataError(
            f'{named_by} lists {len(twice)} of its images more than once: '
            f'{name_some(twice)}. List each once.')
    absent = [path for path in paths if not _has_content(path)]
    if absent:
        raise FileNotFoundError(
            f'{len(absent)} of the {len(paths)} images that {named_by} names '
            f'do not exist or are empty: {name_some(absent)}. {mend}')


def _has_content(path: str) -> bool:
    """Tell whether a file exists and is not empty."""
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False


class NamesUnreadableImages:
    """Part of a data set: an image that cannot be loaded is named."""

    def prepare_data(self, idx: int) -> Any:
        """Load an image and what belongs to it through the pipeline.

        Args:
            idx (int): Index of the image.

        Returns:
            Any: What the pipeline makes of it.

        Raises:
            DataError: If the image is damaged.
        """
        try:
            return super().prepare_data(idx)  # type: ignore[misc]
        except (AssertionError, OSError, cv2.error) as error:
            path = self.get_data_info(idx)['img_path']  # type: ignore
            raise DataError(
                f'The image {path} cannot be loaded ({error}): get a whole '
                'copy of it, or take it out of its list or folder.'
            ) from error
