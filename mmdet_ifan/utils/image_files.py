"""List image files, find those that a file names, and check them undecoded."""

import os
import os.path as osp
import re
import struct
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import cv2
from PIL import Image

from .errors import DataError, name_some, repeated, warn
from .files import names_below
from .values import is_text

#: First and last bytes of an intact file.
JPEG = (b'\xff\xd8\xff', b'\xff\xd9')
TIFF = (b'II*\0', b'MM\0*')
BITS_PER_SAMPLE = 258  # The TIFF tag.
PNG = (b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82')
#: Errors of Pillow for a damaged file or one that is not an image.
PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)
#: Weak compression: noise hardly shrinks, and this is 5 times faster.
PNG_FLAGS = (cv2.IMWRITE_PNG_COMPRESSION, 1)
IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def images_below(folder: str | Path) -> list[str]:
    """List the images in a folder and its sub-folders.

    Args:
        folder (str | Path): An existing folder.

    Returns:
        list[str]: Paths relative to the folder, sorted, without hidden files
        and folders; see `names_below`.
    """
    return sorted(
        name for name in names_below(folder) if name.lower().endswith(IMAGE_SUFFIXES)
    )


def check_names(paths: Iterable[str]) -> None:
    """Check that OpenCV can open the paths of images.

    A path that is not UTF-8 would end the process without a message.

    Args:
        paths (Iterable[str]): The images.

    Raises:
        DataError: If a path is not UTF-8 or has control characters.
    """
    unusable = [ascii(path) for path in paths if not is_text(path)]
    if unusable:
        raise DataError(
            f'{len(unusable)} images have a path that is not UTF-8 or has '
            f'control characters: {name_some(unusable)}. Rename them.'
        )


def is_cut_short(path: str | Path) -> bool | None:
    """Tell whether a JPEG or PNG lacks its end.

    Only the first and last bytes are read. If the last bytes are not those
    of an intact file, the image is decoded, since other data may follow it.

    Args:
        path (str | Path): The image.

    Returns:
        bool | None: None for other formats, which do not mark their end.

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
    # Pillow accepts a missing end; OpenCV, which loads the images for
    # training, does not.
    return ends[0] not in content


def bits_per_channel(path: str | Path) -> int:
    """Read the number of bits per channel of an image.

    OpenCV, which loads images for training, keeps the upper 8 of 16 bits and
    does not load images of 32.

    Args:
        path (str | Path): The image.

    Returns:
        int: The depth of a PNG or TIFF; 8 for any other format and for an
        unreadable file.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(25)
        if head.startswith(PNG[0]):
            return 16 if head[24] == 16 else 8
        if head.startswith(TIFF):
            with Image.open(path) as image:
                tags: Any = image
                return max(tags.tag_v2.get(BITS_PER_SAMPLE, (8,)))
    except (*PILLOW_ERRORS, IndexError, TypeError):
        pass
    return 8


def check_images(paths: list[str], named_by: str, fix: str, skippable: int = 0) -> None:
    """Check that every image of a list exists, is intact and listed once.

    Images of 16 bits get a warning: training sees their upper 8 bits only,
    of which a thermal camera may use few.

    Little more than both ends of a file is read. An image that is damaged in
    the middle, or cut short and neither JPEG nor PNG, is found when it is
    loaded.

    Args:
        paths (list[str]): The images.
        named_by (str): The list, for the message.
        fix (str): Sentence that says what to do if images are missing.
        skippable (int): Number of damaged images that only get a warning.
            Defaults to 0.

    Raises:
        DataError: If an image has an unusable name, is listed twice, is
            damaged or has more than 16 bits per channel.
        FileNotFoundError: If an image does not exist or is empty.
    """
    check_names(paths)
    twice = repeated(osp.normpath(path) for path in paths)
    if twice:
        raise DataError(
            f'{named_by} lists {len(twice)} of its images more than once: '
            f'{name_some(twice)}. List each once.'
        )
    absent = [path for path in paths if not _has_content(path)]
    if absent:
        raise FileNotFoundError(
            f'{len(absent)} of the {len(paths)} images that {named_by} names '
            f'do not exist or are empty: {name_some(absent)}. {fix}'
        )
    damaged = [path for path in paths if _is_damaged(path)]
    if damaged:
        sentence = (
            f'{len(damaged)} of the {len(paths)} images that {named_by} names '
            f'are cut short or not images: {name_some(damaged)}.'
        )
        if len(damaged) > skippable:
            raise DataError(
                f'{sentence} Replace them with intact copies, or '
                'remove them from the list.'
            )
        warn(f'{sentence} Training skips them.')
    _check_bits(paths, named_by)


def _check_bits(paths: list[str], named_by: str) -> None:
    """Refuse images above 16 bits per channel; warn of those above 8."""
    bits = {path: bits_per_channel(path) for path in paths}
    deep = [path for path in paths if bits[path] > 8]
    if not deep:
        return
    sentence = (
        f'{len(deep)} of the {len(paths)} images that {named_by} names have '
        f'more than 8 bits per channel: {name_some(deep)}. '
    )
    convert = 'Convert them to 8 bits, with one scale for both domains'
    if max(bits.values()) > 16:
        raise DataError(
            f'{sentence}OpenCV does not load those of more than 16. {convert}.'
        )
    warn(
        f'{sentence}Training sees the upper 8. {convert}, unless they '
        'use the full range.'
    )


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


SAMPLE = 200  # Images that are looked for to find their folder.
DEEPEST = 8  # Largest number of parts that a cut name keeps.
#: Separators of a path, a Windows path and Label Studio's addresses.
SEPARATORS = re.compile(r'[/\\]|\?d=')


class Place(NamedTuple):
    """Folder of the images that a file names.

    Attributes:
        folder (Path): Folder that the names are relative to.
        kept (int): Number of parts that are kept from the end of each name;
            0 keeps the whole name.
    """

    folder: Path
    kept: int

    def path(self, name: str) -> Path:
        """Give the path of an image.

        Args:
            name (str): The name in the file: with slashes of either kind,
                percent-encoded or not, accents composed or decomposed.

        Returns:
            Path: The spelling that exists, or else the name as written.
        """
        parts = [part for part in SEPARATORS.split(name) if part]
        short = '/'.join(parts[-self.kept :]) if self.kept else name
        paths = [self.folder / each for each in _spellings(short)]
        return next(filter(os.path.isfile, paths), paths[0])


def find_place(names: Sequence[str], folders: Iterable[Path]) -> Place | None:
    """Find the folder of images, and how much of their names it needs.

    Whole names are tried first. Names that begin with folders of another
    computer are then cut, as little as possible and all to the same number
    of parts.

    Args:
        names (Sequence[str]): Names in a file, at least one.
        folders (Iterable[Path]): Candidates, the likeliest first.

    Returns:
        Place | None: None if no folder holds any image.
    """
    folders = list(dict.fromkeys(folders))
    sample = names[:: max(1, len(names) // SAMPLE)]
    longest = max(len(SEPARATORS.split(name)) for name in sample)
    for kept in ([0], range(min(longest - 1, DEEPEST), 0, -1)):
        places = [Place(folder, number) for number in kept for folder in folders]
        counts = {
            place: sum(os.path.isfile(place.path(name)) for name in sample)
            for place in places
        }
        best = max(places, key=counts.__getitem__, default=None)
        if best is not None and counts[best]:
            return best
    return None


def _spellings(name: str) -> Iterable[str]:
    """Spell a name in every way that tools and disks do."""
    slashed = name.replace('\\', '/')
    plain = unquote(slashed)
    return dict.fromkeys(
        [
            slashed,
            plain,
            unicodedata.normalize('NFC', plain),
            unicodedata.normalize('NFD', plain),
            name,
        ]
    )
