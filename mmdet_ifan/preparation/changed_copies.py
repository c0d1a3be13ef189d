"""Write changed copies of a folder's pictures, under the same names."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from ..utils.errors import DataError, name_some
from ..utils.files import TEMPORARY_SUFFIX, check_workers, write_atomically
from ..utils.image_files import IMAGE_SUFFIXES, PILLOW_ERRORS, images_below
from ..utils.parallel import map_in_order


@dataclass(frozen=True)
class Made:
    """How copies are made, and what is written down about it.

    Args:
        title (str): Title of the progress bar.
        change (Callable): Takes a picture, RGB, uint8, (H, W, 3), and its
            name; gives a picture of the same size.
        marker (str): Name of the file that says what a folder holds.
        text (Callable): Takes the path of the originals, relative to the
            folder; gives the content of that file.
        noun (str): What must be the same for copies to go together.
    """

    title: str
    change: Callable[[np.ndarray, str], np.ndarray]
    marker: str
    text: Callable[[str], str]
    noun: str


def write_changed_copies(
    images: Path,
    out: Path,
    made: Made,
    workers: int = 2,
    strict: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> int:
    """Write changed copies of a folder's pictures under the same names.

    Copies of an interrupted run are kept unless their original is newer. A
    copy has the format of its original; JPEG has the quality 95.

    Args:
        images (Path): Folder of the pictures, with its sub-folders.
        out (Path): Folder for the copies.
        made (Made): How they are made.
        workers (int): Threads; the copies do not depend on the number.
            Defaults to 2.
        strict (bool): Whether an unreadable picture is an error instead of
            being named and skipped. Defaults to False.
        overwrite (bool): Whether to replace copies in `out` that were made
            otherwise or of another folder. Defaults to False.
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
    content = os.fsencode(made.text(os.path.relpath(source, target)))
    _claim(out, content, made, overwrite)
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
        partial(_copy, images, out, made.change), missing, workers, title=made.title
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


def _claim(out: Path, content: bytes, made: Made, overwrite: bool) -> None:
    """Mark `out` with the content, unless it holds something else."""
    marker = out / made.marker
    if marker.exists():
        if marker.read_bytes() != content:
            if not overwrite:
                raise DataError(
                    f'{out} holds pictures of another {made.noun} or of another '
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


def _copy(
    images: Path, out: Path, change: Callable[[np.ndarray, str], np.ndarray], name: str
) -> str | None:
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
    Image.fromarray(change(np.asarray(image), name)).save(
        buffer, file_format, quality=95
    )
    write_atomically(out / name, buffer.getvalue())
    return None
