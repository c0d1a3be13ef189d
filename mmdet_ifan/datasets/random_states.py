"""Get and set the random states of the processes of a run.

Augmentation draws random numbers in the workers of the data loader. Each
batch carries the state of its worker, so that a checkpoint can store it.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS
from torch.utils.data import get_worker_info

RandomState = dict[str, Any]


def get_random_state() -> RandomState:
    """Get the states of this process's global generators.

    Returns:
        dict: States of ``python``, ``numpy``, ``torch`` and, if in use,
        ``cuda``. They are numbers and bytes only, which safe loading of
        checkpoints accepts.
    """
    numpy = np.random.get_state(legacy=False)
    numpy['state']['key'] = numpy['state']['key'].tolist()
    state = dict(
        python=random.getstate(),
        numpy=numpy,
        torch=torch.get_rng_state().numpy().tobytes(),
    )
    # Not in a worker, where CUDA is not initialised.
    if torch.cuda.is_initialized():
        state['cuda'] = torch.cuda.get_rng_state().numpy().tobytes()
    return state


def set_random_state(state: RandomState) -> None:
    """Restore the states of :func:`get_random_state`.

    Args:
        state (dict): The states, from this process or another.
    """
    # A pinning data loader turns tuples into lists.
    version, words, gauss = state['python']
    random.setstate((version, tuple(words), gauss))
    np.random.set_state(state['numpy'])
    torch.set_rng_state(_to_tensor(state['torch']))
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(_to_tensor(state['cuda']))


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Give this process's generators their states back afterwards."""
    state = get_random_state()
    try:
        yield
    finally:
        set_random_state(state)


class WorkerBatch(dict):
    """Batch that carries the state of its worker after loading it.

    Args:
        batch (dict): The batch.
        random_state (dict): The state.
    """

    def __init__(self, batch: dict, random_state: RandomState) -> None:
        super().__init__(batch)
        self.random_state = random_state


@FUNCTIONS.register_module()
def collate_with_random_state(items: Sequence[dict]) -> dict:
    """Collate like mmengine's ``pseudo_collate`` and add a worker's state.

    Args:
        items (Sequence[dict]): Items of the batch.

    Returns:
        dict: The batch; a :class:`WorkerBatch` if a worker loaded it.
    """
    batch = pseudo_collate(items)
    if get_worker_info() is None:
        return batch
    return WorkerBatch(batch, get_random_state())


def start_worker_from(
    states: Sequence[tuple[int, RandomState | None]],
    init: Callable[[int], None] | None,
    worker_id: int,
) -> None:
    """Let a worker take the place of another one, and restore its state.

    Args:
        states (Sequence[tuple[int, dict | None]]): For each worker, the
            number of the worker whose place it takes, and the state of that
            one, if known.
        init (Callable, optional): Function that initialises a worker.
        worker_id (int): Number of the worker.
    """
    number, state = states[worker_id]
    if init is not None:
        init(number)
    if state is not None:
        set_random_state(state)


def _to_tensor(state: bytes) -> torch.Tensor:
    """Turn bytes into a state of torch, uint8 of shape (N, )."""
    return torch.frombuffer(bytearray(state), dtype=torch.uint8)
