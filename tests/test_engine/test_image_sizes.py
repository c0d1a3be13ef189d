"""Images that are too small for a trunk of timm or for a term."""

import random
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from torch import nn

from mmdet_ifan.datasets import DomainCocoDataset, UnlabelledDataset
from mmdet_ifan.engine.checks.fit import check_image_sizes
from mmdet_ifan.models import TappedVGG, TimmTaps

SIZES = [(32, 48), (9, 40), (40, 20)]
LOAD = dict(type='LoadImageFromFile')
# What draws, on a side of 9 px as on another.
FLIP = dict(type='RandomFlip', prob=0.5)
PACK = dict(type='PackDetInputs')
#: A term that needs more than a stride.
LARGE = Mock(min_image_size=24)


@pytest.fixture
def model() -> nn.Module:
    """As much of a detector as is looked at; the stride is 16 px."""
    model = nn.Module()
    model.backbone = TimmTaps('tf_efficientnet_lite0', ['blocks.3'])
    return model


@pytest.fixture
def make_dataset(write_coco):
    """Maker of a data set whose second image is the smallest."""

    def make(*transforms: dict) -> DomainCocoDataset:
        path = write_coco(
            'a.json', [(f'{i}.png', size) for i, size in enumerate(SIZES)]
        )
        return DomainCocoDataset(
            ann_file=str(path),
            data_root=str(path.parent),
            metainfo=dict(classes=('car',)),
            pipeline=[LOAD, *transforms, FLIP, PACK],
        )

    return make


def test_an_image_smaller_than_the_stride(model, make_dataset):
    with pytest.raises(
        ValueError,
        match=(
            r'1\.png has 9 x 40 px behind the pipeline, but the stride of tf_'
            'efficientnet_lite0 is 16 px: enlarge images with Resize, or'
        ),
    ):
        check_image_sizes(model, make_dataset())


def test_what_the_pipeline_enlarges_is_large_enough(model, make_dataset):
    resize = dict(type='Resize', scale=(200, 16), keep_ratio=True)
    check_image_sizes(model, make_dataset(resize))
    with pytest.raises(ValueError, match='1.png has 15 x 67 px'):
        check_image_sizes(model, make_dataset(dict(resize, scale=(200, 15))))


def test_an_image_that_cannot_be_loaded_is_the_data_sets_to_name(
    model, make_dataset, tmp_path
):
    dataset = make_dataset()
    (tmp_path / '1.png').unlink()
    check_image_sizes(model, dataset)


def test_nothing_is_drawn_for_good(model, make_dataset):
    """Or a run would see other images than one that is resumed."""
    resize = dict(type='Resize', scale=(200, 64), keep_ratio=True)
    dataset = make_dataset(resize)
    before = random.getstate(), np.random.get_state()[1].tolist()
    numbers = torch.get_rng_state()
    check_image_sizes(model, dataset)
    after = random.getstate(), np.random.get_state()[1].tolist()
    assert after == before
    assert torch.equal(torch.get_rng_state(), numbers)


@pytest.mark.parametrize('backbone', [lambda: TappedVGG(11), nn.Identity])
def test_other_trunks_are_their_owners(make_dataset, backbone):
    model = nn.Module()
    model.backbone = backbone()
    check_image_sizes(model, make_dataset())


def test_an_image_smaller_than_a_term_needs(model, make_dataset):
    model.all_alignments = dict(usual=Mock(min_image_size=1), large=LARGE)
    with pytest.raises(
        ValueError,
        match=(
            r'1\.png has 9 x 40 px behind the pipeline, but the smallest image '
            'of the alignment large is 24 px: enlarge'
        ),
    ):
        check_image_sizes(model, make_dataset())
    resize = dict(type='Resize', scale=(200, 24), keep_ratio=True)
    check_image_sizes(model, make_dataset(resize))


def test_terms_see_no_test_image(model, make_dataset):
    model.all_alignments = dict(large=LARGE)
    dataset = make_dataset(dict(type='Resize', scale=(200, 16), keep_ratio=True))
    dataset.test_mode = True
    check_image_sizes(model, dataset)


def test_images_without_sizes_are_tried_by_the_first(model, make_dataset, tmp_path):
    make_dataset()
    model.all_alignments = dict(large=LARGE)
    target = UnlabelledDataset(
        images='a.json', data_root=str(tmp_path), pipeline=[LOAD, FLIP, PACK]
    )
    check_image_sizes(model, target)
    model.all_alignments = dict(large=Mock(min_image_size=33))
    with pytest.raises(ValueError, match=r'0\.png has 32 x 48 px .* large is 33 px'):
        check_image_sizes(model, target)


def test_views_have_the_size_of_their_domain(model, make_dataset):
    model.all_alignments = dict(large=LARGE)
    dataset = make_dataset()
    views = dict(
        type='MultiBranch', branch_field=['source'], source=[dict(type='PackDetInputs')]
    )
    dataset.pipeline = Compose([LOAD, views])
    with pytest.raises(ValueError, match=r'1\.png has 9 x 40 px'):
        check_image_sizes(model, dataset)
