"""Eq. 6 on a trunk whose features are as large as a trained VGG-16's."""

import copy

import pytest
import torch
from mmdet.registry import MODELS

from mmdet_ifan.engine.checks.launch_weights import weigh_alignments

#: Root mean squares of the four taps of a VGG-16 in Caffe's convention.
SCALES = (35.0, 16.0, 5.0, 10.0)


class LoudBackbone(torch.nn.Module):
    """A backbone whose taps start with given root mean squares."""

    def __init__(self, backbone, images):
        super().__init__()
        self.backbone = backbone
        self.register_buffer(
            'factors',
            torch.stack(
                [
                    scale / tap.square().mean().sqrt().detach()
                    for scale, tap in zip(SCALES, backbone(images), strict=True)
                ]
            ),
        )

    def forward(self, x):
        return tuple(
            tap * factor
            for tap, factor in zip(self.backbone(x), self.factors, strict=True)
        )


@pytest.fixture(scope='module')
def trained():
    """Cache of the weights that are trained once for all tests."""
    return {}


@pytest.fixture
def make_detector(tiny_cfg, make_batch, trained):
    """Make a detector that has learnt the batch; nothing is launched."""

    def make(normalize):
        cfg = copy.deepcopy(tiny_cfg)
        # Widths as for a VGG-16. Ten times the reversal, since twenty steps
        # are few; whatever the detector says of its boxes is an object.
        cfg.alignments.correlation.update(
            normalize=normalize,
            grl_weight=10.0,
            embed_channels=256,
            roi_size=7,
            object_cfg=dict(
                score_thr=0.02, nms=dict(type='nms', iou_threshold=0.5), max_per_img=16
            ),
        )
        torch.manual_seed(0)
        detector = MODELS.build(cfg)
        detector.init_weights()
        detector.backbone = LoudBackbone(detector.backbone, make_batch()[0]['source'])
        for alignment in detector.all_alignments.values():
            alignment.launched = False
        if not trained:
            steps(detector, make_batch(), 60, lr=0.01)
            detector.zero_grad()
            trained.update(copy.deepcopy(detector.state_dict()))
        detector.load_state_dict(
            {
                name: value
                for name, value in trained.items()
                if 'alignments' not in name
            },
            strict=False,
        )
        return detector.train()

    return make


def detection_loss(losses):
    """Add up Faster R-CNN's own losses."""
    return sum(
        value
        for name, value in losses.items()
        if 'loss' in name and '/' not in name and name != 'loss'
    )


def steps(detector, batch, num, lr):
    """Train with gradients clipped at 10; return each detection loss."""
    optimizer = torch.optim.SGD(detector.parameters(), lr=lr, momentum=0.9)
    history = []
    for _ in range(num):
        losses = detector.parse_losses(detector.loss(*batch))[1]
        history.append(detection_loss(losses).item())
        optimizer.zero_grad()
        losses['loss'].backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 10)
        optimizer.step()
    return history


@pytest.mark.slow
@pytest.mark.parametrize('normalize', [True, False])
def test_twenty_steps_after_the_launch(make_detector, make_batch, normalize):
    detector = make_detector(normalize)
    detector.all_alignments['correlation'].launched = True
    history = steps(detector, make_batch(), 20, lr=0.001)
    before, after = (sum(part) / 5 for part in (history[:5], history[-5:]))
    # Eq. 6 as printed harms such a trunk, ours does not.
    assert after < 0.8 * before if normalize else after > 1.2 * before


@pytest.mark.slow
@pytest.mark.parametrize('normalize', [True, False])
def test_the_weight_at_the_launch_tells(make_detector, make_batch, normalize):
    detector = make_detector(normalize)
    for alignment in detector.all_alignments.values():
        alignment.launched = True
    values = detector.parse_losses(detector.loss(*make_batch()))[1]
    weights = weigh_alignments(detector.all_alignments, values, detector.backbone)
    assert all(p.grad is None for p in detector.parameters())
    assert list(weights) == ['image', 'instance', 'correlation']
    assert weights['correlation'].dominates is not normalize
