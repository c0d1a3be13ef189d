"""Views of a domain whose pixels would lie elsewhere."""

import random

import numpy as np
import pytest
import torch

from mmdet_ifan.datasets import UnlabelledDataset
from mmdet_ifan.engine.checks.views import check_views, look_alike

LOAD = dict(type='LoadImageFromFile')
PACK = dict(type='PackDetInputs')
SHARED = [
    dict(type='Resize', scale=(60, 30), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
]


@pytest.fixture
def make(write_coco):
    """Maker of a target with a view that has more transforms."""

    def make_dataset(*more: dict) -> UnlabelledDataset:
        path = write_coco('a.json', [('0.png', (20, 40)), ('1.png', (24, 24))])
        return UnlabelledDataset(
            images=path.name,
            data_root=str(path.parent),
            pipeline=[
                LOAD,
                *SHARED,
                dict(
                    type='MultiBranch',
                    branch_field=['target', 'target_strong'],
                    target=[PACK],
                    target_strong=[*more, PACK],
                ),
            ],
        )

    return make_dataset


@pytest.mark.slow
@pytest.mark.parametrize(
    ('kind', 'settings'),
    [
        ('RandomFlip', dict(prob=0.5)),
        ('Resize', dict(scale=(80, 40), keep_ratio=True)),
        # The same size, of other pixels.
        ('RandomCrop', dict(crop_type='absolute', crop_size=(8, 8))),
        ('TranslateX', dict(prob=1.0, level=10)),
    ],
)
def test_what_moves_pixels_is_named(make, kind, settings):
    with pytest.raises(
        ValueError, match=f'^{kind} in the branch target_strong moves .* put it before'
    ):
        check_views(make(dict(type=kind, **settings)))


@pytest.mark.parametrize(
    'colour', [dict(type='PhotoMetricDistortion'), dict(type='Invert', prob=1.0)]
)
def test_colours_move_nothing(make, colour):
    check_views(make(colour))


VIEWS = ('target', 'target_strong')


@pytest.mark.parametrize(
    ('more', 'alike'),
    [
        ([], True),
        ([dict(type='Invert', prob=0.0)], True),
        ([dict(type='Invert', prob=1.0)], False),
        # An image may be left as it is, but not each of them.
        ([dict(type='Invert', prob=0.7)], False),
        ([dict(type='BlockMask', block_size=4)], False),
    ],
)
def test_views_that_show_the_same_pixels(make, more, alike):
    random.seed(0)
    np.random.seed(0)
    assert look_alike(make(*more), VIEWS) is alike


def test_a_data_set_without_views(make):
    dataset = make()
    dataset.pipeline.transforms.pop()
    dataset.pipeline.transforms.append(None)
    check_views(dataset)


def test_nothing_is_drawn_for_good(make):
    dataset = make(dict(type='PhotoMetricDistortion'))
    before = random.getstate(), np.random.get_state()[1].tolist()
    numbers = torch.get_rng_state()
    check_views(dataset)
    assert not look_alike(dataset, VIEWS)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert torch.equal(torch.get_rng_state(), numbers)


def test_an_image_that_cannot_be_loaded_is_the_data_sets_to_name(make, tmp_path):
    dataset = make()
    for name in ('0.png', '1.png'):
        (tmp_path / name).unlink()
    check_views(dataset)
    assert not look_alike(dataset, VIEWS)
