"""What ends a training from outside: in a sentence, and with its workers."""
import errno
import os
import os.path as osp
import time
from collections.abc import Callable

from ...utils.processes import end_with_parent
from .checkpoint_files import latest_in

#: What the system says when a file finds no room.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: What a process gets that reads from one that has died.
BROKEN = (ConnectionError, EOFError)
#: Seconds within which torch notices that a worker has died.
NOTICE = 1.


def end_workers_with_this_process() -> None:
    """Have the system end what this process forks when it ends itself.

    A worker of a data loader notices that its process was killed and ends, but
    first hands over its last batch: into a pipe that may be full, whose other
    end the workers hold open, so that one of them would wait for ever. Linux
    only; elsewhere nothing happens.
    """
    os.register_at_fork(after_in_child=end_with_parent)


def explain_interruption(work: Callable[[], object], work_dir: str) -> None:
    """Do some work, and if it is ended, say by what and where it can go on.

    Torch notices a killed worker in a signal handler, which may run on the way
    from one Python function to the next. Therefore this is no context manager:
    on the way into its end, before anything could catch it, the notice got
    away.

    Args:
        work (Callable): A training.
        work_dir (str): Its work folder.

    Raises:
        RuntimeError: If the disk is full or a worker of a data loader was
            killed. Other errors pass.
    """
    try:
        try:
            work()
        except BROKEN:
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


def _killed_worker(error: Exception) -> str | None:
    """Name the worker that was killed, if one was."""
    # Not what a worker raised itself: that comes without a number.
    if (isinstance(error, RuntimeError)
            and 'DataLoader worker (pid' in str(error)):
        return str(error)
    if not isinstance(error, BROKEN):
        return None
    # Torch may have said so before, where Python ignores errors.
    try:
        child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    if child is None or child.si_code != os.CLD_KILLED:
        return None
    return f'DataLoader worker (pid {child.si_pid})'


def _sentence(error: Exception, work_dir: str) -> str | None:
    """Say what happened; None if it is something else."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return (f'A file cannot be written ({error.strerror}); the disk of '
                f'{work_dir} may be full: make room, or lower '
                'default_hooks.checkpoint.max_keep_ckpts.')
    worker = _killed_worker(error)
    if worker is not None:
        return (f'A worker that loads images was killed ({worker}), most '
                'often for want of memory: lower num_workers of '
                'train_dataloader and val_dataloader, or close other programs.'
                )
    return None
