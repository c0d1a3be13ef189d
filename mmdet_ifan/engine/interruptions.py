"""What ended a training from outside, in a sentence."""
import errno
import os.path as osp
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .checkpoint_files import latest_in

#: What the system says when a file finds no room.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: Seconds within which torch notices that a worker has died.
NOTICE = 1.


@contextmanager
def explain_interruption(work_dir: str) -> Iterator[None]:
    """Say what ended a training and where it can go on.

    Args:
        work_dir (str): Its work folder.

    Raises:
        RuntimeError: If the disk is full or a worker of a data loader was
            killed. Other errors pass.
    """
    try:
        try:
            yield
        except (ConnectionError, EOFError):
            # Perhaps of a worker that died while it handed over a batch.
            # Torch's signal handler then says so, into the sleep.
            time.sleep(NOTICE)
            raise
    except Exception as error:
        sentence = _sentence(error, work_dir)
        if sentence is None:
            raise
        last = latest_in(work_dir)
        if last and osp.isfile(last):
            sentence += f' {last} is whole: --resume goes on from it.'
        raise RuntimeError(sentence) from error


def _sentence(error: Exception, work_dir: str) -> str | None:
    """Say what happened; None if it is something else."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return (f'A file cannot be written ({error.strerror}); the disk of '
                f'{work_dir} may be full: make room, or lower '
                'default_hooks.checkpoint.max_keep_ckpts.')
    # Not what a worker raised itself: that comes without a number.
    if (isinstance(error, RuntimeError)
            and 'DataLoader worker (pid' in str(error)):
        return (f'A worker that loads images was killed ({error}), most often '
                'for want of memory: lower num_workers of train_dataloader '
                'and val_dataloader, or close other programs.')
    return None
