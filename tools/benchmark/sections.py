"""The sections that ``make bench`` measures."""

import platform
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mmengine.config import Config

from mmdet_ifan.utils.named_configs import config_path

from .detectors import Load
from .growth import growth
from .inference import inference_cost
from .loading import loading_cost
from .training import training_cost

#: Suffix of the configs of each detector, and the baselines of iFAN.
DETECTORS = {
    'vgg16': (
        'vgg16_city2foggy',
        ('da-faster', 'few-shot', 'select-align', 'strong-weak'),
    ),
    'r50-dc5': ('r50-dc5_city2foggy', ('mtor',)),
    'mini': (
        'mini-city',
        (
            'da-faster',
            'few-shot',
            'mtor',
            'select-align',
            'strong-weak',
            'ifan-teacher',
        ),
    ),
}
#: The paper's image, and one small enough for many steps.
LARGE, SMALL = (600, 1200), (128, 256)


def sections() -> dict[str, Callable[[], Any]]:
    """Plan the measurements.

    Returns:
        dict[str, Callable]: For each section of ``bench.json``, the function
        that measures it.
    """
    plan: dict[str, Callable[[], Any]] = {'machine': machine}
    for detector, (suffix, baselines) in DETECTORS.items():
        methods = {
            method: _config(f'{method}_{suffix}') for method in ('ifan', *baselines)
        }
        mini = detector == 'mini'
        for size in (SMALL,) if mini else (SMALL, LARGE):
            place = f'{detector}/{size[1]}x{size[0]}'
            plan[f'steps/{place}'] = partial(
                training_cost, methods, Load(size, 4 if mini else 1), 15 if mini else 3
            )
            plan[f'inference/{place}'] = partial(
                inference_cost,
                methods['ifan'],
                size,
                41 if mini else 15 if size == SMALL else 3,
            )
    plan['loading/256x128'] = partial(
        loading_cost, _config('ifan_mini-city'), (128, 256), 32, 41
    )
    plan['loading/2048x1024'] = partial(
        loading_cost, _config('ifan_vgg16_city2foggy'), (1024, 2048), 8, 9
    )
    plan['growth/mini'] = partial(growth, _config('ifan_mini-city'), 5)
    return plan


def machine() -> dict[str, str]:
    """Describe the machine."""
    return dict(
        device=(
            torch.cuda.get_device_name()
            if torch.cuda.is_available()
            else f'one core, {platform.machine()}'
        ),
        capability=torch.backends.cpu.get_cpu_capability(),
        torch=torch.__version__,
    )


def _config(name: str) -> Config:
    """Read one of our configs."""
    return Config.fromfile(config_path(f'{name}.py'))
