"""The size of an image file, and whether it is whole, without decoding."""

from pathlib import Path

from PIL import Image

from ..utils.image_files import PILLOW_ERRORS, bits_per_channel, is_cut_short
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
        LeftOut: If the file is missing, damaged or of more than 16 bits a
            channel, which training cannot load.
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
    bits = bits_per_channel(path)
    if bits > 16:
        raise LeftOut(Problem(
            'images that training cannot load',
            f'{path} has {bits} bits a channel, which OpenCV does not load: '
            'left out. Convert it to 8 bits.'))
    return height, width


def lost_pixels(path: Path) -> Problem | None:
    """Say what training does not see of an image.

    Args:
        path (Path): A whole image.

    Returns:
        Problem | None: None if it sees everything.
    """
    if bits_per_channel(path) > 8:
        return Problem(
            'images of 16 bits',
            f'{path} has 16 bits a channel, of which training sees the upper '
            '8: convert it to 8 bits, as all others by one scale, unless it '
            'uses the whole range.')
    try:
        with Image.open(path) as image:
            if 'A' not in image.getbands() and 'transparency' not in (
                    image.info):
                return None
            least, _ = image.convert('RGBA').getchannel('A').getextrema()
    except PILLOW_ERRORS:
        return None
    return None if least == 255 else Problem(
        'transparent images',
        f'{path} is transparent in places, where training sees the colours '
        'that it hides: fill them.')
