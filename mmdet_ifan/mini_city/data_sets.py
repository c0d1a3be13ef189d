"""Base class of the data sets that are rendered."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..utils.errors import DataError
from . import settings
from .look import Look
from .render import Rendered, render
from .scene import draw_scene

SIZE = """
renderer version {renderer_version}, seed {seed}
{train} training and {val} validation scenes of {height} x {width} px
"""


@dataclass(frozen=True)
class RenderedSet(ABC):
    """A data set to render; two equal ones give equal files.

    Args:
        train (int): Number of training scenes, >= 1. Defaults to 500.
        val (int): Number of validation scenes, >= 1. Defaults to 200.
        height (int): Image height in px, >= 32. Defaults to 128.
        width (int): Image width in px, >= 64. Defaults to 256.
        seed (int): Seed of all scenes, >= 0. Defaults to 0.

    Raises:
        DataError: If a number is too small.
    """

    train: int = 500
    val: int = 200
    height: int = 128
    width: int = 256
    seed: int = 0

    NAME: ClassVar[str]
    LOOK: ClassVar[Look]
    #: Part of the seed of each split, so that no two sets share a scene.
    STREAMS: ClassVar[dict[str, int]]
    #: Folders under the root that hold the files of the scenes.
    FOLDERS: ClassVar[tuple[str, ...]]
    README: ClassVar[str]
    #: Version of the code that draws the scenes.
    VERSION: ClassVar[str] = settings.RENDERER_VERSION
    #: Further entries of the manifest.
    DETAILS: ClassVar[dict[str, Any]] = {}

    def __post_init__(self) -> None:
        for name, least in (
            ('train', 1),
            ('val', 1),
            ('height', 32),
            ('width', 64),
            ('seed', 0),
        ):
            value = getattr(self, name)
            if value < least:
                raise DataError(f'{name} must be at least {least}, but got {value}.')

    def identity(self) -> dict[str, Any]:
        """Give everything that decides the content of the files."""
        return dict(renderer_version=self.VERSION, **asdict(self))

    def render(self, split: str, index: int) -> dict[str, bytes]:
        """Render one scene; the result depends on `self` and the arguments.

        Args:
            split (str): 'train' or 'val'.
            index (int): Number of the scene in its split, from 0.

        Returns:
            dict[str, bytes]: Content of each file by path under the root.
        """
        rng = np.random.default_rng([self.seed, self.STREAMS[split], index])
        scene = draw_scene(rng, self.height, self.width, self.LOOK)
        return self.encode(render(scene, rng), self.paths(split, index), rng)

    def side_files(self) -> dict[str, bytes]:
        """Give the content, by path, of the files that belong to no scene."""
        text = self.README + SIZE.format(**self.identity())
        return {'README.txt': text.encode()}

    @staticmethod
    @abstractmethod
    def paths(split: str, index: int) -> dict[str, str]:
        """Give the path under the root of each file of a scene, by kind."""

    @abstractmethod
    def encode(
        self, rendered: Rendered, paths: dict[str, str], rng: np.random.Generator
    ) -> dict[str, bytes]:
        """Encode a scene: the content of each file by path.

        Args:
            rendered (Rendered): The scene.
            paths (dict[str, str]): Result of `paths`.
            rng (np.random.Generator): Source of noise.
        """

    @abstractmethod
    def objects_in(self, root: Path, split: str, index: int) -> list[str]:
        """Read the category of each object in a scene's file of labels.

        Raises:
            DataError: If that file is damaged.
        """
