"""The tapped VGG and its start from the ImageNet classifier."""

from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from mmcv.cnn import VGG
from mmdet.registry import MODELS
from torch import Tensor, nn

from mmdet_ifan.models import TappedVGG, VGG16Init

#: torchvision's ``vgg16().state_dict()``: (out, in) channels of the layers.
FEATURES = {
    0: (64, 3),
    2: (64, 64),
    5: (128, 64),
    7: (128, 128),
    10: (256, 128),
    12: (256, 256),
    14: (256, 256),
    17: (512, 256),
    19: (512, 512),
    21: (512, 512),
    24: (512, 512),
    26: (512, 512),
    28: (512, 512),
}
CLASSIFIER = {0: (4096, 512 * 7 * 7), 3: (4096, 4096), 6: (1000, 4096)}

#: The same with few numbers, for a stand-in of the box head.
SMALL_CLASSIFIER = {0: (4, 6), 3: (4, 4), 6: (5, 4)}
LOADER = 'mmdet_ifan.models.backbones.vgg16_init.CheckpointLoader'


def random_state(features: dict, classifier: dict) -> dict[str, Tensor]:
    """Give a state dict with torchvision's names and random numbers."""
    state = {}
    for part, shapes, kernel in (
        ('features', features, (3, 3)),
        ('classifier', classifier, ()),
    ):
        for i, shape in shapes.items():
            state[f'{part}.{i}.weight'] = torch.randn(*shape, *kernel)
            state[f'{part}.{i}.bias'] = torch.randn(shape[0])
    return state


class SmallBoxHead(nn.Module):
    """As much of mmdet's ``Shared2FCBBoxHead`` as fc6 and fc7 need."""

    def __init__(self) -> None:
        super().__init__()
        self.shared_fcs = nn.ModuleList([nn.Linear(6, 4), nn.Linear(4, 4)])
        self.fc_cls = nn.Linear(4, 3)


@pytest.fixture
def save(tmp_path: Path) -> Callable[[dict], str]:
    """Saver of a state dict."""

    def to_file(state: dict) -> str:
        torch.save(state, tmp_path / 'vgg16.pth')
        return str(tmp_path / 'vgg16.pth')

    return to_file


# The taps


def test_taps_of_vgg16_have_the_papers_channels_and_strides():
    with torch.device('meta'):
        backbone = MODELS.build(dict(type='TappedVGG'))
        taps = backbone(torch.zeros(1, 3, 64, 96))
    assert [tuple(tap.shape[1:]) for tap in taps] == [
        (128, 16, 24),
        (256, 8, 12),
        (512, 4, 6),
        (512, 4, 6),
    ]
    assert backbone.out_indices == (1, 2, 3, 4)


def test_last_tap_is_a_relu_of_conv5_not_its_pool():
    with torch.device('meta'):
        assert isinstance(TappedVGG().features[-1], nn.ReLU)


def test_conv1_alone_is_frozen():
    backbone = TappedVGG(11)
    backbone.train()
    # In depth 11 a stage before the last three is one convolution.
    taps = backbone(torch.randn(1, 3, 32, 32))
    taps[0].sum().backward(retain_graph=True)
    with_grad = [name for name, p in backbone.named_parameters() if p.grad is not None]
    assert with_grad == [
        f'features.{i}.{kind}' for i in (3,) for kind in ('weight', 'bias')
    ]
    assert all(p.grad.any() for p in backbone.parameters() if p.grad is not None)
    sum(tap.sum() for tap in taps[1:]).backward()
    frozen = [name for name, p in backbone.named_parameters() if p.grad is None]
    assert frozen == [
        f'features.{i}.{kind}' for i in (0,) for kind in ('weight', 'bias')
    ]


def test_conv1_is_frozen_from_the_start():
    """As mmdet's backbones are: optimizer and DDP come before train()."""
    with torch.device('meta'):
        backbone = TappedVGG()
    frozen = {name for name, p in backbone.named_parameters() if not p.requires_grad}
    assert frozen == {
        f'features.{i}.{kind}' for i in (0, 2) for kind in ('weight', 'bias')
    }


def test_train_and_eval_return_the_backbone():
    with torch.device('meta'):
        backbone = TappedVGG()
    assert backbone.train() is backbone
    assert backbone.eval() is backbone


def test_outputs_are_those_of_mmcv():
    ours = TappedVGG(11)
    theirs = VGG(11, out_indices=(1, 2, 3, 4), with_last_pool=False)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 32, 48)
    with torch.no_grad():
        for tap, expected in zip(ours(x), theirs(x), strict=True):
            assert torch.equal(tap, expected)


def test_single_tap_is_a_tuple():
    taps = TappedVGG(11, out_indices=(4,))(torch.zeros(1, 3, 16, 16))
    assert isinstance(taps, tuple)
    assert len(taps) == 1
    assert taps[0].shape == (1, 512, 1, 1)


@pytest.mark.parametrize('out_indices', [(), (2, 1), (1, 1), (-1, 2), (3, 5)])
def test_refuses_taps_that_vgg_does_not_have(out_indices):
    with pytest.raises(ValueError, match='but got'):
        TappedVGG(11, out_indices=out_indices)


# The start from ImageNet


def test_names_and_shapes_are_those_of_torchvision():
    """The whole network, without memory: on the meta device."""
    with torch.device('meta'):
        state = random_state(FEATURES, CLASSIFIER)
        backbone = TappedVGG()
        head = MODELS.build(
            dict(
                type='Shared2FCBBoxHead',
                in_channels=512,
                roi_feat_size=7,
                fc_out_channels=4096,
            )
        )
    with patch(LOADER) as loader:
        loader.load_checkpoint.return_value = state
        VGG16Init('vgg16.pth')(backbone)
        VGG16Init('vgg16.pth')(head)
    assert {
        f'features.{i}.{kind}' for i in FEATURES for kind in ('weight', 'bias')
    } == set(backbone.state_dict())


def test_init_cfg_fills_the_backbone():
    state = random_state(FEATURES, {})
    backbone = MODELS.build(
        dict(type='TappedVGG', init_cfg=dict(type='VGG16Init', checkpoint='vgg16.pth'))
    )
    with patch(LOADER) as loader:
        loader.load_checkpoint.return_value = state
        backbone.init_weights()
    loader.load_checkpoint.assert_called_once()
    assert loader.load_checkpoint.call_args.args == ('vgg16.pth',)
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, state[key])


def test_init_cfg_fills_fc6_and_fc7(save):
    state = random_state({}, SMALL_CLASSIFIER)
    head = MODELS.build(
        dict(
            type='Shared2FCBBoxHead',
            in_channels=6,
            roi_feat_size=1,
            fc_out_channels=4,
            num_classes=2,
            init_cfg=[
                dict(type='Normal', std=0.01, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
                dict(type='VGG16Init', checkpoint=save(state)),
            ],
        )
    )
    head.init_weights()
    for fc, i in zip(head.shared_fcs, (0, 3), strict=True):
        assert torch.equal(fc.weight, state[f'classifier.{i}.weight'])
        assert torch.equal(fc.bias, state[f'classifier.{i}.bias'])
    assert head.fc_cls.weight.abs().max() < 0.1
    assert head.fc_reg.weight.abs().max() < 0.01


def test_fc_weights_stay_trainable_and_apart(save):
    """Copies, not views of the checkpoint."""
    state = random_state({}, SMALL_CLASSIFIER)
    head = SmallBoxHead()
    VGG16Init(save(state))(head)
    assert all(p.requires_grad and p.is_leaf for p in head.parameters())


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: s.pop('classifier.3.bias'), 'classifier.3.bias is missing'),
        (
            lambda s: s.update({'classifier.9.weight': torch.zeros(1)}),
            'classifier.9.weight is left over',
        ),
        (lambda s: s.update({'fc8.weight': torch.zeros(1)}), 'fc8.weight is left over'),
        (
            lambda s: s.update({'classifier.0.weight': torch.zeros(4, 7)}),
            r'classifier.0.weight has shape \(4, 7\), the detector needs \(4, 6\)',
        ),
    ],
)
def test_box_head_refuses_another_state_dict(save, change, message):
    state = random_state({}, SMALL_CLASSIFIER)
    change(state)
    head = SmallBoxHead()
    before = head.shared_fcs[0].weight.clone()
    with pytest.raises(ValueError, match=message):
        VGG16Init(save(state))(head)
    assert torch.equal(head.shared_fcs[0].weight, before)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: s.pop('features.28.weight'), 'features.28.weight is missing'),
        (
            lambda s: s.update({'features.1.weight': torch.zeros(64)}),
            'features.1.weight is left over',
        ),
        (
            lambda s: s.update({'features.0.weight': torch.zeros(64, 1, 3, 3)}),
            r'features.0.weight has shape \(64, 1, 3, 3\)',
        ),
    ],
)
def test_backbone_refuses_another_state_dict(change, message):
    with torch.device('meta'):
        state = random_state(FEATURES, CLASSIFIER)
        backbone = TappedVGG()
        change(state)
    with patch(LOADER) as loader, pytest.raises(ValueError, match=message):
        loader.load_checkpoint.return_value = state
        VGG16Init('vgg16.pth')(backbone)


def test_refuses_a_training_checkpoint(save):
    """The state dict of a run lies one level deeper."""
    state = dict(state_dict=random_state({}, SMALL_CLASSIFIER), meta={})
    with pytest.raises(ValueError, match='state_dict is left over'):
        VGG16Init(save(state))(SmallBoxHead())


def test_refuses_a_head_without_fc7(save):
    head = SmallBoxHead()
    head.shared_fcs = head.shared_fcs[:1]
    path = save(random_state({}, SMALL_CLASSIFIER))
    with pytest.raises(ValueError, match='no shared_fcs.1.weight'):
        VGG16Init(path)(head)


def test_missing_checkpoint_fails_loudly(tmp_path):
    with pytest.raises(FileNotFoundError):
        VGG16Init(str(tmp_path / 'none.pth'))(SmallBoxHead())
