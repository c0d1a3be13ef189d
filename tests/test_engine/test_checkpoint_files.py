"""Which checkpoint is intact, and which comes before which."""

import os
import random
from pathlib import Path

import pytest
import torch

from mmdet_ifan.engine.robustness.checkpoint_files import (
    named_and_before,
    remove_unfinished,
    what_is_wrong,
)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small one."""
    path = tmp_path / 'iter_8.pth'
    weights = {f'w{i}': torch.randn(i + 1, 5) for i in range(9)}
    torch.save(dict(meta=dict(iter=8), state_dict=weights), path)
    return path


def test_whole(checkpoint):
    assert what_is_wrong(checkpoint) is None


def test_missing(tmp_path):
    assert what_is_wrong(tmp_path / 'iter_1.pth') == 'is missing'


def test_every_way_of_tearing_is_recognised(checkpoint):
    content = checkpoint.read_bytes()
    rng = random.Random(0)
    corrupt = [b'', content[:1], content[:-1], bytes(len(content))]
    for _ in range(300):
        at = rng.randrange(1, len(content))
        corrupt += [content[:at], content[at:], content[:at] + bytes(len(content) - at)]
    for damaged in corrupt:
        checkpoint.write_bytes(damaged)
        assert what_is_wrong(checkpoint).startswith('is corrupt (')


def test_a_weight_that_has_changed_is_named(checkpoint):
    content = bytearray(checkpoint.read_bytes())
    weight = torch.load(checkpoint)['state_dict']['w8'].numpy().tobytes()
    content[content.index(weight)] ^= 1
    checkpoint.write_bytes(content)
    assert what_is_wrong(checkpoint) == 'is corrupt (at iter_8/data/8)'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints, oldest first, the last of another run, and others."""
    for age, name in enumerate(
        (
            'iter_30.pth',
            'iter_20.pth',
            'iter_10.pth',
            'iter_9.pth',
            'best_mAP_iter_40.pth',
            'iter_last.pth',
            'iter_40.pth.7.tmp',
        )
    ):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (9 - age, 9 - age))
    return tmp_path


@pytest.mark.parametrize(
    ('named', 'expected'),
    [
        ('iter_30.pth', [30, 20, 10, 9]),
        ('iter_20.pth', [20, 10, 9]),
        # Gone: those before it are given all the same.
        ('iter_25.pth', [25, 20, 10, 9]),
        ('gone/iter_20.pth', [20, 10, 9]),
        # It says nothing: the latest by time.
        ('', [30, 20, 10, 9]),
    ],
)
def test_those_before(folder, named, expected):
    paths = named_and_before(named and str(folder / named), 'iter_{}.pth', folder)
    assert list(paths) == [folder / f'iter_{i}.pth' for i in expected]


def test_latest_by_time_is_of_this_run(folder):
    os.utime(folder / 'iter_20.pth', (99, 99))
    first, *_ = named_and_before('', 'iter_{}.pth', folder)
    assert first == folder / 'iter_20.pth'


def test_nothing_there(tmp_path):
    assert not list(named_and_before('', 'iter_{}.pth', tmp_path))


def test_a_name_of_ones_own_has_none_before(folder):
    paths = named_and_before(str(folder / 'mine.pth'), 'iter_{}.pth', folder)
    assert list(paths) == [folder / 'mine.pth']


def test_only_what_is_unfinished_is_removed(folder):
    before = {path.name for path in folder.iterdir()}
    assert remove_unfinished(folder, 'iter_*.pth') == ['iter_40.pth.7.tmp']
    after = {path.name for path in folder.iterdir()}
    assert before - after == {'iter_40.pth.7.tmp'}
