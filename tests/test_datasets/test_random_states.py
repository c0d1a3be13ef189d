"""Random states are restored exactly, whatever was drawn since."""

import random
from functools import partial

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torch.utils.data._utils.pin_memory import pin_memory

from mmdet_ifan.datasets.random_states import (
    collate_with_random_state,
    get_random_state,
    set_random_state,
    start_worker_from,
)


def draw() -> list[float]:
    """Draw from all three generators; numpy and python keep a spare."""
    return [
        random.gauss(0, 1),
        np.random.normal(),
        float(torch.randn(())),
        random.random(),
        np.random.random(),
        float(torch.rand(())),
    ]


class Draws:
    """Items that are drawn at random when they are loaded."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> dict:
        return dict(numbers=draw())


@pytest.mark.parametrize('spare', [False, True])
def test_a_state_is_all_that_is_drawn_from(spare, tmp_path):
    if spare:
        draw()
    # As safe loading reads a checkpoint.
    torch.save(get_random_state(), tmp_path / 'state.pth')
    expected = [draw() for _ in range(3)]
    set_random_state(torch.load(tmp_path / 'state.pth', weights_only=True))
    assert [draw() for _ in range(3)] == expected
    # As a data loader that pins memory returns it.
    state = get_random_state()
    expected = [draw() for _ in range(3)]
    set_random_state(pin_memory(state, 'cpu'))
    assert [draw() for _ in range(3)] == expected


@pytest.mark.parametrize('done', [3, 4, 5])
def test_workers_resume(done):
    """Workers that start late draw the same as those from the beginning."""
    init = partial(np.random.seed)
    load = partial(DataLoader, num_workers=3, collate_fn=collate_with_random_state)
    torch.manual_seed(1)
    batches = list(load(Draws(), worker_init_fn=init))
    states = [(i % 3, batches[i].random_state) for i in range(done - 3, done)]
    rest = load(
        Draws(),
        sampler=range(done, 12),
        worker_init_fn=partial(start_worker_from, states, init),
    )
    assert list(rest) == batches[done:]
    assert batches[done] != batches[done - 1]


def test_in_the_main_process_a_batch_is_a_dictionary():
    batch = collate_with_random_state([dict(a=1), dict(a=2)])
    assert type(batch) is dict and batch['a'] == [1, 2]
