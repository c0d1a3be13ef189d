"""Find images whose names were written on another computer."""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

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
