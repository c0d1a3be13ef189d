"""An error ends a tool with a sentence and an exit code, not a traceback."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import _launch
import pytest
import torch
from mmdet.registry import HOOKS, MODELS
from mmengine.logging import MMLogger
from processes import environment, free_port, run_tool
from torch.utils.data import DataLoader, Dataset

from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.models.layers.valid_positions import valid_positions
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes
from mmdet_ifan.utils.errors import DataError
from mmdet_ifan.utils.named_configs import config_path

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """
_base_ = 'mmdet_ifan::ifan_mini-city.py'
load_from = None
train_cfg = dict(max_iters=3, val_interval=3)
param_scheduler = []
default_hooks = dict(late_launch=dict(
    launch=dict(image=0, instance=1, correlation=2)))
train_dataloader = dict(
    batch_size=1, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
"""
#: A bug in the second iteration, of the last process if there are several.
BUGGY = """
from mmdet.registry import HOOKS
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook


@HOOKS.register_module()
class Buggy(Hook):

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx == 1 and get_rank() == get_world_size() - 1:
            [][runner.iter]
"""


class Failing(Dataset):
    """Whose item cannot be loaded."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __len__(self) -> int:
        return 1

    def __getitem__(self, idx: int) -> int:
        raise self.error


def in_a_worker(error: Exception) -> Callable[[], object]:
    """Work that ends with an error in a worker of a data loader."""
    return lambda: list(DataLoader(Failing(error), num_workers=1))


def explain(work: Callable[[], object]) -> tuple[str, int]:
    """Do what fails; give the sentence and the exit code."""
    try:
        work()
    except Exception as error:
        return _launch.explain(error)
    pytest.fail('Nothing was raised.')


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """The log of a run."""
    path = tmp_path / 'run.log'
    logger = MMLogger.get_instance(tmp_path.name, log_file=str(path))
    yield path
    for handler in logger.handlers:
        handler.close()
    del MMLogger._instance_dict[tmp_path.name]


@pytest.mark.parametrize(
    ('work', 'sentence'),
    [
        (lambda: config_path('gone.py'), "mmdet_ifan has no config 'gone.py' "),
        (lambda: open('gone.txt'), 'gone.txt: No such file or directory'),
        (lambda: __import__('gone_package'), "No module named 'gone_package'"),
        (lambda: MODELS.build(dict(type='Gone')), 'Gone is not in the mmengine::'),
        (
            lambda: HOOKS.build(dict(type='LateLaunchHook', launch={}, gone=1)),
            'LateLaunchHook.__init__() got an unexpected keyword argument ',
        ),
        (in_a_worker(DataError('a.png is damaged.')), 'a.png is damaged.'),
    ],
)
def test_what_the_user_can_fix(log, work, sentence):
    said, code = explain(work)
    assert said.startswith(sentence.replace('mmengine::', 'mmdet::'))
    assert '\n' not in said and 'traceback' not in said
    assert code == 2
    # Nothing is lost.
    assert log.read_text().startswith('Traceback (most recent call last)')


@pytest.mark.slow
@pytest.mark.parametrize(
    ('work', 'sentence'),
    [
        (
            lambda: torch.zeros(2, 3) @ torch.zeros(2, 3),
            'RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)',
        ),
        # In the package, but not raised by it.
        (
            lambda: valid_positions(torch.zeros(1, 2, 2), [(1, 1)], (0, 0)),
            'ZeroDivisionError: division by zero',
        ),
        # Raised, but not by the package.
        (in_a_worker(ValueError('a bug')), 'ValueError: a bug'),
        (lambda: {}['gone'], 'KeyError: gone'),
        (lambda: torch._assert(False, ''), 'AssertionError: AssertionError'),
    ],
)
def test_a_bug_is_named_and_its_traceback_is_in_the_log(log, work, sentence):
    said, code = explain(work)
    assert said == f'{sentence} (traceback: {os.path.relpath(log)})'
    assert code == 1
    assert 'Traceback (most recent call last)' in log.read_text()
    assert Path(__file__).name in log.read_text()


def test_a_bug_without_a_log(monkeypatch):
    monkeypatch.setattr(MMLogger, '_instance_dict', {})
    assert explain(lambda: {}['gone']) == (
        'KeyError: gone (traceback: repeat with --debug)',
        1,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ('text', 'options', 'sentence'),
    [
        ("_base_ = 'gone.py'", {}, r'no valid config: \S+/gone.py: No such file'),
        ("_base_ = 'mmdet_ifan::gone.py'", {}, 'no valid config: mmdet_ifan has '),
        ("_base_ = 'wrong.py'", {}, r"\S+/wrong.py: '\(' was never closed \(.* 2"),
        ('a = 1\nb = gone', {}, r"own.py, line 2: name 'gone' is not defined"),
        (
            '__import__("gone_package")',
            {},
            r"own.py, line 1: No module named 'gone_package'",
        ),
        (
            "custom_imports = dict(imports=['gone_package'])",
            {},
            "no valid config: No module named 'gone_package'",
        ),
        ('a = [1]', {'a.b': 2}, 'no valid config with these --cfg-options: '),
    ],
)
def test_a_config_that_cannot_be_read(tmp_path, monkeypatch, text, options, sentence):
    monkeypatch.chdir(tmp_path)
    Path('wrong.py').write_text('a = 1\nb = (\n')
    Path('own.py').write_text(text)
    with pytest.raises(ValueError, match=f'^own.py is .*{sentence}') as raised:
        _launch.read_config('own.py', options)
    assert _launch.explain(raised.value) == (str(raised.value), 2)


def test_a_hook_of_the_base_is_dropped(tmp_path):
    path = tmp_path / 'own.py'
    path.write_text(
        "_base_ = 'mmdet_ifan::ifan-teacher_mini-city.py'\n"
        'default_hooks = dict(teacher=None, timer=None)\n'
    )
    cfg = _launch.read_config(str(path), {})
    # mmengine's own are for mmengine to leave out.
    assert 'teacher' not in cfg.default_hooks and cfg.default_hooks.timer is None


#: A tool that waits, or ends with an error of its own.
TOOL = """
import signal, sys, time
import _launch

# A shell's background job, which may have started the tests, ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)

def main():
    args = _launch.make_parser('Wait.').parse_args()
    print('started', flush=True)
    if ERROR:
        raise ValueError('Give another one.')
    time.sleep(60)

_launch.run(main, 'run it again')
"""


def start(error: bool, *options: str, **env: str) -> subprocess.Popen:
    """Start the tool."""
    return subprocess.Popen(
        [sys.executable, '-c', TOOL.replace('ERROR', str(error)), *options],
        env=environment(ROOT / 'tools', **env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ('options', 'env', 'traceback'),
    [
        ([], {}, False),
        ([], {_launch.DEBUG: '0'}, False),
        (['--debug'], {}, True),
        ([], {_launch.DEBUG: '1'}, True),
    ],
)
def test_debug_shows_the_traceback(options, env, traceback):
    process = start(True, *options, **env)
    _, said = process.communicate()
    assert process.returncode == 2
    assert said.splitlines()[-1] == 'error: Give another one.'
    assert said.startswith('Traceback ') == traceback
    assert len(said.splitlines()) == 1 or traceback


def test_ctrl_c():
    """The process ends by the signal, as a loop in a shell has to see."""
    process = start(False)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGINT
    assert said == '\nInterrupted: run it again.\n'


# --- Training ----------------------------------------------------------------


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """A folder with data, a config and a hook that has a bug."""
    path = tmp_path_factory.mktemp('user')
    data = path / 'data/mini_city'
    write_mini_city(data, MiniCity(train=4, val=1), 1)
    prepare_cityscapes(data, Options(workers=1))
    (path / 'own.py').write_text(CONFIG)
    (path / 'buggy.py').write_text(BUGGY)
    (path / 'bug.py').write_text(
        f"{CONFIG}custom_imports = dict(imports=['buggy'])\n"
        "custom_hooks = [dict(type='Buggy')]\n"
    )
    return path


@pytest.fixture
def env(folder: Path) -> dict[str, str]:
    """Environment of a training, which finds the hook."""
    return environment(folder, PYTHON=sys.executable)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('option', 'sentence'),
    [
        (
            'train_dataloader.dataset.source.data_root=gone/',
            'The annotation file gone/annotations/instances_train.json does not exis'
            't: correct data_root or ann_file',
        ),
        (
            'val_dataloader.dataset.target.metainfo.classes=(car,tram)',
            'lacks the categories tram; it has person, rider, car',
        ),
        ('load_from=gone.pth', 'load_from names gone.pth, which does not exist: '),
    ],
)
def test_a_broken_config_ends_training_with_a_sentence(folder, option, sentence):
    result = run_tool('train.py', 'own.py', '--cfg-options', option, cwd=folder)
    assert result.returncode == 2
    (said,) = [line for line in result.stderr.splitlines() if 'rror' in line]
    assert said.startswith('error: ') and sentence in said
    assert said == result.stderr.splitlines()[-1]
    assert 'Traceback' not in result.stdout + result.stderr


@pytest.mark.slow
def test_a_bug_in_training_is_in_the_log(folder, env):
    result = run_tool('train.py', 'bug.py', cwd=folder, env=env)
    assert result.returncode == 1
    said = result.stderr.splitlines()[-1]
    assert said.startswith('error: IndexError: list index out of range (trac')
    assert 'Traceback' not in result.stdout + result.stderr
    log = folder / said.partition('traceback: ')[2].removesuffix(')')
    assert 'before_train_iter\n    [][runner.iter]' in log.read_text()


@pytest.mark.slow
def test_torchrun_names_the_process_that_failed_and_why(folder, env):
    result = subprocess.run(
        ['bash', ROOT / 'tools/dist_train.sh', 'bug.py', '2', '--work-dir', 'two'],
        cwd=folder,
        capture_output=True,
        text=True,
        env=dict(env, PORT=str(free_port())),
    )
    assert result.returncode == 1
    assert 'error: IndexError: list index out of range (' in result.stderr
    root_cause = result.stderr.partition('Root Cause')[2]
    assert 'rank      : 1 (local_rank: 1)' in root_cause
    assert '    [][runner.iter]' in root_cause
    assert 'IndexError: list index out of range' in root_cause


@pytest.mark.parametrize('path', ['ifan_mini-city.py', 'configs/oracle.py'])
def test_a_config_of_ours_is_found_by_its_name(path, tmp_path, monkeypatch):
    """As mim finds it; a file that is there comes first."""
    monkeypatch.chdir(tmp_path)
    check = _launch.existing('config')
    if path == 'ifan_mini-city.py':
        assert check(path) == check(f'configs/{path}') == config_path(path)
        Path(path).touch()
        assert check(path) == path
    else:
        with pytest.raises(FileNotFoundError, match=f'no config {path!r}'):
            check(path)


def test_a_tool_leaves_its_process_group(tmp_path, monkeypatch):
    """A thread of it that outlives the interpreter can abort the process."""
    monkeypatch.setattr(sys, 'argv', ['train.py'])

    def work() -> None:
        torch.distributed.init_process_group(
            'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
        )

    with pytest.raises(SystemExit) as end:
        _launch.run(work)
    assert end.value.code == 0
    assert not torch.distributed.is_initialized()
