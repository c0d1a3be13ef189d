"""The size of an image file, and whether it is whole, without decoding."""

import os
import struct
from pathlib import Path

from PIL import Image

from .records import LeftOut, Problem

#: How a whole file of a format ends.
ENDS = {'JPEG': b'\xff\xd9', 'MPO': b'\xff\xd9', 'PNG': b'IEND\xaeB`\x82'}
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
            _check_whole(path, image)
            width, height = image.size
            if image.format in ('JPEG', 'MPO') and image.getexif().get(
                    ORIENTATION, 1) > 4:
                width, height = height, width
    except FileNotFoundError as error:
        raise LeftOut(Problem('missing images',
                              f'{path} is missing: left out.')) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error,
            Image.DecompressionBombError) as error:
        raise LeftOut(Problem(
            'damaged images', f'{path} is not a whole image: left out.'
        )) from error
    return height, width


def _check_whole(path: Path, image: Image.Image) -> None:
    """Decode the image unless its last bytes show that it is whole.

    Raises:
        OSError: Or another of Pillow's errors, if it is not.
    """
    end = ENDS.get(image.format or '', b'')
    with path.open('rb') as file:
        file.seek(-len(end), os.SEEK_END)
        if end and file.read() == end:
            return
        image.load()
        # Something may follow the end; Pillow forgives that there is none,
        # OpenCV, which loads the images for training, does not.
        file.seek(0)
        if end not in file.read():
            raise OSError('The end is missing.')
