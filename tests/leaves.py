"""The configs of the repository, by name, for the tests that read them."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

FOLDER = Path(__file__).resolve().parents[1] / 'configs'
#: Every config, bases too, relative to the folder.
FILES = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob('*.py'))
#: The folder of every config that is trained, by name.
FOLDERS = {path.stem: path.parts[0] for path in FILES if path.parts[0] != '_base_'}
#: Those of DT+FT's first stage, which trains no detector.
TRANSLATORS = [name for name in FOLDERS if name.startswith('cyclegan_')]
#: Every leaf, the config of a detector, and its folder.
GROUPS = {name: FOLDERS[name] for name in FOLDERS if name not in TRANSLATORS}
LEAVES = list(GROUPS)
#: Leaves for slow tests. Of the teachers' rows on the paper's pairs, these have all
#: the views and the one detector that no other leaf has.
DIVERSE = [
    name
    for name in LEAVES
    if GROUPS[name] != 'teacher'
    or 'mini' in name
    or name
    in (
        'ifan-strong_vgg16_city2foggy',
        'ifan-teacher_vgg16_city2foggy',
        'mic_r50-fpn_city2foggy',
    )
]


@cache
def read(name: str) -> Config:
    """Read a config, once."""
    return Config.fromfile(FOLDER / FOLDERS[name] / f'{name}.py')


def load(name: str) -> Config:
    """Load a leaf, to be changed at will."""
    return copy.deepcopy(read(name))


def flat(value: Any, path: str = '') -> dict[str, Any]:
    """Write nested dictionaries as one, keyed by path."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {
        key: leaf
        for name, part in value.items()
        for key, leaf in flat(part, f'{path}.{name}' if path else name).items()
    }


def launch_of(cfg: Config) -> dict[str, Any]:
    """Give the iterations at which a leaf launches its terms."""
    return cfg.default_hooks.late_launch.launch
