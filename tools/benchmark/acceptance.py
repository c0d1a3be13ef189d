"""What must hold on a device before anybody trains on it."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device

from mmdet_ifan.engine.checks.doctor import try_operators
from mmdet_ifan.engine.robustness.safe_loading import load_checkpoint
from mmdet_ifan.utils.named_configs import config_path

from .detectors import (
    Load,
    TrainStep,
    build_untrained,
    launch_all,
    random_images,
    split_domains,
    with_views,
)
from .timing import seconds
from .training import training_cost

TOOLS = Path(__file__).resolve().parents[1]
LARGE, SMALL = (600, 1200), (128, 256)
#: A method's leaf on the paper's detector, and on the small one.
METHODS = {
    **{
        method: (f'{method}_vgg16_city2foggy', f'{method}_mini-city')
        for method in (
            'ifan',
            'adda',
            'da-faster',
            'few-shot',
            'select-align',
            'strong-weak',
        )
    },
    'mtor': ('mtor_r50-dc5_city2foggy', 'mtor_mini-city'),
    'ifan-fpn': ('ifan_r50-fpn_city2foggy', 'ifan_mini-sim2mini-city'),
    'ifan-teacher': ('ifan-teacher_r50-fpn_city2foggy', 'ifan-teacher_mini-city'),
}


def checks(small: bool) -> dict[str, Callable[[], dict[str, Any]]]:
    """Plan the checks.

    Args:
        small (bool): Whether to take the small detector and small images.

    Returns:
        dict[str, Callable]: Each returns what it measured, and raises if
        something does not hold.
    """
    plan: dict[str, Callable[[], dict[str, Any]]] = {'operators': _operators}
    for method, leaves in METHODS.items():
        # mmengine has no mixed precision on a CPU.
        for precision in ('float32',) if small else ('float32', 'float16'):
            plan[f'{method}, {precision}'] = partial(
                step, leaves[small], SMALL if small else LARGE, precision
            )
    plan['resume'] = resume
    leaf = METHODS['ifan'][small]
    plan['speed over stock'] = partial(
        over_stock, leaf, SMALL if small else LARGE, 3 if small else 20
    )
    return plan


def _operators() -> dict[str, Any]:
    """Compute with mmcv's operators."""
    try_operators(get_device())
    return {}


def step(leaf: str, size: tuple[int, int], precision: str) -> dict[str, Any]:
    """Take three steps with everything launched.

    Args:
        leaf (str): Name of the config.
        size (tuple[int, int]): Height and width of the images in pixels.
        precision (str): ``float32``, or the type of mixed precision.

    Returns:
        dict[str, Any]: ``seconds`` of the last step and, on a GPU, ``GiB`` at
        its peak.

    Raises:
        ArithmeticError: If a loss is not finite after them, or a teacher has
            no box to teach.
    """
    cfg = Config.fromfile(config_path(f'{leaf}.py'))
    if precision != 'float32':
        cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype=precision)
    detector = build_untrained(cfg.model)
    images = random_images(
        Load(size, 2 * cfg.train_dataloader.batch_size),
        cfg.model.roi_head.bbox_head.num_classes,
    )
    pairs = with_views(split_domains(images), detector)
    launch_all(detector)
    work = TrainStep(detector, cfg, pairs, list(detector.all_alignments))
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    times = [seconds(work) for _ in range(3)]
    data = detector.data_preprocessor(pairs, True)
    with work.optim_wrapper.optim_context(detector):
        logged = detector.parse_losses(detector(**data, mode='loss'))[1]
    wrong = [key for key, value in logged.items() if not value.isfinite().all()]
    if wrong:
        raise ArithmeticError(f'{", ".join(wrong)} of {leaf} is not finite.')
    if logged.get('teacher/pseudo_boxes', 1) == 0:
        raise ArithmeticError(f'The teacher of {leaf} has detected nothing.')
    result: dict[str, Any] = dict(seconds=times[-1])
    if torch.cuda.is_available():
        result['GiB'] = torch.cuda.max_memory_allocated() / 2**30
    return result


def resume() -> dict[str, Any]:
    """Compare a run that was resumed half-way with an uninterrupted one.

    Returns:
        dict[str, Any]: ``largest difference`` of two weights. It is 0 on a CPU;
        a GPU adds in any order.

    Raises:
        ArithmeticError: If it is larger than 0.001.
        RuntimeError: If a run fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        data, whole, rest = (Path(folder, name) for name in ('city', 'whole', 'rest'))
        _tool('prepare/mini_city.py', '--out', data, '--train', 8, '--val', 2)
        _tool('prepare/cityscapes.py', data)
        roots = [
            f'{loader}_dataloader.dataset.{domain}.data_root={data}/'
            for loader in ('train', 'val')
            for domain in ('source', 'target')
        ]
        options = [
            '--cfg-options',
            *roots,
            'train_cfg.max_iters=4',
            'train_cfg.val_interval=4',
            'param_scheduler.0.end=2',
            'param_scheduler.1.begin=2',
            'default_hooks.checkpoint.interval=2',
            'default_hooks.late_launch.launch.image=1',
            'default_hooks.late_launch.launch.instance=2',
            'default_hooks.late_launch.launch.correlation=3',
        ]
        leaf = config_path('ifan_mini-city.py')
        _tool('train.py', leaf, '--work-dir', whole, *options)
        rest.mkdir()
        shutil.copy(whole / 'iter_2.pth', rest)
        (rest / 'last_checkpoint').write_text(str(rest / 'iter_2.pth'))
        _tool('train.py', leaf, '--work-dir', rest, '--resume', *options)
        one, other = (
            load_checkpoint(str(run / 'iter_4.pth'))['state_dict']
            for run in (whole, rest)
        )
    largest = max((one[key] - other[key]).abs().max().item() for key in one)
    if not largest <= 1e-3:
        raise ArithmeticError(f'A weight of the resumed run differs by {largest}.')
    return {'largest difference': largest}


def _tool(name: str, *arguments: Any) -> None:
    """Run a tool; what it says goes into the error if it fails."""
    result = subprocess.run(
        [sys.executable, str(TOOLS / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f'{name} failed: {result.stderr[-2000:]}')


def over_stock(leaf: str, size: tuple[int, int], rounds: int) -> dict[str, Any]:
    """Time a step with everything launched over that of stock Faster R-CNN.

    Args:
        leaf (str): Name of the config.
        size (tuple[int, int]): Height and width of the images in pixels.
        rounds (int): Number of steps of each.

    Returns:
        dict[str, Any]: ``ratio``, and its ``memory``.
    """
    cfg = Config.fromfile(config_path(f'{leaf}.py'))
    figures = training_cost({'ifan': cfg}, Load(size), rounds, True)
    last = list(figures.values())[-1]
    return dict(ratio=last['median'], memory=last['memory'])
