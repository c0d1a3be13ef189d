"""Trainings that are killed and resumed, against one that is not.

``KILLS=20 pytest tests/test_engine/test_exact_resume.py -k random`` kills
twenty times at random moments.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get('KILLS', '0'))
ITERATIONS = max(16, 5 * KILLS)
#: Plateau or not, momenta, averaged weights and varied colours: all that a
#: training carries from one iteration to the next. A validation in between.
CONFIG = """
_base_ = ['mmdet_ifan::ifan_mini-city.py',
          'mmdet_ifan::_base_/recipes/strong.py']
custom_imports = dict(imports=['mmdet_ifan', 'recorder'])
load_from = None
train_cfg = dict(max_iters={iterations}, val_interval=5)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=4),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=4)
]
default_hooks = dict(
    logger=dict(interval=1), checkpoint=dict(interval=3),
    **_base_.strong_hooks)
train_dataloader = dict(
    batch_size=1, num_workers=2, persistent_workers=True,
    **_base_.strong_dataloader)
custom_hooks = [
    dict(type='LateLaunchHook', {launch}), dict(type='Recorder')
]
"""
FIXED = 'launch=dict(image=0, instance=5, correlation=9)'
PLATEAU = (
    "when='plateau', window=2, tolerance=0.5, "
    'launch=dict(image=0, instance=(4, 8), correlation=(7, 12))'
)
#: Six epochs of a batch of two pairs and one of a single pair.
EPOCHS = """
train_cfg = dict(
    _delete_=True, type='EpochBasedTrainLoop', max_epochs=6, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=4),
    dict(type='MultiStepLR', by_epoch=True, milestones=[3, 5])
]
default_hooks.update(checkpoint=dict(by_epoch=True, interval=1))
train_dataloader.update(batch_size=2)
"""
BY_EPOCH = 'by_epoch=True, launch=dict(image=0, instance=2, correlation=4)'
#: Writes down what each iteration computes, and dies where KILL_AT says.
RECORDER = """
import json, os, pathlib, signal
from mmdet.registry import HOOKS
from mmengine.hooks import Hook

PLACE, _, STEP = os.environ.get('KILL_AT', '').partition(':')
write = pathlib.Path.write_bytes

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def write_half(path, content):
    if path.name.startswith((f'iter_{STEP}.pth', f'epoch_{STEP}.pth')):
        write(path, content[:len(content) // 2])
        die()
    return write(path, content)

if PLACE == 'write':
    pathlib.Path.write_bytes = write_half

@HOOKS.register_module()
class Recorder(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch):
        self.launched = sorted(
            name for name, alignment in runner.model.all_alignments.items()
            if alignment.launched)
        if PLACE == 'iteration' and runner.iter == int(STEP):
            die()

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        seen = {key: value.item().hex() for key, value in outputs.items()}
        seen['images'] = [
            [sample.img_path, sample.flip, inputs.sum().item()]
            for branch, samples in data_batch['data_samples'].items()
            for sample, inputs in zip(samples, data_batch['inputs'][branch])]
        seen['launched'] = self.launched
        seen['lr'] = runner.optim_wrapper.get_lr()
        with open('seen.jsonl', 'a') as stream:
            print(json.dumps([runner.iter, seen]), file=stream)

    def before_val(self, runner):
        if PLACE == 'validation' and runner.iter == int(STEP):
            die()
"""
#: Imports once, then runs tools/train.py in a process of its own for each
#: line, a folder and where to die.
SERVER = """
import gc, os, runpy, sys
root = sys.argv[1]
sys.path[:0] = [root, root + '/tools']
# OneDL's mmdet prints a line when it is imported.
answers, sys.stdout = sys.stdout, sys.stderr
from mmdet_ifan.models.backbones.timm_taps import import_timm
import_timm()
# mmengine collects garbage for every data set: not among libraries.
gc.freeze()
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        folder, os.environ['KILL_AT'] = line.rstrip().split('|')
        os.chdir(folder)
        sys.path.insert(0, folder)
        log = os.open('console.log', os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = ['train.py', 'leaf.py', '--work-dir', 'work', '--resume']
        runpy.run_path(root + '/tools/train.py', run_name='__main__')
        sys.exit()
    print(pid, file=answers, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers,
          flush=True)
"""


class Folder:
    """A folder to train in."""

    def __init__(self, path: Path, launch: str, data: Path) -> None:
        self.path = path
        by_epoch = launch == BY_EPOCH
        self.iterations = 12 if by_epoch else ITERATIONS
        self.last = 'epoch_6' if by_epoch else f'iter_{ITERATIONS}'
        path.mkdir()
        (path / 'data').symlink_to(data)
        (path / 'recorder.py').write_text(RECORDER)
        (path / 'leaf.py').write_text(
            CONFIG.format(launch=launch, iterations=ITERATIONS)
            + (EPOCHS if by_epoch else '')
        )
        (path / 'seen.jsonl').touch()

    @property
    def log(self) -> str:
        """All that the trainings have said."""
        return (self.path / 'console.log').read_text()

    @property
    def seen(self) -> Iterator[tuple[int, dict]]:
        """What the iterations have computed, again and again."""
        for line in (self.path / 'seen.jsonl').read_text().splitlines():
            iteration, seen = json.loads(line)
            yield iteration, seen

    @property
    def result(self) -> dict:
        """The last checkpoint."""
        return torch.load(self.path / f'work/{self.last}.pth', weights_only=False)


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few scenes."""
    folder = tmp_path_factory.mktemp('data')
    write_mini_city(folder / 'mini_city', MiniCity(3, 1, 64, 128), 1)
    prepare_cityscapes(folder / 'mini_city', Options(workers=1))
    return folder


class Server:
    """The process that forks trainings."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process

    def start(self, folder: Folder, kill_at: str = '') -> int:
        """Start or resume a training, and give the number of its process."""
        print(f'{folder.path}|{kill_at}', file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def wait(self) -> int:
        """Give the exit code of the training."""
        return int(self.process.stdout.readline())

    def train(self, folder: Folder, kill_at: str = '') -> int:
        """Do both."""
        self.start(folder, kill_at)
        return self.wait()


@pytest.fixture(scope='module')
def server() -> Iterator[Server]:
    """A server that has imported what a training needs."""
    with subprocess.Popen(
        [sys.executable, '-c', SERVER, ROOT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        text=True,
    ) as process:
        yield Server(process)


@pytest.fixture(scope='module')
def uninterrupted(
    server: Server, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Folder]:
    """Maker of a folder where a training has run in one go."""
    folders: dict[str, Folder] = {}

    def train(launch: str) -> Folder:
        if launch not in folders:
            folder = Folder(tmp_path_factory.mktemp('whole') / 'run', launch, data)
            assert server.train(folder) == 0, folder.log
            folders[launch] = folder
        return folders[launch]

    return train


def assert_varied(seen: dict[int, dict]) -> None:
    """Flips and colours vary, alignments are launched on the way."""
    launched = [len(seen[i]['launched']) for i in range(len(seen))]
    assert launched[0] == 1 and launched[-1] == 3
    images = [tuple(image) for values in seen.values() for image in values['images']]
    assert {flip for _, flip, _ in images} == {True, False}
    assert len(set(images)) > 2 * len({path for path, *_ in images})


def assert_same(one, other) -> None:
    """Compare nested values bit for bit."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def assert_equal_trainings(folder: Folder, whole: Folder) -> None:
    """Compare every iteration and all that the last checkpoint keeps."""
    expected = dict(whole.seen)
    assert sorted(expected) == list(range(folder.iterations))
    seen = list(folder.seen)
    assert {iteration for iteration, _ in seen} == set(expected)
    for iteration, values in seen:
        assert values == expected[iteration], iteration
    one, other = folder.result, whole.result
    for key in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers'):
        assert_same(one[key], other[key])
    assert_same(one.get('late_launch'), other.get('late_launch'))
    assert_same(one['meta']['random_states'], other['meta']['random_states'])


@pytest.mark.parametrize('launch', [FIXED, PLATEAU])
def test_kills_where_it_hurts(server, uninterrupted, data, tmp_path, launch):
    """At a launch, in a checkpoint, in a validation; one that is corrupt."""
    whole = uninterrupted(launch)
    assert_varied(dict(whole.seen))
    folder = Folder(tmp_path / 'run', launch, data)
    start = min(i for i, values in whole.seen if len(values['launched']) == 2)
    for kill_at in (f'iteration:{start}', 'write:6', 'validation:10'):
        assert server.train(folder, kill_at) == -signal.SIGKILL, folder.log
    assert 'Removed iter_6.pth.' in folder.log
    work = folder.path / 'work'
    assert not list(work.glob('*.tmp'))
    corrupt = work / 'iter_9.pth'
    assert (work / 'last_checkpoint').read_text() == str(corrupt)
    corrupt.write_bytes(corrupt.read_bytes()[:-100])

    assert server.train(folder) == 0, folder.log
    assert f'Checkpoint {corrupt} is corrupt' in folder.log
    assert f'Load checkpoint from {work}/iter_6.pth' in folder.log
    assert_equal_trainings(folder, whole)


def test_kills_in_epochs(server, uninterrupted, data, tmp_path):
    """In an epoch, in its checkpoint, its validation; one that is corrupt."""
    whole = uninterrupted(BY_EPOCH)
    seen = dict(whole.seen)
    assert_varied(seen)
    assert [len(seen[i]['launched']) for i in (3, 4, 7, 8)] == [1, 2, 2, 3]
    assert [len(seen[i]['images']) for i in (0, 1)] == [4, 2]
    folder = Folder(tmp_path / 'run', BY_EPOCH, data)
    for kill_at in ('iteration:3', 'write:3', 'validation:8'):
        assert server.train(folder, kill_at) == -signal.SIGKILL, folder.log
    assert 'Removed epoch_3.pth.' in folder.log
    work = folder.path / 'work'
    corrupt = work / 'epoch_4.pth'
    corrupt.write_bytes(corrupt.read_bytes()[:-100])
    # Only the checkpoints were copied.
    (work / 'last_checkpoint').unlink()

    assert server.train(folder) == 0, folder.log
    assert f'Checkpoint {corrupt} is corrupt' in folder.log
    assert f'Load checkpoint from {work}/epoch_3.pth' in folder.log
    assert_equal_trainings(folder, whole)
    assert sorted(path.name for path in work.glob('*.pth')) == [
        'epoch_5.pth',
        'epoch_6.pth',
    ]


@pytest.mark.skipif(not KILLS, reason='takes minutes; give KILLS')
def test_random_kills(server, uninterrupted, data, tmp_path):
    """Some iterations and a random time after each start."""
    whole = uninterrupted(PLATEAU)
    folder = Folder(tmp_path / 'run', PLATEAU, data)
    rng = random.Random(0)
    for _ in range(KILLS):
        pid = server.start(folder)
        enough = len(list(folder.seen)) + rng.randint(1, 8)
        while len(list(folder.seen)) < enough:
            os.kill(pid, 0)  # Fails if it has ended by itself.
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.5))
        os.kill(pid, signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL, folder.log
    assert server.train(folder) == 0, folder.log
    assert_equal_trainings(folder, whole)
