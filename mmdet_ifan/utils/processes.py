"""What a process owes the one that started it."""
import signal

from torch.multiprocessing import (  # type: ignore[attr-defined]
    _prctl_pr_set_pdeathsig,
)


def end_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the system end this process when its parent ends, however it does.

    Linux only; elsewhere nothing happens.

    Args:
        number (int): The signal that ends it. Defaults to SIGKILL.
    """
    _prctl_pr_set_pdeathsig(number)
