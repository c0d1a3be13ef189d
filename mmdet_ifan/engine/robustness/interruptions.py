"""End a run from outside with a sentence, and with its workers."""

import errno
import os
import os.path as osp
import time
from collections.abc import Callable

from ...utils.processes import end_with_parent
from .checkpoint_files import latest_in

#: Errors of the system when there is no room for a file.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: Errors of a process that reads from one that has died.
BROKEN = (ConnectionError, EOFError)
#: Seconds within which torch notices that a worker has died.
NOTICE = 1.0


def end_workers_with_this_process() -> None:
    """Have the system end the processes that this one forks when it ends.

    A data loader's worker notices that its process was killed and ends, but
    first hands over its last batch, into a pipe that may be full. The workers
    hold the other end of the pipe open, so that one of them would wait
    forever. Works on Linux only; elsewhere nothing happens.
    """
    os.register_at_fork(after_in_child=end_with_parent)


def explain_interruption(work: Callable[[], object], work_dir: str) -> None:
    """Do some work; if it is interrupted, say by what and how to resume.

    This is no context manager. Torch notices a killed worker in a signal
    handler, which may run between two Python functions: on the way into the
    end of a context manager, where nothing would catch its error.

    Args:
        work (Callable): A training run.
        work_dir (str): Its work folder.

    Raises:
        RuntimeError: If the disk is full or a worker of a data loader was
            killed. Other errors are passed on.
    """
    try:
        try:
            work()
        except BROKEN:
            # If a worker died while it handed over a batch, torch's signal
            # handler raises an error that says so during the sleep.
            time.sleep(NOTICE)
            raise
    except Exception as error:
        sentence = _sentence(error, work_dir)
        if sentence is None:
            raise
        last = latest_in(work_dir)
        if last and osp.isfile(last):
            sentence += f' {last} is intact: --resume continues from it.'
        raise RuntimeError(sentence) from error


def _killed_worker(error: Exception) -> str | None:
    """Name the worker that was killed, if one was."""
    # An error that a worker raised itself comes without a number.
    if isinstance(error, RuntimeError) and 'DataLoader worker (pid' in str(error):
        return str(error)
    if not isinstance(error, BROKEN):
        return None
    # Torch may have raised it before, where Python ignores errors.
    try:
        child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    if child is None or child.si_code != os.CLD_KILLED:
        return None
    return f'DataLoader worker (pid {child.si_pid})'


def _sentence(error: Exception, work_dir: str) -> str | None:
    """Describe the interruption; None if it is another error."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return (
            f'A file cannot be written ({error.strerror}); the disk of '
            f'{work_dir} may be full: make room, or lower '
            'default_hooks.checkpoint.max_keep_ckpts.'
        )
    worker = _killed_worker(error)
    if worker is not None:
        return (
            f'A worker that loads images was killed ({worker}), most '
            'often for lack of memory: lower num_workers of '
            'train_dataloader and val_dataloader, or close other '
            'programs.'
        )
    return None
