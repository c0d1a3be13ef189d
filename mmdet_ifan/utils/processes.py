"""What a process may use, and how long a child process lives."""

import os
import signal

from torch.multiprocessing import _prctl_pr_set_pdeathsig  # type: ignore[attr-defined]


def end_with_parent(number: int = signal.SIGKILL) -> None:
    """Let the system end this process as soon as its parent ends.

    Works on Linux; does nothing elsewhere.

    Args:
        number (int): Signal that ends the process. Defaults to SIGKILL.
    """
    _prctl_pr_set_pdeathsig(number)


def usable_cores() -> int:
    """Count the cores that this process may use; they may be fewer than all."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
