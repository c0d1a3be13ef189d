"""Render Mini City and its twin, Mini Sim, into a folder."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ..preparation.stand_in import MANIFEST, RENDER, UNFINISHED
from ..utils.errors import DataError
from ..utils.files import TEMPORARY_SUFFIX, check_workers, write_atomically
from ..utils.json_files import read_json
from ..utils.parallel import map_in_order
from . import settings
from .city import MiniCity, json_bytes
from .data_sets import RenderedSet
from .sim import MiniSim

# A root with any of these but without a manifest holds other data.
FOLDERS = (*MiniCity.FOLDERS, *MiniSim.FOLDERS)


def write_mini_city(
    root: Path,
    city: RenderedSet,
    workers: int = 2,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> bool:
    """Render the missing files of Mini City or Mini Sim into a folder.

    Args:
        root (Path): Data root.
        city (RenderedSet): The data set.
        workers (int): Processes; 1 renders in this one. Defaults to 2.
        overwrite (bool): Whether to replace a rendering of other numbers.
            Defaults to False.
        say (Callable): Receives each message. Defaults to print.

    Returns:
        bool: False if nothing was missing.

    Raises:
        DataError: If the folder holds something else or cannot be written,
            or a worker process was killed.
    """
    check_workers(workers)
    if _is_finished(root, city, overwrite):
        say(
            f'{root} is up to date: {city.train} + {city.val} scenes, seed {city.seed}.'
        )
        return False
    write_atomically(root / UNFINISHED, json_bytes(city.identity()))
    for path, content in city.side_files().items():
        write_atomically(root / path, content)
    for leftover in root.rglob(f'*{TEMPORARY_SUFFIX}'):
        leftover.unlink()
    manifest = city.identity() | city.DETAILS
    manifest['splits'] = {
        split: _write_split(root, city, split, workers) for split in settings.SPLITS
    }
    write_atomically(root / MANIFEST, json.dumps(manifest, indent=1).encode())
    (root / UNFINISHED).unlink()
    say(f'Rendered {city.train} + {city.val} scenes into {root}.')
    return True


def _is_finished(root: Path, city: RenderedSet, overwrite: bool) -> bool:
    """Tell whether `root` holds this city; else make room if allowed."""
    found = _read_identity(root)
    if found is None:
        foreign = [name for name in FOLDERS if (root / name).exists()]
        if foreign:
            raise DataError(
                f'{root} holds {foreign[0]} but no {MANIFEST}, so it is not '
                f'a {city.NAME}: choose an empty folder with --out.'
            )
        return False
    identity = city.identity()
    different = [
        f'{key} {found.get(key)} instead of {value}'
        for key, value in identity.items()
        if found.get(key) != value
    ]
    if not different:
        return (root / MANIFEST).exists() and all(
            (root / path).exists()
            for split in settings.SPLITS
            for index in range(getattr(city, split))
            for path in city.paths(split, index).values()
        )
    if not overwrite:
        raise DataError(
            f'{root} holds another rendering ({", ".join(different)}): '
            'choose another folder with --out, or pass --overwrite.'
        )
    _make_room(root, found)
    return False


def _make_room(root: Path, found: dict[str, Any]) -> None:
    """Remove an earlier rendering and the COCO files made from it."""
    # Until all is removed, it is an unfinished rendering.
    write_atomically(root / UNFINISHED, json_bytes(found))
    (root / MANIFEST).unlink(missing_ok=True)
    for path in (root / 'annotations').glob('instances_*.json'):
        path.unlink()
    for name in FOLDERS:
        shutil.rmtree(root / name, ignore_errors=True)


def _read_identity(root: Path) -> dict[str, Any] | None:
    """Read the identity of an earlier rendering, perhaps unfinished."""
    for name in (MANIFEST, UNFINISHED):
        path = root / name
        if path.exists():
            try:
                return dict(read_json(path))
            except (TypeError, ValueError) as error:
                raise DataError(f'{path} is not readable: {RENDER}.') from (error)
    return None


def _write_split(
    root: Path, city: RenderedSet, split: str, workers: int
) -> dict[str, Any]:
    """Render the missing files of a split and count its content."""
    total = getattr(city, split)
    work = partial(_write_scene, root, city, split)
    objects: Counter[str] = Counter()
    empty = 0
    for labels in map_in_order(
        work, range(total), workers, processes=True, title=f'render {split}', chunk=1
    ):
        objects.update(labels)
        empty += not labels
    return dict(images=total, empty=empty, objects=dict(sorted(objects.items())))


def _write_scene(root: Path, city: RenderedSet, split: str, index: int) -> list[str]:
    """Render a scene if a file is missing; give its objects' labels."""
    if not all((root / path).exists() for path in city.paths(split, index).values()):
        for path, content in city.render(split, index).items():
            write_atomically(root / path, content)
    return city.objects_in(root, split, index)
