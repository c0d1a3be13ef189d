"""Lists of image files, and what is wrong with them, by their names."""
import logging
import os
import os.path as osp
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import mmengine
from mmengine.logging import print_log
from PIL import Image

from .errors import DataError
from .json_files import is_text
from .text import name_some, repeated

#: How a whole file begins and ends.
JPEG = (b'\xff\xd8\xff', b'\xff\xd9')
TIFF = (b'II*\0', b'MM\0*')
BITS_PER_SAMPLE = 258  # The TIFF tag.
PNG = (b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82')
#: What Pillow raises when a file is damaged or no image.
PILLOW_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error,
                 Image.DecompressionBombError)
#: Weak compression: noise hardly shrinks, and this is 5 times faster.
PNG_FLAGS = (cv2.IMWRITE_PNG_COMPRESSION, 1)
IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def images_below(folder: str | Path) -> list[str]:
    """Name the images in a folder and its sub-folders.

    Args:
        folder (str | Path): Must exist.

    Returns:
        list[str]: Paths relative to it, sorted. Hidden files and folders are
        left out: macOS puts a ``._a.jpg``, which is no image, beside an
        ``a.jpg``, and Jupyter copies into ``.ipynb_checkpoints``.
    """
    names = mmengine.scandir(
        folder, IMAGE_SUFFIXES, recursive=True, case_sensitive=False)
    return sorted(name for name in names if not any(
        part.startswith('.') for part in Path(name).parts))


def check_names(paths: Iterable[str]) -> None:
    """Check that OpenCV can be given the paths of images.

    One that is not UTF-8 would end the process without a word.

    Args:
        paths (Iterable[str]): The images.

    Raises:
        DataError: If one is not UTF-8 or has control characters.
    """
    unusable = [ascii(path) for path in paths if not is_text(path)]
    if unusable:
        raise DataError(
            f'{len(unusable)} images have a path that is not UTF-8 or has '
            f'control characters: {name_some(unusable)}. Rename them.')


def is_cut_short(path: str | Path) -> bool | None:
    """Tell whether a JPEG or PNG lacks its end.

    Only the first and last bytes are read; the image is decoded if the last
    ones are not its end, since something else may follow it.

    Args:
        path (str | Path): The image.

    Returns:
        bool | None: None for another format, whose end does not show.

    Raises:
        OSError: If the file cannot be read.
    """
    with open(path, 'rb') as file:
        start = file.read(8)
        ends = [end for begin, end in (JPEG, PNG) if start.startswith(begin)]
        if not ends:
            return None
        file.seek(-len(ends[0]), os.SEEK_END)
        if file.read() == ends[0]:
            return False
        file.seek(0)
        content = file.read()
    try:
        with Image.open(path) as image:
            image.load()
    except PILLOW_ERRORS:
        return True
    # Pillow forgives that the end is missing; OpenCV, which loads the images
    # for training, does not.
    return ends[0] not in content


def bits_per_channel(path: str | Path) -> int:
    """Read how many bits an image has for a channel of a pixel.

    OpenCV loads the upper 8 of 16 for training, and no image of 32.

    Args:
        path (str | Path): The image.

    Returns:
        int: That of a PNG or TIFF; 8 for any other, and for one that cannot
        be read.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(25)
        if head.startswith(PNG[0]):
            return 16 if head[24] == 16 else 8
        if head.startswith(TIFF):
            with Image.open(path) as image:
                tags: Any = image
                return max(tags.tag_v2.get(BITS_PER_SAMPLE, (8, )))
    except (*PILLOW_ERRORS, IndexError, TypeError):
        pass
    return 8


def check_images(paths: list[str], named_by: str, mend: str,
                 skippable: int = 0) -> None:
    """Check that every image of a list is there, whole, and once.

    Images of 16 bits are warned of: a thermal camera's may use few of the
    upper 8, which are all that training sees.

    Little more than the ends of a file is read. What that does not show, an
    image that is damaged in the middle or, unless it is a JPEG or PNG, cut
    short, is named when it is loaded.

    Args:
        paths (list[str]): The images.
        named_by (str): The list, for the message.
        mend (str): What to do if images are missing.
        skippable (int): So many damaged ones are only warned of.
            Defaults to 0.

    Raises:
        DataError: If an image has an unusable name, is listed twice, damaged
            or of more than 16 bits.
        FileNotFoundError: If an image does not exist or is empty.
    """
    check_names(paths)
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
    damaged = [path for path in paths if _is_damaged(path)]
    if damaged:
        sentence = (
            f'{len(damaged)} of the {len(paths)} images that {named_by} names '
            f'are cut short or no images: {name_some(damaged)}.')
        if len(damaged) > skippable:
            raise DataError(f'{sentence} Get whole copies of them, or take '
                            'them out.')
        print_log(f'{sentence} Training skips them.', logger='current',
                  level=logging.WARNING)
    _check_bits(paths, named_by)


def _check_bits(paths: list[str], named_by: str) -> None:
    """Check that images can be loaded as they are meant.

    Raises:
        DataError: If OpenCV loads one not at all.
    """
    bits = {path: bits_per_channel(path) for path in paths}
    deep = [path for path in paths if bits[path] > 8]
    if not deep:
        return
    sentence = (f'{len(deep)} of the {len(paths)} images that {named_by} '
                f'names have more than 8 bits a channel: {name_some(deep)}. ')
    convert = 'Convert them to 8 bits, those of both domains by one scale'
    if max(bits.values()) > 16:
        raise DataError(f'{sentence}OpenCV does not load those of more than '
                        f'16. {convert}.')
    print_log(f'{sentence}Training sees the upper 8. {convert}, unless they '
              'use the whole range.', logger='current', level=logging.WARNING)


def _has_content(path: str) -> bool:
    """Tell whether a file exists and is not empty."""
    try:
        return os.stat(path).st_size > 0
    except (OSError, ValueError):  # No file can have a NUL in its name.
        return False


def _is_damaged(path: str) -> bool:
    """Tell whether the ends of an image show that it cannot be loaded."""
    try:
        cut = is_cut_short(path)
    except OSError:
        return True
    return not cv2.haveImageReader(path) if cut is None else cut
