"""The size of an image file, and whether it is whole, without decoding."""

from pathlib import Path

from PIL import Image

from ..image_files import PILLOW_ERRORS, is_cut_short
from .records import LeftOut, Problem

ORIENTATION = 0x0112  # The EXIF tag; 5 to 8 swap height and width.


def image_size(path: Path) -> tuple[int, int]:
    """Read the size at which training loads an image.

    Only the header and the end of a JPEG or PNG are read. A file that does
    not end as it should, or of another format, is decoded to see whether it
    is whole.

    Args:
        path (Path): The image.

    Returns:
        tuple[int, int]: Height and width in px, after the rotation that the
        EXIF orientation asks for.

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
            # Not `getexif`, which decodes a PNG and asks XMP too, as OpenCV
            # does not. Of a TIFF, already turned, this finds nothing.
            exif = Image.Exif()
            exif.load(image.info.get('exif', b''))
            if exif.get(ORIENTATION) in range(5, 9):
                width, height = height, width
    except FileNotFoundError as error:
        raise LeftOut(Problem('missing images',
                              f'{path} is missing: left out.')) from error
    except PILLOW_ERRORS as error:
        raise LeftOut(Problem(
            'damaged images', f'{path} is not a whole image: left out.'
        )) from error
    return height, width
