"""Tie the lifetime of a child process to that of its parent."""

import signal

from torch.multiprocessing import _prctl_pr_set_pdeathsig  # type: ignore[attr-defined]


def end_with_parent(number: int = signal.SIGKILL) -> None:
    """Let the system end this process as soon as its parent ends.

    Works on Linux; does nothing elsewhere.

    Args:
        number (int): Signal that ends the process. Defaults to SIGKILL.
    """
    _prctl_pr_set_pdeathsig(number)
