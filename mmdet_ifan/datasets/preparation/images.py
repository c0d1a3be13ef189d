"""The size of an image file, and whether it is whole, without decoding."""

from pathlib import Path

from PIL import Image

from ..image_files import PILLOW_ERRORS, is_cut_short
from .records import LeftOut, Problem

ORIENTATION = 0x0112  # The EXIF tag; values over 4 swap height and width.


def image_size(path: Path) -> tuple[int, int]:
    """Read the size at which training loads an image.

    Only the header and the end of a JPEG or PNG are read. A file that does
    not end as it should, or of another format, is decoded to see whether it
    is whole.

    Args:
        path (Path): The image.

    Returns:
        tuple[int, int]: Height and width in px, after the rotation that a
        JPEG's EXIF orientation asks for.

    Raises:
        LeftOut: If the file is missing or damaged.
    """
    try:
        with Image.open(path) as image:
            cut = is_cut_short(path)
            if cut is None:
                image.load()
            elif cut:
                raise OSError('The end is missing.')
            width, height = image.size
            if image.format in ('JPEG', 'MPO') and image.getexif().get(
                    ORIENTATION, 1) > 4:
                width, height = height, width
    except FileNotFoundError as error:
        raise LeftOut(Problem('missing images',
                              f'{path} is missing: left out.')) from error
    except PILLOW_ERRORS as error:
        raise LeftOut(Problem(
            'damaged images', f'{path} is not a whole image: left out.'
        )) from error
    return height, width
