"""Interruptions from outside, done for real."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from mmengine.runner import save_checkpoint
from processes import read_numbers
from torch.utils.data import DataLoader, Dataset

from mmdet_ifan.engine.robustness.interruptions import explain_interruption


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


def failing(error: Exception) -> Callable[[], None]:
    """Work that ends with this error."""

    def work() -> None:
        raise error

    return work


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
    with pytest.raises(
        RuntimeError,
        match=(
            r'A worker that loads images was killed .*lack of memory: lower '
            r'num_workers.*iter_2.pth is intact: --resume continues from it'
        ),
    ):
        explain_interruption(
            lambda: list(DataLoader(Deadly(), num_workers=1)), work_dir
        )


@pytest.fixture
def late_notice() -> Iterator[None]:
    """Torch's handler notices a killed worker a moment later."""

    def handler(number: int, frame: object) -> None:
        raise RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed.')

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_worker_killed_while_it_hands_over_a_batch(work_dir, late_notice):
    with pytest.raises(RuntimeError, match='A worker that loads images was '):
        explain_interruption(
            failing(ConnectionResetError(104, 'Connection reset by peer')), work_dir
        )


@pytest.mark.slow
def test_killed_worker_that_nobody_has_noticed(work_dir):
    """The connection is gone, and with it the notice of torch's handler."""
    child = subprocess.Popen(['sleep', '60'])
    child.kill()
    try:
        with pytest.raises(
            RuntimeError,
            match=(rf'was killed \(DataLoader worker \(pid {child.pid}\)\), '),
        ):
            explain_interruption(failing(EOFError()), work_dir)
    finally:
        child.wait()
    with pytest.raises(EOFError):
        explain_interruption(failing(EOFError()), work_dir)


def test_no_room_for_a_checkpoint(work_dir, small_files):
    with pytest.raises(
        RuntimeError,
        match=(
            r'A file cannot be written \(.*\); the disk of \S+ may be full: '
            r'make room.*iter_2.pth is intact'
        ),
    ):
        explain_interruption(
            lambda: save_checkpoint(
                dict(a=torch.ones(10**5)), f'{work_dir}/iter_4.pth'
            ),
            work_dir,
        )
    last = torch.load(f'{work_dir}/iter_2.pth', weights_only=True)
    assert last['a'].tolist() == [1, 1, 1]


def test_no_checkpoint_yet(tmp_path):
    with pytest.raises(RuntimeError, match='max_keep_ckpts.$'):
        explain_interruption(
            failing(OSError(28, 'No space left on device')), str(tmp_path)
        )


@pytest.mark.parametrize(
    'error',
    [
        ValueError('a bug'),
        FileNotFoundError(2, 'No such file', 'a'),
        ConnectionResetError(104, 'Connection reset by peer'),
    ],
)
def test_other_errors_pass(work_dir, error):
    with pytest.raises(type(error)) as raised:
        explain_interruption(failing(error), work_dir)
    assert raised.value is error


FULL_PIPE = """
import signal
from torch.utils.data import DataLoader
from mmdet_ifan.engine import end_workers_with_this_process

end_workers_with_this_process()
batches = iter(DataLoader([bytes(2**21)] * 100, num_workers=2,
                          collate_fn=list))
print(*[worker.pid for worker in batches._workers], flush=True)
signal.pause()
"""


@pytest.mark.slow
def test_workers_end_with_a_killed_process(outliving):
    """Without that, one of them hung in the handing over of its batch."""
    with subprocess.Popen(
        [sys.executable, '-c', FULL_PIPE], stdout=subprocess.PIPE, text=True
    ) as process:
        workers = read_numbers(process.stdout)
        # Until both have a batch that does not fit into the pipe.
        time.sleep(1)
        process.kill()
    assert outliving(workers) == []
    assert len(workers) == 2


def test_what_a_worker_raises_passes(work_dir):
    with pytest.raises(RuntimeError, match='^Caught RuntimeError in Data'):
        explain_interruption(lambda: list(DataLoader(Wrong(), num_workers=1)), work_dir)
