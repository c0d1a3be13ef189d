"""Give photographs an artificial second look."""

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from ..utils.errors import DataError, name_some
from ..utils.files import TEMPORARY_SUFFIX, check_workers, write_atomically
from ..utils.image_files import IMAGE_SUFFIXES, PILLOW_ERRORS, images_below
from ..utils.parallel import map_in_order

MARKER = 'RESTYLED.txt'
README = """These pictures have an artificial look.

Each is a copy of the picture of the same name in {images} (from here),
changed by mmdet_ifan as if another camera had taken it. What a method scores
on them says nothing about what it scores on pictures of a real second domain.

{look}
"""


@dataclass(frozen=True)
class NewLook:
    """Changes of a picture, in the order in which they are applied.

    Args:
        blur (float): Sigma of a Gaussian in px; 0 is off. Defaults to 2.
        saturation (float): Factor on the distance from grey, >= 0. Defaults
            to 0.6.
        contrast (float): Factor on the distance from mid-grey, >= 0.
            Defaults to 0.6.
        brightness (float): Grey levels to add. Defaults to -20.
        cast (tuple[float, float, float]): Factors on red, green and blue.
            Defaults to (0.9, 1.1, 0.8), greenish.
        noise (float): Standard deviation in grey levels, >= 0. Defaults to
            5.
        seed (int): Seed of the noise, >= 0. Defaults to 0.

    Raises:
        DataError: If a number is out of range.
    """

    blur: float = 2.0
    saturation: float = 0.6
    contrast: float = 0.6
    brightness: float = -20.0
    cast: tuple[float, float, float] = (0.9, 1.1, 0.8)
    noise: float = 5.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ('blur', 'saturation', 'contrast', 'noise', 'seed'):
            # Not `<`, which would accept NaN.
            if not getattr(self, name) >= 0:
                raise DataError(
                    f'{name} must not be negative, but got {getattr(self, name)}.'
                )

    def apply(self, image: np.ndarray, name: str) -> np.ndarray:
        """Change a picture.

        Args:
            image (np.ndarray): RGB, uint8, of shape (H, W, 3).
            name (str): Name of the picture; it seeds the noise.

        Returns:
            np.ndarray: RGB, uint8, of shape (H, W, 3).
        """
        result: np.ndarray = image.astype(np.float32)
        if self.blur:
            result = cv2.GaussianBlur(result, (0, 0), self.blur)
        grey = result.mean(axis=2, keepdims=True)
        result = grey + self.saturation * (result - grey)
        result = 128 + self.contrast * (result - 128) + self.brightness
        result *= np.array(self.cast, dtype=np.float32)
        digest = hashlib.sha256(f'{self.seed} {name}'.encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest, 'big'))
        result += self.noise * rng.standard_normal(result.shape, dtype=np.float32)
        return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def restyle(
    images: Path,
    out: Path,
    look: NewLook,
    workers: int = 2,
    strict: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> int:
    """Write changed copies of a folder's pictures under the same names.

    Copies of an interrupted run are kept unless their original is newer.

    Args:
        images (Path): Folder of the pictures, with its sub-folders.
        out (Path): Folder for the copies.
        look (NewLook): The changes.
        workers (int): Threads; the copies do not depend on the number.
            Defaults to 2.
        strict (bool): Whether an unreadable picture is an error instead of
            being named and skipped. Defaults to False.
        overwrite (bool): Whether to replace copies in `out` of another look
            or folder. Defaults to False.
        say (Callable): Receives each message. Defaults to print.

    Returns:
        int: Number of skipped pictures.

    Raises:
        DataError: If there is no picture, if `out` holds anything else, such
            as a copy without an original, or cannot be written, or with
            `strict` if a picture is unreadable.
    """
    check_workers(workers)
    names = images_below(images) if images.is_dir() else []
    if not names:
        raise DataError(
            f'There is no image in {images} (looked for {", ".join(IMAGE_SUFFIXES)}).'
        )
    source, target = images.resolve(), out.resolve()
    if source in (target, *target.parents) or target in source.parents:
        raise DataError(
            f'Of {out} and {images} one is in the other: choose '
            'another folder with --out.'
        )
    # Relative: the two folders may move together.
    text = README.format(images=os.path.relpath(source, target), look=look)
    _claim(out, os.fsencode(text), overwrite)
    orphans = sorted({*images_below(out)} - {*names})
    if orphans:
        raise DataError(
            f'{out} holds copies of which {images} has no original: '
            f'{name_some(orphans)}. Remove them.'
        )
    missing = [
        name
        for name in names
        if not (
            (out / name).exists()
            and (out / name).stat().st_mtime >= (images / name).stat().st_mtime
        )
    ]
    for name in missing:
        # No old copy may stay if the new original is unreadable.
        (out / name).unlink(missing_ok=True)
    skipped = 0
    problems = map_in_order(
        partial(_copy, images, out, look), missing, workers, title='restyle'
    )
    for problem in problems:
        if problem and strict:
            raise DataError(problem)
        if problem:
            tqdm.write(problem, file=sys.stderr)
            skipped += 1
    say(
        f'{out}: {len(missing) - skipped} images made, '
        f'{len(names) - len(missing)} were there already, {skipped} skipped.'
    )
    return skipped


def _claim(out: Path, content: bytes, overwrite: bool) -> None:
    """Mark `out` with the content, unless it holds something else."""
    marker = out / MARKER
    if marker.exists():
        if marker.read_bytes() != content:
            if not overwrite:
                raise DataError(
                    f'{out} holds pictures of another look or of another '
                    f'folder, see {marker}: choose another folder with '
                    '--out, or pass --overwrite.'
                )
            for name in images_below(out):
                (out / name).unlink()
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            f'{out} holds something else: choose an empty folder with --out.'
        )
    write_atomically(marker, content)
    for leftover in out.rglob(f'*{TEMPORARY_SUFFIX}'):
        leftover.unlink()


def _copy(images: Path, out: Path, look: NewLook, name: str) -> str | None:
    """Change one picture; give a message if it is skipped."""
    path = images / name
    try:
        with Image.open(path) as opened:
            if opened.mode.startswith(('I', 'F')):
                return (
                    f'{path} has more than 8 bits per channel: skipped. '
                    'Convert it to 8 bits.'
                )
            # Only the orientation is needed. Pillow would rewrite the other
            # tags and fail at a damaged one.
            opened.getexif()
            opened.info.pop('exif', None)
            image = ImageOps.exif_transpose(opened).convert('RGB')
            file_format = opened.format
    except PILLOW_ERRORS as error:
        return (
            f'{path} is not a readable image ({error}): skipped. Replace '
            'it with an intact copy.'
        )
    buffer = BytesIO()
    Image.fromarray(look.apply(np.asarray(image), name)).save(
        buffer, file_format, quality=95
    )
    write_atomically(out / name, buffer.getvalue())
    return None
