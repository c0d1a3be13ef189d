"""A detector with a feature pyramid, and the image level as a term."""

from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from mmdet_ifan.engine.checks.fit import check_fit

ROOT = Path(__file__).resolve().parents[2] / 'configs'


@pytest.fixture(scope='module')
def cfg():
    """Model of the R50-FPN leaf, without the weights to download."""
    init_default_scope('mmdet')
    model = Config.fromfile(ROOT / 'ifan/ifan_r50-fpn_city2foggy.py').model
    model.backbone.init_cfg = None
    return model


@pytest.fixture(scope='module')
def detector(cfg):
    """Detector of that model, with random weights."""
    torch.manual_seed(0)
    detector = MODELS.build(cfg)
    detector.init_weights()
    return detector


@pytest.fixture(scope='module')
def stock():
    """mmdet's own Faster R-CNN R50-FPN, for as many classes."""
    model = Config.fromfile(
        Config._get_cfg_path('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', '')[0]
    ).model
    model.backbone.init_cfg = None
    model.roi_head.bbox_head.num_classes = 8
    torch.manual_seed(1)
    return MODELS.build(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('leaf', 'first'),
    [
        # A normalisation that starts at zero must not lie behind it.
        ('ifan_r50-fpn_city2foggy', 'layer1.0.downsample.0.weight'),
        ('ifan_convnext-t-fpn_city2foggy', 'net.stages.0.blocks.0.mlp.fc1.weight'),
        (
            'ifan_swin-t-fpn_sim10k2city',
            'net.layers.0.blocks.0.attn.relative_position_bias_table',
        ),
    ],
)
def test_every_term_reaches_the_backbone(leaf, first, make_batch):
    model = Config.fromfile(ROOT / f'ifan/{leaf}.py').model
    model.backbone.init_cfg = None
    # The batch has objects of several.
    model.roi_head.bbox_head.num_classes = 8
    # Few RoIs reach it as well as many.
    model.train_cfg.rcnn.sampler.num = model.test_cfg.rpn.max_per_img = 32
    torch.manual_seed(0)
    detector = MODELS.build(model)
    detector.init_weights()
    assert list(detector.all_alignments) == ['image', 'instance', 'correlation']
    losses = detector.train().parse_losses(detector.loss(*make_batch()))[1]
    parameter = dict(detector.backbone.named_parameters())[first]
    for name in (
        'image/loss_phi1',
        'image/loss_phi4',
        'instance/loss',
        'loss_rpn_cls',
        'loss_cls',
    ):
        (gradient,) = torch.autograd.grad(losses[name], parameter, retain_graph=True)
        assert gradient.isfinite().all() and gradient.any(), name
    # Anchors on five levels, RoIs on four, taps that are no levels.
    assert detector.neck.num_outs == 5
    strides = [
        96 / tap.shape[-1] for tap in detector.backbone(make_batch()[0]['source'])
    ]
    assert strides == [4, 8, 16, 32]


def test_channels_that_are_left_out_are_the_backbones(tiny_cfg):
    """And the detector is the same as with them, to the last weight."""
    states = []
    for channels in (None, tiny_cfg.neck.in_channels):
        torch.manual_seed(0)
        neck = dict(tiny_cfg.neck, in_channels=channels)
        states.append(MODELS.build(dict(tiny_cfg, neck=neck)).state_dict())
    left_out, given = states
    assert list(left_out) == list(given)
    assert all(torch.equal(left_out[key], given[key]) for key in given)


@pytest.mark.slow
def test_a_stock_checkpoint_is_a_start_and_the_other_way(detector, stock, make_batch):
    ours, theirs = detector.state_dict(), stock.state_dict()
    assert {name: value.shape for name, value in theirs.items()} == {
        name: value.shape
        for name, value in ours.items()
        if not name.startswith('alignments.')
    }
    before = {name: value.clone() for name, value in theirs.items()}
    missing, extra = detector.load_state_dict(theirs, strict=False)
    assert not extra
    assert all(name.startswith('alignments.') for name in missing)
    inputs, samples = make_batch()
    results = []
    for model in (detector, stock):
        # The recipes differ in how many proposals are kept.
        model.rpn_head.test_cfg = detector.rpn_head.test_cfg
        model.roi_head.test_cfg = ConfigDict(detector.roi_head.test_cfg, score_thr=0.0)
        for layer in model.roi_head.bbox_roi_extractor.roi_layers:
            layer.sampling_ratio = 2
        results.append(
            model.eval().predict(
                inputs['target'], [s.clone() for s in samples['target']], rescale=False
            )
        )
    for a, b in zip(*results, strict=True):
        assert len(a.pred_instances) > 0
        for key in ('bboxes', 'scores', 'labels'):
            assert torch.equal(a.pred_instances[key], b.pred_instances[key])
    stock.load_state_dict(
        {
            name: value
            for name, value in detector.state_dict().items()
            if not name.startswith('alignments.')
        }
    )
    assert all(
        torch.equal(value, before[name]) for name, value in stock.state_dict().items()
    )


@pytest.mark.parametrize(
    ('key', 'value', 'place'),
    [
        (
            'rpn_head.anchor_generator.strides',
            [4, 8, 16, 32, 32],
            r'anchor_generator.strides is .* strides \[4, 8, 16, 32, 64\]',
        ),
        (
            'roi_head.bbox_roi_extractor.featmap_strides',
            [8, 16, 32, 64],
            r'featmap_strides is .* strides \[4, 8, 16, 32\]',
        ),
        (
            'alignments.correlation.featmap_strides',
            [4, 8, 16, 16],
            r'correlation.featmap_strides is .* strides \[4, 8, 16, 32\]',
        ),
    ],
)
def test_strides_that_lie_are_told(cfg, key, value, place):
    lie = Config(dict(model=cfg))
    lie.merge_from_dict({f'model.{key}': value})
    with pytest.raises(ValueError, match=place):
        check_fit(MODELS.build(lie.model))


@pytest.mark.slow
def test_an_honest_pyramid_fits(detector):
    check_fit(detector)
