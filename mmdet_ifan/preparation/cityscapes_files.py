"""Find the files of Cityscapes and its companions.

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
        folder (str): Folder relative to the root.
        ending (str): End of the file name, after the stem.
        archive (str): Archive that holds the files.
    """

    folder: str
    ending: str
    archive: str

    def path(self, frame: str) -> str:
        """Give the path of a frame's file relative to the root."""
        return f'{self.folder}/{frame}{self.ending}'

    def frames(self, root: Path, split: str) -> set[str]:
        """Find the frames of a split that have the file."""
        folder = root / self.folder
        return {
            path.relative_to(folder).as_posix()[: -len(self.ending)]
            for path in (folder / split).glob(f'*/*{self.ending}')
        }


CLEAR = Kind('leftImg8bit', '_leftImg8bit.png', 'leftImg8bit_trainvaltest.zip')
LABELS = Kind('gtFine', '_gtFine_instanceIds.png', 'gtFine_trainvaltest.zip')
DISPARITY = Kind('disparity', '_disparity.png', 'disparity_trainvaltest.zip')
CAMERA = Kind('camera', '_camera.json', 'camera_trainvaltest.zip')
#: By fog level, in 1/m.
FOGGY = {
    beta: Kind(
        'leftImg8bit_foggy',
        f'_leftImg8bit_foggy_beta_{beta}.png',
        'leftImg8bit_trainvaltest_foggy.zip',
    )
    for beta in BETAS
}
FOGGY_FOLDER = 'leftImg8bit_foggy'
#: Marks a foggy folder whose images are not the official ones.
SYNTHETIC_MARKER = f'{FOGGY_FOLDER}/SYNTHETIC_FOG.txt'


def find_frames(root: Path, split: str, *kinds: Kind) -> list[str]:
    """List the frames of a split.

    Args:
        root (Path): Root of Cityscapes.
        split (str): 'train' or 'val'.
        *kinds (Kind): Files that every frame should have; a frame with any
            of them is listed.

    Returns:
        list[str]: The frames, sorted.

    Raises:
        DataError: If a split has no file of a kind.
    """
    if not root.is_dir():
        raise DataError(
            f'The data root {root} does not exist or is not a '
            'folder: name the folder that holds '
            f'{" and ".join(kind.folder for kind in kinds)}.'
        )
    frames: set[str] = set()
    for kind in kinds:
        folder = f'{kind.folder}/{split}'
        found = kind.frames(root, split)
        if not found:
            what = 'holds no image' if (root / folder).is_dir() else ('is missing')
            raise DataError(f'{root / folder} {what}: {fix(kind)}.')
        frames |= found
    return sorted(frames)


def fog_levels(betas: Iterable[float | str]) -> list[float]:
    """Check fog levels.

    Args:
        betas (Iterable[float | str]): Levels in 1/m, or 'all', the official
            three.

    Returns:
        list[float]: Sorted levels, each once.

    Raises:
        DataError: If there is no such level.
    """
    levels: set[float] = set()
    for beta in betas:
        named = [
            level
            for level in BETAS
            if str(beta) == str(level) or beta == 'all' and level in OFFICIAL_BETAS
        ]
        if not named:
            raise DataError(
                f'beta {beta} is not a level of fog: choose among '
                f'{", ".join(map(str, BETAS))} and all.'
            )
        levels.update(named)
    return sorted(levels)


def fix(kind: Kind) -> str:
    """Say how to replace a missing or damaged file."""
    return f'unpack {kind.archive} (or render Mini City) into this root again'
