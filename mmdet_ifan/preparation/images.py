"""Check image files and read their size without decoding them."""

from pathlib import Path

from PIL import Image

from ..utils.image_files import PILLOW_ERRORS, bits_per_channel, is_cut_short
from .records import LeftOut, Problem

ORIENTATION = 0x0112  # The EXIF tag; 5 to 8 swap height and width.


def image_size(path: Path) -> tuple[int, int]:
    """Read the size at which training loads an image.

    Only the header and the end of a JPEG or PNG are read. Other formats, and
    files without a proper end, are decoded to see whether they are intact.

    Args:
        path (Path): The image.

    Returns:
        tuple[int, int]: Height and width in px, after the rotation that the
        EXIF orientation asks for.

    Raises:
        LeftOut: If the file is missing, damaged, or has more than 16 bits
            per channel, which training cannot load.
    """
    try:
        with Image.open(path) as image:
            cut = is_cut_short(path)
            if cut is None:
                image.load()
            elif cut:
                raise OSError('The end is missing.')
            width, height = image.size
            # Not `getexif`, which decodes a PNG and also reads XMP, unlike
            # OpenCV. A TIFF, already rotated, has no such tag here.
            exif = Image.Exif()
            exif.load(image.info.get('exif', b''))
            if exif.get(ORIENTATION) in range(5, 9):
                width, height = height, width
    except FileNotFoundError as error:
        raise LeftOut('missing images', f'{path} is missing: left out.') from error
    except PILLOW_ERRORS as error:
        raise damaged_image(path) from error
    bits = bits_per_channel(path)
    if bits > 16:
        raise LeftOut(
            'images that training cannot load',
            f'{path} has {bits} bits per channel, which OpenCV does not '
            'load: left out. Convert it to 8 bits.',
        )
    return height, width


def damaged_image(path: Path) -> LeftOut:
    """Make the error for a damaged image."""
    return LeftOut('damaged images', f'{path} is not an intact image: left out.')


def lost_pixels(path: Path) -> Problem | None:
    """Describe what training does not see of an image.

    Args:
        path (Path): An intact image.

    Returns:
        Problem | None: None if training sees everything.
    """
    if bits_per_channel(path) > 8:
        return Problem(
            'images of 16 bits',
            f'{path} has 16 bits per channel, of which training sees the '
            'upper 8: convert all images to 8 bits with one scale, unless '
            'they use the full range.',
        )
    try:
        with Image.open(path) as image:
            if 'A' not in image.getbands() and 'transparency' not in (image.info):
                return None
            least, _ = image.convert('RGBA').getchannel('A').getextrema()
    except PILLOW_ERRORS:
        return None
    return (
        None
        if least == 255
        else Problem(
            'transparent images',
            f'{path} is partly transparent, and training sees the colours '
            'hidden there: replace them by a background.',
        )
    )
