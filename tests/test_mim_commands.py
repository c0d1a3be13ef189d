"""``mim`` with the installed package, from a folder outside the checkout.

A few iterations on a few images of Mini City: what is tested is that the
commands find, launch, log, save, resume and measure, not what they learn.
"""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from leaves import FOLDERS
from mmengine.config import Config
from processes import environment, run_module

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
CONFIG = 'ifan_mini-city.py'
OPTIONS = [
    'train_dataloader.batch_size=1',
    'default_hooks.checkpoint.interval=2',
    'default_hooks.logger.interval=1',
    'default_hooks.late_launch.launch.image=0',
    'default_hooks.late_launch.launch.instance=1',
    'default_hooks.late_launch.launch.correlation=2',
    'param_scheduler.0.end=2',
    'param_scheduler.1.begin=2',
] + [
    f'{name}_dataloader.{option}'
    for name in ('train', 'val', 'test')
    for option in ('num_workers=0', 'persistent_workers=False')
]
Mim = Callable[..., str]


def train_options(iterations: int) -> list[str]:
    """What makes a run of the config short, validated at its end."""
    return [
        '--cfg-options',
        *OPTIONS,
        f'train_cfg.max_iters={iterations}',
        f'train_cfg.val_interval={iterations}',
    ]


def scalars(work_dir: Path) -> list[dict]:
    """The scalars of the latest run in a work folder."""
    path = sorted(work_dir.glob('*/vis_data/scalars.json'))[-1]
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """The folder that a user works in."""
    return tmp_path_factory.mktemp('user')


@pytest.fixture(scope='module')
def mim(folder) -> Mim:
    """Runs ``mim`` in that folder and returns what it prints.

    It is forked; ``anew`` starts a fresh interpreter, as a user does.
    """
    try:
        package = distribution('mmdet_ifan').locate_file('mmdet_ifan')
        installed = Path(package, '.mim').is_dir()
    except PackageNotFoundError:
        installed = False
    if not installed:
        pytest.fail('mim needs mmdet_ifan as a wheel: run "make setup".')
    env = environment()

    def run(*arguments: str | Path, anew: bool = False) -> str:
        if anew:
            command = [sys.executable, '-m', 'mim', *map(str, arguments)]
            result = subprocess.run(
                command, cwd=folder, env=env, capture_output=True, text=True
            )
        else:
            result = run_module('mim', *arguments, cwd=folder, env=env)
        printed = result.stdout + result.stderr
        assert result.returncode == 0, printed
        assert str(ROOT / 'mmdet_ifan') not in printed
        return printed

    return run


@pytest.fixture(scope='module')
def mini_city(mim) -> None:
    """Six training and three validation scenes, as in a user's first steps."""
    mim('run', 'mmdet_ifan', 'mini_city', '--train', 6, '--val', 3, anew=True)
    mim('run', 'mmdet_ifan', 'cityscapes', 'data/mini_city', anew=True)


@pytest.fixture(scope='module')
def trained(mim, mini_city, folder) -> Path:
    """The work folder of a run of four iterations, in two processes.

    Not launched, the alignments do not stop them.
    """
    output = mim(
        'train',
        'mmdet_ifan',
        CONFIG,
        '--launcher',
        'pytorch',
        '--gpus',
        2,
        '--work-dir',
        'work',
        '--seed',
        3,
        *train_options(4),
        anew=True,
    )
    assert 'Training finished successfully' in output
    return folder / 'work'


@pytest.fixture(scope='module')
def resumed(mim, trained) -> Path:
    """The same work folder after two more iterations, in one process."""
    output = mim(
        'train',
        'mmdet_ifan',
        CONFIG,
        '--work-dir',
        trained,
        '--resume',
        *train_options(6),
    )
    assert 'resumed epoch: 0, iter: 4' in output
    return trained


def test_search_lists_the_configs(mim):
    output = mim('search', 'mmdet_ifan', '--valid-config')
    for name, folder in FOLDERS.items():
        assert (repr(name) in output) == (folder != 'template')


def test_train(trained):
    steps = [line for line in scalars(trained) if 'loss' in line]
    assert [line['step'] for line in steps] == [1, 2, 3, 4]
    assert all(math.isfinite(line['loss']) for line in steps)
    assert ['instance/loss' in line for line in steps] == [False, True, True, True]
    assert ['correlation/loss_sddc' in line for line in steps] == [
        False,
        False,
        True,
        True,
    ]
    assert (trained / 'iter_2.pth').exists()
    assert (trained / 'iter_4.pth').exists()


def test_options_reach_the_run(trained):
    dumped = Config.fromfile(trained / CONFIG)
    assert dumped.randomness == dict(seed=3)
    assert dumped.work_dir == 'work'


def test_resume(resumed):
    steps = [line for line in scalars(resumed) if 'loss' in line]
    assert [line['step'] for line in steps] == [5, 6]
    assert all('correlation/loss_sddc' in line for line in steps)
    assert (resumed / 'iter_6.pth').exists()
    # The evaluation at the end stands at its iteration.
    assert scalars(resumed)[-1]['step'] == 6


def test_test(mim, resumed, folder):
    """Testing a checkpoint repeats the validation that ended its training."""
    validated = {
        key: value
        for key, value in scalars(resumed)[-1].items()
        if key.startswith(('source/', 'target/'))
    }
    mim(
        'test',
        'mmdet_ifan',
        CONFIG,
        '--checkpoint',
        resumed / 'iter_6.pth',
        '--work-dir',
        'tested',
        '--out',
        'metrics.json',
        '--show-dir',
        'drawn',
        '--cfg-options',
        *OPTIONS,
    )
    tested = json.loads((folder / 'metrics.json').read_text())
    assert {'source/mAP50', 'target/mAP50'} <= set(tested)
    assert tested == pytest.approx(validated, nan_ok=True)
    assert len(list(folder.glob('tested/*/drawn/*'))) == 6
