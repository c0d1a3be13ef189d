"""Give photographs an artificial second look."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..utils.errors import DataError
from .changed_copies import Made, write_changed_copies

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
        DataError: See :func:`write_changed_copies`.
    """

    def text(originals: str) -> str:
        return README.format(images=originals, look=look)

    made = Made('restyle', look.apply, MARKER, text, 'look')
    return write_changed_copies(images, out, made, workers, strict, overwrite, say)
