"""Schedulers that do not do what they say are named before training."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmdet_ifan.engine.checks.config import flat, schedule_warnings

ROOT = Path(__file__).resolve().parents[2] / 'configs'
ITERATIONS = dict(type='IterBasedTrainLoop', max_iters=100)
EPOCHS = dict(type='EpochBasedTrainLoop', max_epochs=10)
LATE = [
    (
        dict(type='LinearLR', end=50),
        ITERATIONS,
        'LinearLR counts epochs, but this run counts iterations: it never',
    ),
    (
        dict(type='MultiStepLR', milestones=[2], convert_to_iter_based=True),
        ITERATIONS,
        'without an end, so that it ends after one epoch',
    ),
    (
        dict(type='MultiStepLR', by_epoch=False, milestones=[50, 100, 200]),
        ITERATIONS,
        'milestones at 100, 200 iterations, but the run has only 100 iterations',
    ),
    (
        dict(type='MultiStepLR', by_epoch=False, begin=60, milestones=[30, 50]),
        ITERATIONS,
        'milestones at 110 iterations',
    ),
    (
        dict(type='LinearLR', by_epoch=False, end=500),
        ITERATIONS,
        'ends at 500 iterations',
    ),
    (
        dict(type='CosineAnnealingLR', by_epoch=False, begin=100),
        ITERATIONS,
        'begins at 100 iterations',
    ),
    (
        dict(type='CosineAnnealingLR', by_epoch=False, begin=50, T_max=100),
        ITERATIONS,
        'has T_max=100, from 50 on',
    ),
    (
        dict(type='OneCycleLR', by_epoch=False, total_steps=101),
        ITERATIONS,
        'has total_steps=101, from 0 on',
    ),
    (
        dict(type='StepLR', by_epoch=False, step_size=200),
        ITERATIONS,
        'has step_size=200, from 0 on',
    ),
    (
        dict(type='MultiStepLR', milestones=[8, 11]),
        EPOCHS,
        'milestones at 11 epochs, but the run has only 10 epochs',
    ),
    (
        dict(type='LinearLR', by_epoch=False, end=500),
        EPOCHS,
        'ends at 500 iterations, but the run has only 40 iterations',
    ),
]
FINE = [
    (None, ITERATIONS),
    (dict(type='MultiStepLR', by_epoch=False, milestones=[99]), ITERATIONS),
    (
        dict(
            type='MultiStepLR',
            end=25,
            milestones=[8],
            by_epoch=True,
            convert_to_iter_based=True,
        ),
        ITERATIONS,
    ),
    (
        dict(type='CosineAnnealingLR', by_epoch=False, begin=50, T_max=50, end=100),
        ITERATIONS,
    ),
    (dict(type='ConstantLR', by_epoch=False, end=10**9), ITERATIONS),
    (dict(type='MultiStepLR', milestones=[9]), EPOCHS),
    (dict(type='CosineAnnealingLR', convert_to_iter_based=True), EPOCHS),
    (dict(type='LinearLR', by_epoch=False, end=40), EPOCHS),
]


@pytest.mark.parametrize(('scheduler', 'train_cfg', 'words'), LATE)
@pytest.mark.parametrize(
    'wrap',
    [
        lambda scheduler: scheduler,
        lambda scheduler: [FINE[1][0], scheduler],
        lambda scheduler: dict(detector=[scheduler]),
    ],
)
def test_what_is_late_is_named(scheduler, train_cfg, words, wrap):
    if train_cfg is EPOCHS:
        sentences = schedule_warnings(scheduler, train_cfg, 4)
    else:
        sentences = schedule_warnings(wrap(scheduler), train_cfg, 4)
    (sentence,) = sentences
    assert f'The scheduler {scheduler["type"]} ' in sentence
    assert words in sentence


@pytest.mark.parametrize(('scheduler', 'train_cfg'), FINE)
def test_nothing_is_said_of_what_is_fine(scheduler, train_cfg):
    assert schedule_warnings(scheduler, train_cfg, 4) == []


def test_iterations_of_unknown_epochs_are_not_compared():
    assert schedule_warnings(LATE[-1][0], LATE[-1][1]) == []


def test_schedulers_of_several_optimizers_that_are_built():
    """The config says nothing of them."""
    one, two, three = object(), object(), object()
    assert list(flat(dict(a=[one, two], b=three))) == [one, two, three]
    assert schedule_warnings(dict(a=[one, two], b=three), ITERATIONS) == []


@pytest.mark.parametrize(
    'path', sorted(ROOT.rglob('*_*-*.py')), ids=lambda path: path.stem
)
def test_nothing_is_said_of_our_configs(path):
    if '_base_' in path.parts:
        return
    cfg = Config.fromfile(path)
    assert schedule_warnings(cfg.param_scheduler, cfg.train_cfg) == []
