"""Mini City on disk, in the layout of Cityscapes and Foggy Cityscapes."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cityscapesscripts.helpers.labels import name2label
from tqdm import tqdm

from ..disk import TEMPORARY_SUFFIX, DataError, write_atomically
from . import settings
from .formats import encode, json_bytes, scene_paths
from .render import render
from .scene import draw_scene

MANIFEST = 'mini_city.json'
UNFINISHED = 'mini_city.unfinished.json'
FOLDERS = ('leftImg8bit', 'leftImg8bit_foggy', 'gtFine', 'disparity',
           'camera')
README = """Mini City: a rendered stand-in, not Cityscapes.

Every image here was drawn by mmdet_ifan (numpy and OpenCV); no photograph,
label or calibration of Cityscapes or Foggy Cityscapes is in it. Folders and
formats are those of Cityscapes, so that the same tools read both. Scores on
it say nothing about scores on Cityscapes.

renderer version {renderer_version}, seed {seed}
{train} training and {val} validation scenes of {height} x {width} px
"""


@dataclass(frozen=True)
class MiniCity:
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

    def __post_init__(self) -> None:
        for name, least in (('train', 1), ('val', 1), ('height', 32),
                            ('width', 64), ('seed', 0)):
            value = getattr(self, name)
            if value < least:
                raise DataError(f'{name} must be at least {least}, but got '
                                f'{value}.')

    def identity(self) -> dict[str, Any]:
        """Everything that decides the files' content."""
        return dict(renderer_version=settings.RENDERER_VERSION,
                    **asdict(self))

    def render(self, split: str, index: int) -> dict[str, bytes]:
        """Render one scene; a pure function of its arguments and `self`.

        Args:
            split (str): 'train' or 'val'.
            index (int): Number of the scene in its split, from 0.

        Returns:
            dict[str, bytes]: Content of each file by path under the root.
        """
        rng = np.random.default_rng(
            [self.seed, settings.SPLITS.index(split), index])
        rendered = render(draw_scene(rng, self.height, self.width), rng)
        return encode(rendered, scene_paths(split, index), rng)


def write_mini_city(root: Path, city: MiniCity, workers: int = 2,
                    overwrite: bool = False,
                    say: Callable[[str], None] = print) -> bool:
    """Render Mini City into a folder, only what is missing there.

    Args:
        root (Path): The data root.
        city (MiniCity): What to render.
        workers (int): Processes; 1 renders in this one. Defaults to 2.
        overwrite (bool): Whether to replace a Mini City rendered with other
            numbers. Defaults to False.
        say (Callable): Receives each message. Defaults to print.

    Returns:
        bool: False if everything was there already.

    Raises:
        DataError: If the folder holds something else, or cannot be written.
    """
    if workers < 1:
        raise DataError(f'workers must be at least 1, but got {workers}.')
    if _is_finished(root, city, overwrite):
        say(f'{root} is up to date: {city.train} + {city.val} scenes, seed '
            f'{city.seed}.')
        return False
    write_atomically(root / UNFINISHED, json_bytes(city.identity()))
    write_atomically(root / 'README.txt',
                     README.format(**city.identity()).encode())
    for leftover in root.rglob(f'*{TEMPORARY_SUFFIX}'):
        leftover.unlink()
    manifest = city.identity()
    manifest['betas'] = settings.BETAS
    manifest['splits'] = {split: _write_split(root, city, split, workers)
                          for split in settings.SPLITS}
    write_atomically(root / MANIFEST, json.dumps(manifest, indent=1).encode())
    (root / UNFINISHED).unlink()
    say(f'Rendered {city.train} + {city.val} scenes into {root}.')
    return True


def _is_finished(root: Path, city: MiniCity, overwrite: bool) -> bool:
    """Whether `root` holds this city; makes room for it if it may."""
    found = _read_identity(root)
    if found is None:
        foreign = [name for name in FOLDERS if (root / name).exists()]
        if foreign:
            raise DataError(
                f'{root} holds {foreign[0]} but no {MANIFEST}, so it is not '
                'a Mini City: choose an empty folder with --out.')
        return False
    identity = city.identity()
    different = [f'{key} {found.get(key)} instead of {value}'
                 for key, value in identity.items()
                 if found.get(key) != value]
    if not different:
        return (root / MANIFEST).exists() and all(
            (root / path).exists() for split in settings.SPLITS
            for index in range(getattr(city, split))
            for path in scene_paths(split, index).values())
    if not overwrite:
        raise DataError(
            f'{root} holds another Mini City ({", ".join(different)}): '
            'choose another folder with --out, or pass --overwrite.')
    _make_room(root, found)
    return False


def _make_room(root: Path, found: dict[str, Any]) -> None:
    """Remove an earlier Mini City and the COCO files made from it."""
    # Until all is gone, it is an unfinished render of its old numbers.
    write_atomically(root / UNFINISHED, json_bytes(found))
    (root / MANIFEST).unlink(missing_ok=True)
    for path in (root / 'annotations').glob('instances_*.json'):
        path.unlink()
    for name in FOLDERS:
        shutil.rmtree(root / name, ignore_errors=True)


def _read_identity(root: Path) -> dict[str, Any] | None:
    """What an earlier run rendered, or began to, into `root`."""
    for name in (MANIFEST, UNFINISHED):
        path = root / name
        if path.exists():
            try:
                return dict(json.loads(path.read_text()))
            except ValueError as error:
                raise DataError(f'{path} is not readable JSON: remove the '
                                'folder and render again.') from error
    return None


def _write_split(root: Path, city: MiniCity, split: str,
                 workers: int) -> dict[str, Any]:
    """Render what is missing of a split and count what it holds."""
    total = getattr(city, split)
    work = partial(_write_scene, root, city, split)
    objects: Counter[str] = Counter()
    empty = 0
    scenes = _in_processes(work, range(total), workers)
    for labels in tqdm(scenes, total=total, desc=f'render {split}',
                       unit='scene'):
        objects.update(labels)
        empty += not labels
    return dict(images=total, empty=empty,
                objects=dict(sorted(objects.items())))


def _in_processes(work: Callable[[int], list[str]], items: Iterable[int],
                  workers: int) -> Iterator[list[str]]:
    """Map in any order, in this process or in several."""
    if workers == 1:
        yield from map(work, items)
        return
    threads = cv2.getNumThreads()
    # Before the fork: a child that inherits OpenCV's pool without its
    # threads waits for them forever.
    cv2.setNumThreads(1)
    try:
        with get_context('fork').Pool(workers) as pool:
            yield from pool.imap_unordered(work, items, chunksize=4)
    finally:
        cv2.setNumThreads(threads)


def _write_scene(root: Path, city: MiniCity, split: str,
                 index: int) -> list[str]:
    """Render a scene if a file is missing; returns its objects' labels."""
    paths = scene_paths(split, index)
    if not all((root / path).exists() for path in paths.values()):
        for path, content in city.render(split, index).items():
            write_atomically(root / path, content)
    return _objects_in(root / paths['instances'])


def _objects_in(path: Path) -> list[str]:
    """Label of each object in an instance map."""
    instances = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if instances is None:
        raise DataError(f'{path} is damaged: remove it and render again.')
    codes = np.unique(instances)
    names = {label.id: name for name, label in name2label.items()}
    return [names[int(code) // 1000] for code in codes if code >= 1000]
