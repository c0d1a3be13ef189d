"""Ignored regions: proposals there are neither objects nor background."""

from contextlib import contextmanager
from unittest.mock import patch

import pytest
import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures.bbox import bbox_overlaps
from mmengine.config import Config
from mmengine.structures import InstanceData

from mmdet_ifan.models import IFANDetector, RegionIgnoringAssigner

#: Lies in the region, lies half in it, overlaps it a little, is elsewhere.
INSIDE, HALF, TOUCHES, AWAY = (
    [42.0, 42, 52, 52],
    [35.0, 50, 45, 60],
    [33.0, 50, 43, 60],
    [0.0, 0, 10, 10],
)
REGION = [40.0, 40, 90, 90]


def instances(key: str, boxes: list, labels: list | None = None):
    found = InstanceData(**{key: torch.tensor(boxes).reshape(-1, 4)})
    if labels is not None:
        found.labels = torch.tensor(labels).long()
    return found


def assign(assigner, priors, boxes, ignored):
    """Assign; returns the index of each true box, -1 for ignored priors."""
    result = assigner.assign(
        instances('priors', priors),
        instances('bboxes', boxes, [0] * len(boxes)),
        instances('bboxes', ignored, [0] * len(ignored)),
    )
    return result.gt_inds.tolist()


@pytest.fixture(params=['rpn', 'rcnn'])
def assigner_cfg(request, configs):
    """Both assigners of our configs."""
    cfg = Config.fromfile(configs / '_base_/models/ifan_faster-rcnn.py')
    return cfg.model.train_cfg[request.param].assigner


@pytest.fixture
def assigner(assigner_cfg):
    built = TASK_UTILS.build(assigner_cfg)
    assert type(built) is RegionIgnoringAssigner
    return built


@pytest.mark.parametrize('boxes', [[], [[0.0, 0, 10, 11]]])
def test_background_in_a_region_counts_for_nothing(assigner, boxes):
    """Even without a true object."""
    priors = [INSIDE, HALF, TOUCHES, AWAY]
    assert assign(assigner, priors, boxes, [REGION]) == [-1, 0, 0, len(boxes)]
    assert assign(assigner, priors, boxes, []) == [0, 0, 0, len(boxes)]


def test_an_object_in_a_region_is_learnt(assigner):
    assert assign(
        assigner, [INSIDE, [60.0, 60, 70, 70]], [[42.0, 42, 52, 53]], [REGION]
    ) == [1, -1]


def test_a_share_in_several_regions_is_not_added_up(assigner):
    """As in the metric."""
    left, right = [40.0, 40, 46, 60], [48.0, 40, 60, 60]
    assert assign(assigner, [INSIDE], [], [left, right]) == [0]


def test_regions_can_be_background(assigner_cfg):
    assigner_cfg.ignore_iof_thr = -1
    assert assign(TASK_UTILS.build(assigner_cfg), [INSIDE], [], [REGION]) == [0]


def test_without_regions_it_is_the_stock_assigner(assigner_cfg, assigner):
    stock = TASK_UTILS.build(dict(assigner_cfg, type='MaxIoUAssigner'))
    boxes = torch.rand(5, 2, 2).mul(100).sort(dim=1)[0].flatten(1)
    priors = torch.cat(
        [
            boxes + torch.randn(5, 4),
            boxes + 9,
            torch.rand(40, 2, 2).mul(100).sort(1)[0].flatten(1),
        ]
    )
    arguments = (
        InstanceData(priors=priors),
        InstanceData(bboxes=boxes, labels=torch.arange(5)),
    )
    for ignored in ((), (instances('bboxes', [], []),)):
        ours, theirs = (each.assign(*arguments, *ignored) for each in (assigner, stock))
        assert len(ours.gt_inds.unique()) > 3
        for key in ('gt_inds', 'max_overlaps', 'labels'):
            assert torch.equal(getattr(ours, key), getattr(theirs, key))


# In the detector


@pytest.fixture
def detector(tiny_cfg) -> IFANDetector:
    return MODELS.build(tiny_cfg).train()


@contextmanager
def sampled(detector):
    """Collect what both samplers draw: (positives, negatives) each time."""
    results = []
    samplers = [detector.rpn_head.sampler, detector.roi_head.bbox_sampler]
    originals = [sampler.sample for sampler in samplers]

    def spy(original):
        def sample(*args, **kwargs):
            result = original(*args, **kwargs)
            results.append((result.pos_priors, result.neg_priors))
            return result

        return sample

    with (
        patch.object(samplers[0], 'sample', spy(originals[0])),
        patch.object(samplers[1], 'sample', spy(originals[1])),
    ):
        yield results


def shares(priors, region):
    """Share of each prior in the region."""
    return bbox_overlaps(priors, torch.tensor([region]), mode='iof').flatten()


@pytest.mark.parametrize('has_objects', [True, False])
def test_nothing_in_a_region_is_sampled(detector, make_batch, has_objects):
    """Neither by the RPN nor by the RoI head, in any source image."""
    region = [0.0, 0, 50, 64]
    inputs, samples = make_batch()
    for sample in samples['source']:
        if not has_objects:
            sample.gt_instances = sample.gt_instances[:0]
        # True objects in the region remain objects.
        boxes = sample.gt_instances.bboxes
        sample.gt_instances = sample.gt_instances[shares(boxes, region) < 0.5]
    with sampled(detector) as drawn:
        detector.loss(inputs, samples)
    assert len(drawn) == 4
    assert all((shares(negatives, region) > 0.5).any() for _, negatives in drawn)
    for sample in samples['source']:
        sample.ignored_instances = instances('bboxes', [region], [0])
    with sampled(detector) as drawn:
        losses = detector.loss(inputs, samples)
    assert len(drawn) == 4
    for positives, negatives in drawn:
        assert len(negatives)
        for priors in (positives, negatives):
            assert not (shares(priors, region) > 0.5).any()
    assert detector.parse_losses(losses)[0].isfinite()


def test_an_image_that_is_all_region_teaches_nothing(detector, make_batch):
    inputs, samples = make_batch()
    for sample in samples['source']:
        sample.gt_instances = sample.gt_instances[:0]
        sample.ignored_instances = instances('bboxes', [[-999.0, -999, 999, 999]], [0])
    for alignment in detector.all_alignments.values():
        alignment.launched = True
    with sampled(detector) as drawn:
        losses = detector.loss(inputs, samples)
    assert all(len(positives) == len(negatives) == 0 for positives, negatives in drawn)
    total, _ = detector.parse_losses(losses)
    total.backward()
    assert total.isfinite()
    assert all(
        parameter.grad is None or parameter.grad.isfinite().all()
        for parameter in detector.parameters()
    )
    for key in ('loss_rpn_cls', 'loss_rpn_bbox'):
        assert torch.stack(losses[key]).sum().item() == 0
    # mmdet omits the class loss of a box head without proposals.
    assert 'loss_cls' not in losses and losses['loss_bbox'].item() == 0
