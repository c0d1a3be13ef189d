"""Where Cityscapes and its companions keep the files of a frame.

A frame is named by its split, city and stem, such as
'train/aachen/aachen_000000_000019'.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..utils.errors import DataError
from .fog import BETAS, OFFICIAL_BETAS

SPLITS = ('train', 'val')


@dataclass(frozen=True)
class Kind:
    """One kind of file, of which every frame has one.

    Args:
        folder (str): Under the root.
        ending (str): Of the file's name, after the stem.
        archive (str): What it comes in.
    """

    folder: str
    ending: str
    archive: str

    def path(self, frame: str) -> str:
        """Path of a frame's file under the root."""
        return f'{self.folder}/{frame}{self.ending}'

    def frames(self, root: Path, split: str) -> set[str]:
        """Frames of a split that have the file."""
        folder = root / self.folder
        return {path.relative_to(folder).as_posix()[:-len(self.ending)]
                for path in (folder / split).glob(f'*/*{self.ending}')}


CLEAR = Kind('leftImg8bit', '_leftImg8bit.png',
             'leftImg8bit_trainvaltest.zip')
LABELS = Kind('gtFine', '_gtFine_instanceIds.png', 'gtFine_trainvaltest.zip')
DISPARITY = Kind('disparity', '_disparity.png', 'disparity_trainvaltest.zip')
CAMERA = Kind('camera', '_camera.json', 'camera_trainvaltest.zip')
#: By fog level, in 1/m.
FOGGY = {beta: Kind('leftImg8bit_foggy',
                    f'_leftImg8bit_foggy_beta_{beta}.png',
                    'leftImg8bit_trainvaltest_foggy.zip') for beta in BETAS}
FOGGY_FOLDER = 'leftImg8bit_foggy'
#: Says in a foggy folder that its images are not the official ones.
SYNTHETIC_MARKER = f'{FOGGY_FOLDER}/SYNTHETIC_FOG.txt'


def find_frames(root: Path, split: str, *kinds: Kind) -> list[str]:
    """List a split's frames.

    Args:
        root (Path): Cityscapes' root.
        split (str): 'train' or 'val'.
        *kinds (Kind): What every frame should have; a frame that has any of
            them is listed.

    Returns:
        list[str]: Sorted.

    Raises:
        DataError: If the root is not one of Cityscapes.
    """
    if not root.is_dir():
        raise DataError(f'The data root {root} does not exist or is no '
                        'folder: name the folder that holds '
                        f'{" and ".join(kind.folder for kind in kinds)}.')
    frames: set[str] = set()
    for kind in kinds:
        folder = f'{kind.folder}/{split}'
        found = kind.frames(root, split)
        if not found:
            what = 'holds no image' if (root / folder).is_dir() else (
                'is missing')
            raise DataError(f'{root / folder} {what}: {mend(kind)}.')
        frames |= found
    return sorted(frames)


def fog_levels(betas: Iterable[float | str]) -> list[float]:
    """Read fog levels.

    Args:
        betas (Iterable[float | str]): Levels in 1/m, or 'all', the official
            three.

    Returns:
        list[float]: Sorted, each once.

    Raises:
        DataError: If there is no such level.
    """
    levels: set[float] = set()
    for beta in betas:
        named = [level for level in BETAS
                 if str(beta) == str(level)
                 or beta == 'all' and level in OFFICIAL_BETAS]
        if not named:
            raise DataError(
                f'beta {beta} is not a level of fog: choose among '
                f'{", ".join(map(str, BETAS))} and all.')
        levels.update(named)
    return sorted(levels)


def mend(kind: Kind) -> str:
    """How to get back a file that is missing or damaged."""
    return f'unpack {kind.archive} (or render Mini City) into this root again'
