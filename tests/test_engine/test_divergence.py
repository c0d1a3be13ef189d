"""The rules of divergence, by numbers."""

import pytest
from mmengine.logging import MessageHub

from mmdet_ifan.engine.robustness.divergence import DivergenceCheck, launches

SANE = {
    'loss_cls': 0.4,
    'loss_bbox': 0.3,
    'image/loss_phi1': 0.02,
    'loss': 0.72,
    'acc': 90.0,
}


@pytest.fixture
def hub():
    """A run that was sane for 100 iterations; image launched at 20."""
    hub = MessageHub('test_divergence')
    hub.log_scalars.clear()
    for i in range(100):
        for name, value in SANE.items():
            # One wild value in ten changes nothing.
            hub.update_scalar(
                f'train/{name}',
                value * (50 if i % 10 else 1) if name == 'acc' else value,
            )
        hub.update_scalar('train/grad_norm', 500.0 if i % 10 == 3 else 5.0)
        hub.update_scalar('train/image/launched', float(i >= 20))
    return hub


def find(hub, norm=5.0, check=None, **losses):
    """Look at a sane step with some numbers changed."""
    step = {name: value for name, value in SANE.items() if name != 'acc'}
    step.update({name.replace('__', '/'): value for name, value in losses.items()})
    return (check or DivergenceCheck()).find(hub, step, norm)


@pytest.mark.parametrize(
    'changed',
    [
        {},
        dict(norm=499.0),
        dict(loss_cls=69.0),
        dict(image__loss_phi1=0.69),
        # It counts for little, however much it grows.
        dict(other__loss=0.5),
        dict(other__loss=13.9),
    ],
)
def test_sane(hub, changed):
    assert not find(hub, **changed)


@pytest.mark.parametrize(
    ('changed', 'sentence'),
    [
        (dict(norm=501.0), 'the norm of the gradient is 501, where it recently was 5'),
        (
            dict(loss_cls=71.0),
            'loss_cls of the detector is 71, 101 times the recent detection loss (0.7)',
        ),
        # Beyond a hundred times its own, and beyond detection.
        (
            dict(image__loss_phi1=2.1),
            'loss_phi1 of the alignment image is 2.1, '
            'where it recently was 0.02, launched at iteration 20',
        ),
        (
            dict(other__loss=15.0),
            'loss of the alignment other is 15, 21 times the detection loss (0.7)',
        ),
    ],
)
def test_diverged(hub, changed, sentence):
    assert find(hub, **changed) == [sentence]


def test_the_first_iteration_has_itself_alone():
    hub = MessageHub('test_divergence_first')
    assert not find(hub, norm=1e6, loss_cls=500.0)
    assert find(hub, image__loss_phi1=500.0) == [
        'loss_phi1 of the alignment image is 500, 714 times the detection loss (0.7)'
    ]


def test_a_detector_that_has_learnt_is_not_outweighed(hub):
    """Bounded terms stay while its own loss goes to nothing."""
    for _ in range(100):
        for name in ('loss_cls', 'loss_bbox'):
            hub.update_scalar(f'train/{name}', 1e-4)
    assert not find(hub, other__loss=1.9, loss_cls=1e-4, loss_bbox=9.0)


def test_a_slow_explosion_is_noticed(hub):
    """A tenth more each iteration never is much more than the one before."""
    value, steps = 0.02, 0
    while not find(hub, image__loss_phi1=value):
        hub.update_scalar('train/image/loss_phi1', value)
        value, steps = 1.1 * value, steps + 1
    assert value < 15 and steps < 70


def test_a_term_that_often_has_nothing_to_compare(hub):
    """Its zeros are no recent value; 2 is usual, 210 is not."""
    for i in range(100):
        hub.update_scalar('train/pairs/loss', 2.0 if i % 5 == 0 else 0.0)
    check = DivergenceCheck(max_ratio=1e4)
    assert not find(hub, check=check, pairs__loss=2.5)
    assert find(hub, check=check, pairs__loss=210.0) == [
        'loss of the alignment pairs is 210, where it recently was 2'
    ]


def test_launches(hub):
    assert launches(hub) == dict(image=20)
    hub.update_scalar('train/instance/launched', 0.0)
    assert launches(hub) == dict(image=20)


@pytest.mark.parametrize(
    'wrong', [dict(max_growth=1), dict(max_ratio=0), dict(window=3)]
)
def test_refuses_arguments_that_cannot_be_meant(wrong):
    (value,) = wrong.values()
    with pytest.raises(ValueError, match=f'but got .*{value}'):
        DivergenceCheck(**wrong)
