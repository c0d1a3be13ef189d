"""The data sets that are rendered: Mini City and its game-like twin."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..preparation.fog import BETAS
from ..utils.errors import DataError
from . import formats, settings, voc
from .look import Look
from .render import Rendered, render
from .scene import draw_scene

SIZE = """
renderer version {renderer_version}, seed {seed}
{train} training and {val} validation scenes of {height} x {width} px
"""


@dataclass(frozen=True)
class RenderedSet(ABC):
    """What to render; two equal ones give equal files.

    Args:
        train (int): Number of training scenes. Defaults to 500.
        val (int): Number of validation scenes. Defaults to 200.
        height (int): Image height in px. Defaults to 128.
        width (int): Image width in px. Defaults to 256.
        seed (int): Defaults to 0.

    Raises:
        DataError: If a number makes no sense.
    """

    train: int = 500
    val: int = 200
    height: int = 128
    width: int = 256
    seed: int = 0

    NAME: ClassVar[str]
    LOOK: ClassVar[Look]
    #: Of each split, its part of the seed: no two sets share a scene.
    STREAMS: ClassVar[dict[str, int]]
    #: Folders under the root that hold the scenes' files.
    FOLDERS: ClassVar[tuple[str, ...]]
    README: ClassVar[str]

    def __post_init__(self) -> None:
        for name, least in (('train', 1), ('val', 1), ('height', 32),
                            ('width', 64), ('seed', 0)):
            value = getattr(self, name)
            if value < least:
                raise DataError(f'{name} must be at least {least}, but got '
                                f'{value}.')

    def identity(self) -> dict[str, Any]:
        """Everything that decides the files' content."""
        return dict(renderer_version=self.version(), **asdict(self))

    def details(self) -> dict[str, Any]:
        """What else the manifest says."""
        return {}

    def render(self, split: str, index: int) -> dict[str, bytes]:
        """Render one scene; a pure function of its arguments and `self`.

        Args:
            split (str): 'train' or 'val'.
            index (int): Number of the scene in its split, from 0.

        Returns:
            dict[str, bytes]: Content of each file by path under the root.
        """
        rng = np.random.default_rng([self.seed, self.STREAMS[split], index])
        scene = draw_scene(rng, self.height, self.width, self.LOOK)
        return self.encode(render(scene, rng), split, index, rng)

    def side_files(self) -> dict[str, bytes]:
        """Content of the files that belong to no scene, by path."""
        text = self.README + SIZE.format(**self.identity())
        return {'README.txt': text.encode()}

    @abstractmethod
    def version(self) -> str:
        """Version of what draws the scenes."""

    @abstractmethod
    def paths(self, split: str, index: int) -> list[str]:
        """Path under the root of each file of a scene."""

    @abstractmethod
    def encode(self, rendered: Rendered, split: str, index: int,
               rng: np.random.Generator) -> dict[str, bytes]:
        """Content of each file of a scene, by path; see `render`."""

    @abstractmethod
    def objects_in(self, root: Path, split: str, index: int) -> list[str]:
        """Category of each object in a scene's file of labels.

        Raises:
            DataError: If that file is damaged.
        """


class MiniCity(RenderedSet):
    """Mini City, with the files of Cityscapes and Foggy Cityscapes."""

    NAME = 'Mini City'
    LOOK = settings.CITY_LOOK
    STREAMS = {'train': 0, 'val': 1}
    FOLDERS = ('leftImg8bit', 'leftImg8bit_foggy', 'gtFine', 'disparity',
               'camera')
    README = """Mini City: a rendered stand-in, not Cityscapes.

Every image here was drawn by mmdet_ifan (numpy and OpenCV); no photograph,
label or calibration of Cityscapes or Foggy Cityscapes is in it. Folders and
formats are those of Cityscapes, so that the same tools read both. Scores on
it say nothing about scores on Cityscapes.
"""

    def version(self) -> str:  # noqa: D102
        return settings.RENDERER_VERSION

    def details(self) -> dict[str, Any]:  # noqa: D102
        return dict(betas=BETAS)

    def paths(self, split: str, index: int) -> list[str]:  # noqa: D102
        return list(formats.scene_paths(split, index).values())

    def encode(self, rendered: Rendered, split: str, index: int,  # noqa: D102
               rng: np.random.Generator) -> dict[str, bytes]:
        return formats.encode(rendered, formats.scene_paths(split, index),
                              rng)

    def objects_in(self, root: Path, split: str,  # noqa: D102
                   index: int) -> list[str]:
        paths = formats.scene_paths(split, index)
        return formats.objects_in(root / paths['instances'])


class MiniSim(RenderedSet):
    """Mini Sim, Mini City as a game would show it, with SIM10K's files."""

    NAME = 'Mini Sim'
    LOOK = settings.SIM_LOOK
    STREAMS = {'train': 2, 'val': 3}
    FOLDERS = (voc.FOLDER, )
    README = """Mini Sim: a rendered stand-in, not SIM10K.

Every image here was drawn by mmdet_ifan (numpy and OpenCV); no frame of a
game and no label of SIM10K is in it. Folders and formats are those of SIM10K,
so that the same tools read both. Scores on it say nothing about scores on
SIM10K or Cityscapes.
"""

    def version(self) -> str:  # noqa: D102
        return f'{settings.RENDERER_VERSION}-sim-{settings.SIM_VERSION}'

    def side_files(self) -> dict[str, bytes]:  # noqa: D102
        files = super().side_files()
        for split in settings.SPLITS:
            files |= voc.list_file(split, getattr(self, split))
        return files

    def paths(self, split: str, index: int) -> list[str]:  # noqa: D102
        return list(voc.scene_paths(split, index).values())

    def encode(self, rendered: Rendered, split: str, index: int,  # noqa: D102
               rng: np.random.Generator) -> dict[str, bytes]:
        return voc.encode(rendered, voc.scene_paths(split, index))

    def objects_in(self, root: Path, split: str,  # noqa: D102
                   index: int) -> list[str]:
        paths = voc.scene_paths(split, index)
        return voc.objects_in(root / paths['annotation'])
