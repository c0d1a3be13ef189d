"""Keep images that a CycleGAN has painted beside their originals."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import DataError
from .changed_copies import Made, write_changed_copies

MARKER = 'TRANSLATED.json'
ABOUT = (
    'Each image is painted by mmdet_ifan after the one of the same name in the '
    'folder "images" (from here), in the look of another domain. Its boxes fit.'
)


def translate(
    images: Path,
    out: Path,
    change: Callable[[np.ndarray, str], np.ndarray],
    checkpoint: Path,
    settings: dict[str, Any],
    workers: int = 1,
    strict: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> int:
    """Write a folder's images in the look of another domain.

    Args:
        images (Path): Folder of the images, with its sub-folders.
        out (Path): Folder for the translations, of the same names.
        change (Callable): Translates an image, RGB, uint8, (H, W, 3); takes
            its name as well.
        checkpoint (Path): The checkpoint that `change` is made of.
        settings (dict): What else it is made of; JSON can hold it.
        workers (int): Threads; the translations do not depend on the number.
            Defaults to 1.
        strict (bool): Whether an unreadable image is an error instead of being
            named and skipped. Defaults to False.
        overwrite (bool): Whether to replace translations in `out` of another
            checkpoint or folder. Defaults to False.
        say (Callable): Receives each message. Defaults to print.

    Returns:
        int: Number of skipped images.

    Raises:
        DataError: See :func:`write_changed_copies`.
    """
    sha256 = hashlib.sha256(checkpoint.read_bytes()).hexdigest()

    def text(originals: str) -> str:
        about = dict(
            about=ABOUT,
            images=originals,
            checkpoint=checkpoint.name,
            sha256=sha256,
            settings=settings,
        )
        return json.dumps(about, indent=2, ensure_ascii=False) + '\n'

    made = Made('translate', change, MARKER, text, 'checkpoint')
    return write_changed_copies(images, out, made, workers, strict, overwrite, say)


def check_translations(paths: Iterable[Path], folder: Path, root: Path) -> None:
    """Check that images are translations of a data set's own images.

    Args:
        paths (Iterable[Path]): Existing images below `folder`.
        folder (Path): Where the translations of the data set are, in the
            sub-folders of their originals.
        root (Path): Root of the data set, which holds the originals.

    Raises:
        DataError: If nothing says that they are translations, or if they are
            of images elsewhere.
    """
    for parent in dict.fromkeys(path.parent for path in paths):
        within = [p for p in (parent, *parent.parents) if p.is_relative_to(folder)]
        marked = next((p for p in within if (p / MARKER).is_file()), None)
        if marked is None:
            raise DataError(
                f'The images in {parent} are no translations, since no {MARKER} is '
                'there: make them with tools/prepare/translate.py, or correct '
                "data_prefix['img']."
            )
        try:
            originals = Path(json.loads((marked / MARKER).read_bytes())['images'])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f'{marked / MARKER} cannot be read: remove {marked} and translate '
                'again.'
            ) from error
        originals = (marked / originals).resolve()
        place = marked.relative_to(folder).parts
        if (
            not originals.is_relative_to(root.resolve())
            or originals.parts[len(originals.parts) - len(place) :] != place
        ):
            raise DataError(
                f'{marked} holds translations of {originals}, not of images of '
                f'{root}: translate these, or correct data_root.'
            )
