"""Where images are whose names were written on another computer."""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

SAMPLE = 200  # Images looked for to find their folder.
DEEPEST = 8  # Most parts of a name that are kept when it is cut.
#: Between the parts of a path, a Windows path or Label Studio's address.
SEPARATORS = re.compile(r'[/\\]|\?d=')


class Place(NamedTuple):
    """Where the images of a file are.

    Attributes:
        folder (Path): Folder that what is kept of a name starts from.
        kept (int): How many parts of a name, from its end, are kept; 0 for
            all of it.
    """

    folder: Path
    kept: int

    def path(self, name: str) -> Path:
        """Give an image's path.

        Args:
            name (str): As the file has it: with slashes of either kind,
                percent-encoded or not, accents in one letter or two.

        Returns:
            Path: That of the spelling that exists, or else as it is written.
        """
        parts = [part for part in SEPARATORS.split(name) if part]
        short = '/'.join(parts[-self.kept:]) if self.kept else name
        paths = [self.folder / each for each in _spellings(short)]
        return next(filter(os.path.isfile, paths), paths[0])


def find_place(names: Sequence[str], folders: Iterable[Path]) -> Place | None:
    """Find the folder of images, and what of their names is below it.

    Whole names come first. Names that begin with folders of another computer
    are cut: as little as possible, all to the same number of parts.

    Args:
        names (Sequence[str]): Names in a file, at least one.
        folders (Iterable[Path]): Where to look, the likeliest first.

    Returns:
        Place | None: None if no image is there.
    """
    folders = list(dict.fromkeys(folders))
    sample = names[::max(1, len(names) // SAMPLE)]
    longest = max(len(SEPARATORS.split(name)) for name in sample)
    for kept in ([0], range(min(longest - 1, DEEPEST), 0, -1)):
        places = [Place(folder, number) for number in kept
                  for folder in folders]
        counts = {place: sum(os.path.isfile(place.path(name))
                             for name in sample) for place in places}
        best = max(places, key=counts.__getitem__, default=None)
        if best is not None and counts[best]:
            return best
    return None


def _spellings(name: str) -> Iterable[str]:
    """Spell a name in all ways in which tools and disks do."""
    slashed = name.replace('\\', '/')
    plain = unquote(slashed)
    return dict.fromkeys(
        [slashed, plain, unicodedata.normalize('NFC', plain),
         unicodedata.normalize('NFD', plain), name])
