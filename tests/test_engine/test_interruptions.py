"""What ends a training from outside, done for real."""
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.runner import save_checkpoint
from torch.utils.data import DataLoader, Dataset

from mmdet_ifan.engine import explain_interruption


class Deadly(Dataset):
    """Whose last item costs the worker its life, as an OOM killer would."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, idx: int) -> int:
        if idx == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return idx


class Wrong(Deadly):
    """Whose items cannot be computed."""

    def __getitem__(self, idx: int) -> int:
        raise RuntimeError('a bug')


@pytest.fixture
def work_dir(tmp_path: Path) -> str:
    """Work folder with a checkpoint."""
    save_checkpoint(dict(a=torch.ones(3)), str(tmp_path / 'iter_2.pth'))
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_2.pth'))
    return str(tmp_path)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow over 64 KiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_killed_worker(work_dir):
    with pytest.raises(RuntimeError, match=(
            r'A worker that loads images was killed .*want of memory: lower '
            r'num_workers.*iter_2.pth is whole: --resume goes on from it')):
        with explain_interruption(work_dir):
            list(DataLoader(Deadly(), num_workers=1))


@pytest.fixture
def late_notice() -> Iterator[None]:
    """Torch's handler notices a killed worker a moment later."""

    def handler(number: int, frame: object) -> None:
        raise RuntimeError(
            'DataLoader worker (pid 7) is killed by signal: Killed.')

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, .2)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_worker_killed_while_it_hands_over_a_batch(work_dir, late_notice):
    with pytest.raises(RuntimeError, match='A worker that loads images was '):
        with explain_interruption(work_dir):
            raise ConnectionResetError(104, 'Connection reset by peer')


def test_no_room_for_a_checkpoint(work_dir, small_files):
    with pytest.raises(RuntimeError, match=(
            r'A file cannot be written \(.*\); the disk of \S+ may be full: '
            r'make room.*iter_2.pth is whole')):
        with explain_interruption(work_dir):
            save_checkpoint(dict(a=torch.ones(10**5)),
                            f'{work_dir}/iter_4.pth')
    last = torch.load(f'{work_dir}/iter_2.pth', weights_only=True)
    assert last['a'].tolist() == [1, 1, 1]


def test_no_checkpoint_yet(tmp_path):
    with pytest.raises(RuntimeError, match='max_keep_ckpts.$'):
        with explain_interruption(str(tmp_path)):
            raise OSError(28, 'No space left on device')


@pytest.mark.parametrize('error', [
    ValueError('a bug'), FileNotFoundError(2, 'No such file', 'a'),
    ConnectionResetError(104, 'Connection reset by peer')])
def test_other_errors_pass(work_dir, error):
    with pytest.raises(type(error)) as raised:
        with explain_interruption(work_dir):
            raise error
    assert raised.value is error


def test_what_a_worker_raises_passes(work_dir):
    with pytest.raises(RuntimeError, match='^Caught RuntimeError in Data'):
        with explain_interruption(work_dir):
            list(DataLoader(Wrong(), num_workers=1))
