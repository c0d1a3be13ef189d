"""The detector against mmdet's own Faster R-CNN and against the paper."""

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import MagicMock, patch

import pytest
import torch
from mmdet.models import FasterRCNN
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.model import MMDistributedDataParallel
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdet_ifan.models import (
    BaseAlignment,
    DomainFeatures,
    GradientReversal,
    IFANDetector,
    Proposals,
)
from mmdet_ifan.models.domain_features import extract_together

NAMES = ('image', 'instance', 'correlation')
#: What a term may return that adds nothing.
NOTHING = dict(loss=torch.zeros((), requires_grad=True))


def launch(detector: IFANDetector, *names: str) -> None:
    """Launch these alignments and no others."""
    for name, alignment in detector.all_alignments.items():
        alignment.launched = name in names


def seeded_loss(
    detector: nn.Module, inputs: Tensor | dict, samples: list | dict
) -> dict:
    """Compute the losses with the samplers' random numbers fixed."""
    torch.manual_seed(3)
    return detector.loss(inputs, samples)


def assert_same_values(ours: dict, theirs: dict) -> None:
    """Compare two loss dictionaries bit by bit."""
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        # The RPN's losses are lists of one level.
        value, other = (
            torch.stack(list(x)) if isinstance(x, list) else x
            for x in (value, theirs[key])
        )
        assert torch.equal(value, other), key


@contextmanager
def counted_calls(detector: IFANDetector) -> Iterator[Counter]:
    """Count the forward passes of the detector's parts."""
    calls: Counter = Counter()
    parts = dict(
        backbone=detector.backbone,
        rpn=detector.rpn_head,
        extractor=detector.roi_head.bbox_roi_extractor,
        bbox_head=detector.roi_head.bbox_head,
    )
    handles = [
        part.register_forward_hook(lambda *_, name=name: calls.update([name]))
        for name, part in parts.items()
    ]
    yield calls
    for handle in handles:
        handle.remove()


@pytest.fixture
def detector(tiny_cfg: ConfigDict) -> IFANDetector:
    detector = MODELS.build(tiny_cfg)
    # Boxes move and scores differ, so nothing is equal by chance.
    nn.init.normal_(detector.roi_head.bbox_head.fc_cls.weight, std=0.3)
    nn.init.normal_(detector.roi_head.bbox_head.fc_reg.weight, std=0.05)
    return detector.train()


@pytest.fixture
def stock(tiny_cfg: ConfigDict) -> FasterRCNN:
    """mmdet's Faster R-CNN of the same shape, with other weights."""
    cfg = copy.deepcopy(tiny_cfg)
    cfg.type = 'FasterRCNN'
    cfg.pop('neck')
    cfg.pop('alignments')
    cfg.pop('data_preprocessor')
    cfg.backbone.out_indices = (3,)
    for part in (cfg.train_cfg.rpn, cfg.train_cfg.rcnn):
        part.assigner.type = 'MaxIoUAssigner'
    torch.manual_seed(99)
    return MODELS.build(cfg).train()


# The detection loss


@pytest.mark.parametrize('without_boxes', [(), (1,), (0, 1)])
def test_nothing_launched_is_stock_faster_rcnn(
    detector, stock, make_batch, without_boxes
):
    launch(detector)
    stock.load_state_dict(detector.state_dict(), strict=False)
    inputs, samples = make_batch()
    for i in without_boxes:
        samples['source'][i].gt_instances = samples['source'][i].gt_instances[:0]
    expected = seeded_loss(stock, inputs['source'], copy.deepcopy(samples['source']))
    losses = seeded_loss(detector, inputs, samples)
    assert_same_values(losses, expected)
    # The same gradients, too.
    for model, loss in ((stock, expected), (detector, losses)):
        model.parse_losses(loss)[0].backward()
    ours = dict(detector.named_parameters())
    for name, parameter in stock.named_parameters():
        assert torch.equal(ours[name].grad, parameter.grad), name


def test_detection_loss_is_the_same_whatever_is_launched(detector, make_batch):
    launch(detector)
    alone = seeded_loss(detector, *make_batch())
    launch(detector, *NAMES)
    together = seeded_loss(detector, *make_batch())
    assert_same_values(alone, {key: together[key] for key in alone})


def test_source_boxes_keep_their_categories(detector, make_batch):
    inputs, samples = make_batch()
    before = [sample.gt_instances.labels.clone() for sample in samples['source']]
    seeded_loss(detector, inputs, samples)
    for sample, labels in zip(samples['source'], before, strict=True):
        assert torch.equal(sample.gt_instances.labels, labels)


def test_total_is_detection_plus_each_alignment(detector, make_batch):
    losses = seeded_loss(detector, *make_batch())
    total, _ = detector.parse_losses(losses)
    parts = ['loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox']
    parts += [f'image/loss_phi{tap}' for tap in (1, 2, 3, 4)]
    parts += ['instance/loss', 'correlation/loss_sddc', 'correlation/loss_ddsc']
    expected = sum(
        sum(losses[key]) if isinstance(losses[key], list) else losses[key]
        for key in parts
    )
    torch.testing.assert_close(total, expected)
    logged = {
        'acc',
        'instance/accuracy',
        'correlation/objects_source',
        'correlation/objects_target',
        'correlation/pairs_sddc',
        'correlation/pairs_ddsc',
    }
    logged |= {
        f'instance/{count}_{domain}'
        for count in ('proposals', 'objects')
        for domain in ('source', 'target')
    }
    logged |= {f'image/accuracy_phi{tap}' for tap in (1, 2, 3, 4)}
    assert set(losses) == logged | set(parts)


# What the target may and may not give


@pytest.mark.parametrize('damage', ['absent', 'permuted', 'corrupted'])
def test_target_boxes_change_no_bit(detector, make_batch, damage):
    inputs, samples = make_batch()
    for sample in samples['target']:
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[2.0, 2, 30, 30], [20, 8, 44, 40]]),
            labels=torch.tensor([0, 2]),
        )
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()
        )
    expected = seeded_loss(detector, inputs, copy.deepcopy(samples))
    for sample in samples['target']:
        truth = sample.gt_instances
        if damage == 'absent':
            del sample.gt_instances
            del sample.ignored_instances
        elif damage == 'permuted':
            truth.bboxes = truth.bboxes.flip(0)
        else:
            truth.bboxes = torch.full((2, 4), float('nan'))
            truth.labels = torch.tensor([-5, 10**6])
    losses = seeded_loss(detector, inputs, samples)
    assert any(key.startswith('correlation') for key in losses)
    assert_same_values(losses, expected)


def test_target_images_do_count(detector, make_batch):
    """The test above does not pass because the target is ignored."""
    inputs, samples = make_batch()
    expected = seeded_loss(detector, inputs, samples)
    inputs, samples = make_batch()
    inputs['target'] += 1
    losses = seeded_loss(detector, inputs, samples)
    for key in ('image/loss_phi1', 'instance/loss', 'correlation/loss_ddsc'):
        assert not torch.equal(losses[key], expected[key])


# Launch


def test_what_is_not_launched_is_not_called(detector, make_batch):
    launch(detector, 'instance')
    with (
        patch.object(detector.neck, 'loss') as image,
        patch.object(detector.alignments['correlation'], 'loss') as correlation,
    ):
        losses = seeded_loss(detector, *make_batch())
    image.assert_not_called()
    correlation.assert_not_called()
    assert {key.split('/')[0] for key in losses if '/' in key} == {'instance'}


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        ((), dict(backbone=1, rpn=1, extractor=1, bbox_head=1)),
        (('image',), dict(backbone=2, rpn=1, extractor=1, bbox_head=1)),
        (('instance',), dict(backbone=2, rpn=2, extractor=2, bbox_head=2)),
        (('correlation',), dict(backbone=2, rpn=2, extractor=2, bbox_head=2)),
        (NAMES, dict(backbone=2, rpn=2, extractor=2, bbox_head=2)),
    ],
)
def test_each_part_runs_once_for_each_domain_that_needs_it(
    detector, make_batch, names, expected
):
    """Source proposals come from the detection pass, target proposals are
    shared, and nothing is computed for a term that is not launched.
    """
    launch(detector, *names)
    with counted_calls(detector) as calls:
        seeded_loss(detector, *make_batch())
    assert calls == expected


def test_domains_of_one_shape_share_a_backbone_pass(detector, make_batch):
    """Batches of two sizes. Losses and gradients equal those of two passes,
    up to rounding.
    """

    def one_by_one(backbone, *batches):
        return [backbone(batch) for batch in batches]

    results = []
    for together in (True, False):
        inputs, samples = make_batch()
        inputs['target'] = inputs['source'][:1] + 0.5
        samples['target'] = [samples['source'][0].clone()]
        with (
            counted_calls(detector) as calls,
            patch(
                'mmdet_ifan.models.detectors.ifan_detector.extract_together',
                extract_together if together else one_by_one,
            ),
        ):
            losses = seeded_loss(detector, inputs, samples)
        assert calls['backbone'] == (1 if together else 2)
        detector.zero_grad()
        detector.parse_losses(losses)[0].backward()
        results.append(
            {
                key: value[0] if isinstance(value, list) else value
                for key, value in losses.items()
            }
            | {
                name: parameter.grad.clone()
                for name, parameter in detector.named_parameters()
                if parameter.requires_grad
            }
        )
    assert results[0]['correlation/pairs_sddc'] > 0
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


def test_alike_proposals_are_the_rpns_first_in_both_domains(tiny_cfg, make_batch):
    """True boxes, which only source has, are not among them."""
    tiny_cfg.alike_proposals = True
    tiny_cfg.test_cfg.rpn.max_per_img = 7
    detector = MODELS.build(tiny_cfg).train()
    launch(detector, 'instance')
    inputs, samples = make_batch()
    loss_and_predict = detector.rpn_head.loss_and_predict
    made = []

    def spy(*args: object, **kwargs: object) -> tuple:
        losses, proposals = loss_and_predict(*args, **kwargs)
        made.extend(proposal.bboxes.clone() for proposal in proposals)
        return losses, proposals

    with (
        patch.object(detector.rpn_head, 'loss_and_predict', spy),
        patch.object(
            detector.alignments['instance'], 'loss', return_value=NOTHING
        ) as instance,
    ):
        losses = seeded_loss(detector, inputs, samples)
        source, target = instance.call_args.args
        assert source.proposals.num_per_img == [7, 7]
        assert target.proposals.num_per_img == [7, 7]
    assert torch.equal(
        source.proposals.rois[:, 1:], torch.cat([boxes[:7] for boxes in made])
    )
    for domain in (source, target):
        assert not domain.proposals.cls_score.requires_grad
        assert domain.proposals.roi_feats.requires_grad
    # The detection loss samples as ever.
    tiny_cfg.alike_proposals = False
    stock = MODELS.build(tiny_cfg).train()
    stock.load_state_dict(detector.state_dict())
    launch(stock)
    for name, value in seeded_loss(stock, inputs, samples).items():
        torch.testing.assert_close(value, losses[name], rtol=0, atol=0)


def test_source_proposals_are_those_of_the_detection_loss(detector, make_batch):
    launch(detector, 'instance')
    inputs, samples = make_batch()
    bbox_loss = detector.roi_head.bbox_loss
    kept = {}

    def spy(feats: tuple, sampled: list) -> dict:
        kept.update(bbox_loss(feats, sampled), sampled=sampled)
        return kept

    with (
        patch.object(detector.roi_head, 'bbox_loss', spy),
        patch.object(
            detector.alignments['instance'], 'loss', return_value=NOTHING
        ) as instance,
    ):
        seeded_loss(detector, inputs, samples)
    proposals = instance.call_args.args[0].proposals
    assert proposals.roi_feats is kept['bbox_feats']
    assert proposals.cls_score is kept['cls_score']
    boxes = [result.priors for result in kept['sampled']]
    assert proposals.num_per_img == [len(box) for box in boxes]
    assert torch.equal(proposals.rois[:, 1:], torch.cat(boxes))
    images = [i for i, box in enumerate(boxes) for _ in box]
    assert proposals.rois[:, 0].tolist() == images


def test_vectors_are_those_that_the_box_head_scored(detector, make_batch):
    """In both domains, and with the gradient of its shared layers."""
    launch(detector, 'instance')
    with patch.object(
        detector.alignments['instance'], 'loss', return_value=NOTHING
    ) as instance:
        seeded_loss(detector, *make_batch())
        with counted_calls(detector) as calls:
            for domain in instance.call_args.args:
                proposals = domain.proposals
                vectors = proposals.roi_feats.flatten(1)
                for layer in detector.roi_head.bbox_head.shared_fcs:
                    vectors = layer(vectors).relu()
                assert torch.equal(proposals.vectors, vectors)
                detector.zero_grad()
                proposals.vectors.sum().backward(retain_graph=True)
                weight = detector.roi_head.bbox_head.shared_fcs[0].weight
                assert weight.grad.any()
    # Target's, which nothing had asked for before; source's are all there.
    assert calls == dict(backbone=1, rpn=1, extractor=1, bbox_head=1)


def test_everything_launched_trains_every_parameter(detector, make_batch):
    losses = seeded_loss(detector, *make_batch())
    assert losses['correlation/pairs_sddc'] > 0
    assert losses['correlation/pairs_ddsc'] > 0
    detector.parse_losses(losses)[0].backward()
    for name, parameter in detector.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize('name', NAMES)
def test_alignment_reaches_backbone_reversed_but_no_detection_head(
    detector, make_batch, name
):
    """Eq. 7: the heads of the detector are no discriminators."""
    launch(detector, name)

    def backbone_grads() -> list[Tensor]:
        losses = seeded_loss(detector, *make_batch())
        aligned = {k: v for k, v in losses.items() if k.startswith(name)}
        detector.zero_grad()
        detector.parse_losses(aligned)[0].backward()
        for head in (detector.rpn_head, detector.roi_head):
            assert all(p.grad is None or not p.grad.any() for p in head.parameters())
        return [p.grad.clone() for p in detector.backbone.parameters()]

    reversed_ = backbone_grads()
    with patch.object(GradientReversal, 'forward', lambda self, x: x):
        plain = backbone_grads()
    assert any(grad.any() for grad in plain)
    for grad, other in zip(reversed_, plain, strict=True):
        torch.testing.assert_close(grad, -other)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('branch', ['source', 'target'])
def test_alignment_alone_reaches_both_domains(detector, make_batch, name, branch):
    """Even if nothing else is launched, and whichever domain comes first."""
    launch(detector, name)
    inputs, samples = make_batch()
    inputs[branch].requires_grad_()
    losses = seeded_loss(detector, inputs, samples)
    aligned = {k: v for k, v in losses.items() if k.startswith(name)}
    detector.parse_losses(aligned)[0].backward()
    assert inputs[branch].grad is not None
    assert inputs[branch].grad.any()


def test_gates_may_change_under_ddp(detector, make_batch, configs, tmp_path):
    """An alignment that is not launched breaks no distributed training."""
    from mmengine.config import Config

    runtime = Config.fromfile(configs / '_base_/default_runtime.py')
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    try:
        model = MMDistributedDataParallel(
            detector, find_unused_parameters=runtime.find_unused_parameters
        )
        for names in ((), ('image',), NAMES, (), NAMES):
            launch(detector, *names)
            inputs, samples = make_batch()
            losses = model(inputs, samples, mode='loss')
            model.module.parse_losses(losses)[0].backward()
    finally:
        torch.distributed.destroy_process_group()


# Checkpoints and inference


def test_state_dict_extends_stock(detector, stock):
    ours, theirs = detector.state_dict(), stock.state_dict()
    extra = set(ours) - set(theirs)
    assert set(theirs) <= set(ours)
    assert all(key.startswith(('neck.', 'alignments.')) for key in extra)
    assert all(ours[key].shape == theirs[key].shape for key in theirs)


@pytest.mark.parametrize('to_stock', [True, False])
def test_checkpoints_go_either_way(detector, stock, make_batch, to_stock):
    giver, taker = (detector, stock) if to_stock else (stock, detector)
    mismatch = taker.load_state_dict(giver.state_dict(), strict=False)
    added = mismatch.unexpected_keys if to_stock else mismatch.missing_keys
    assert all(key.startswith(('neck.', 'alignments.')) for key in added)
    assert not (mismatch.missing_keys if to_stock else mismatch.unexpected_keys)
    inputs, samples = make_batch()
    results = []
    for model in (detector, stock):
        model.eval()
        with torch.no_grad():
            results.append(
                model.predict(inputs['source'], copy.deepcopy(samples['source']))
            )
    for ours, theirs in zip(*results, strict=True):
        ours, theirs = ours.pred_instances, theirs.pred_instances
        assert len(ours) > 0
        for key in ('bboxes', 'scores', 'labels'):
            assert torch.equal(ours[key], theirs[key])


def test_prediction_touches_no_alignment(detector, make_batch):
    inputs, samples = make_batch()
    detector.eval()
    called = MagicMock()
    for module in (
        *detector.neck.classifiers.modules(),
        *detector.alignments.modules(),
    ):
        module.register_forward_hook(called)
    with torch.no_grad(), counted_calls(detector) as calls:
        for mode in ('predict', 'tensor'):
            detector(inputs['target'], samples['target'], mode=mode)
    called.assert_not_called()
    assert set(calls.values()) == {2}


def test_tensor_mode_gives_what_stock_gives(detector, stock, make_batch):
    stock.load_state_dict(detector.state_dict(), strict=False)
    inputs, samples = make_batch()
    outputs = [
        model.eval()(inputs['target'], samples['target'], mode='tensor')
        for model in (detector, stock)
    ]
    for ours, theirs in zip(*(output[0] for output in outputs), strict=True):
        assert torch.equal(ours, theirs)


# What an alignment sees of a domain


def test_objects_of_target_are_the_detections_of_test_time(
    detector, make_batch, tiny_cfg
):
    """Oracle: mmdet's own predict with the same proposals and settings."""
    inputs, samples = make_batch()
    domain = DomainFeatures(detector, inputs['target'], samples['target'])
    objects = domain.detect(tiny_cfg.test_cfg.rcnn)
    with torch.no_grad():
        expected = detector.predict(
            inputs['target'], copy.deepcopy(samples['target']), rescale=False
        )
    assert sum(len(image) for image in objects) > 0
    for image, sample in zip(objects, expected, strict=True):
        for key in ('bboxes', 'scores', 'labels'):
            torch.testing.assert_close(image[key], sample.pred_instances[key])
            assert not image[key].requires_grad


def test_objects_of_source_are_constants(detector, make_batch, tiny_cfg):
    """Though they come from predictions that the detection loss trains."""
    inputs, samples = make_batch()
    domain = DomainFeatures(detector, inputs['source'], samples['source'])
    _, domain.proposals, _ = detector.detection_loss(domain)
    assert domain.proposals.bbox_pred.requires_grad
    assert domain.proposals.cls_score.requires_grad
    objects = domain.detect(tiny_cfg.test_cfg.rcnn)
    assert sum(len(image) for image in objects) > 0
    for image in objects:
        for key in ('bboxes', 'scores', 'labels'):
            assert not image[key].requires_grad


def test_objects_obey_their_settings(detector, make_batch, tiny_cfg):
    inputs, samples = make_batch()
    domain = DomainFeatures(detector, inputs['target'], samples['target'])
    cfg = copy.deepcopy(tiny_cfg.test_cfg.rcnn)
    cfg.update(score_thr=0.3, max_per_img=2)
    for image in domain.detect(cfg):
        assert len(image) <= 2
        assert (image.scores > 0.3).all()


def test_foreground_probabilities_are_the_softmax_less_background():
    scores = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 9.0]], requires_grad=True)
    proposals = Proposals(None, [2], None, scores, None, None)
    expected = []
    for row in scores.tolist():
        exps = [2.718281828459045**value for value in row]
        expected.append([exp / sum(exps) for exp in exps[:2]])
    torch.testing.assert_close(proposals.foreground_probs, torch.tensor(expected))
    assert not proposals.foreground_probs.requires_grad


def test_target_proposals_carry_gradient_only_in_their_features(detector, make_batch):
    inputs, samples = make_batch()
    proposals = DomainFeatures(detector, inputs['target'], samples['target']).proposals
    assert proposals.roi_feats.requires_grad
    assert sum(proposals.num_per_img) == len(proposals.rois) > 0
    for constant in (proposals.rois, proposals.cls_score, proposals.bbox_pred):
        assert not constant.requires_grad


# Plugging in


def test_new_alignment_plugs_in_by_config(tiny_cfg, make_batch):

    @MODELS.register_module(force=True)
    class MeanGap(BaseAlignment):
        """Squared gap of the domains' mean first tap."""

        def __init__(self, in_channels: int, **kwargs: float) -> None:
            super().__init__(**kwargs)
            self.scale = nn.Parameter(torch.ones(in_channels))

        def loss(
            self, source: DomainFeatures, target: DomainFeatures
        ) -> dict[str, Tensor]:
            means = [
                self.reverse(domain.taps[0]).mean(dim=(0, 2, 3))
                for domain in (source, target)
            ]
            gap = (self.scale * (means[0] - means[1])).square().sum()
            return dict(loss=self.loss_weight * gap, gap=gap.detach())

    tiny_cfg.alignments = dict(gap=dict(type='MeanGap', in_channels=8, loss_weight=0.5))
    detector = MODELS.build(tiny_cfg).train()
    assert list(detector.all_alignments) == ['image', 'gap']
    launch(detector, 'gap')
    losses = seeded_loss(detector, *make_batch())
    torch.testing.assert_close(losses['gap/loss'], 0.5 * losses['gap/gap'])
    aligned = {k: v for k, v in losses.items() if k.startswith('gap')}
    detector.parse_losses(aligned)[0].backward()
    assert detector.backbone.conv1.weight.grad.any()
    assert detector.alignments['gap'].scale.grad.any()


@pytest.mark.parametrize(
    ('returned', 'error', 'sentence'),
    [
        (
            torch.zeros(()),
            TypeError,
            'must return a dict of scalar tensors, but returned a Tensor',
        ),
        ({}, ValueError, r'returned \[\], none of which joins the objective'),
        (
            dict(gap=torch.zeros(())),
            ValueError,
            r"returned \['gap'\], none of which joins the objective",
        ),
        (
            dict(NOTHING, gap=1.0),
            TypeError,
            'gap of CategoryAwareInstanceHead.loss must be a scalar tensor, but is '
            'float',
        ),
        (
            dict(loss=torch.zeros(2, 3)),
            TypeError,
            r'must be a scalar tensor, but is a tensor of shape \(2, 3\)',
        ),
        (
            dict(NOTHING, loss_gap=torch.zeros(())),
            ValueError,
            'loss_gap of CategoryAwareInstanceHead.loss has no gradient',
        ),
    ],
)
def test_refuses_what_a_term_must_not_return(
    detector, make_batch, returned, error, sentence
):
    with (
        patch.object(detector.alignments['instance'], 'loss', return_value=returned),
        pytest.raises(error, match=sentence),
    ):
        detector.loss(*make_batch())


def test_a_term_needs_no_gradient_where_none_is_recorded(detector, make_batch):
    with torch.no_grad():
        assert 'instance/loss' in seeded_loss(detector, *make_batch())


@pytest.mark.parametrize(('configured', 'built'), [(None, 5), (4, 4)])
def test_categories_left_open_are_the_box_heads(tiny_cfg, configured, built):
    tiny_cfg.roi_head.bbox_head.num_classes = 5
    tiny_cfg.alignments.instance.num_classes = configured
    instance = MODELS.build(tiny_cfg).alignments['instance']
    assert instance.num_classes == built
    outputs = [m for m in instance.modules() if isinstance(m, nn.Conv2d)]
    assert outputs[-1].out_channels == built
    # The config itself stays as it was.
    assert tiny_cfg.alignments.instance.num_classes == configured


def test_a_term_may_leave_its_widths_to_the_detector(tiny_cfg):
    """Building with and without them is the same, bit for bit."""
    typed = copy.deepcopy(tiny_cfg)
    for term in tiny_cfg.alignments.values():
        for argument in MODELS.get(term.type).FROM_DETECTOR:
            assert term.pop(argument) is not None
    detectors = []
    for cfg in (typed, tiny_cfg):
        torch.manual_seed(7)
        detectors.append(MODELS.build(cfg))
        detectors[-1].random = torch.rand(1)
    ours, theirs = (detector.state_dict() for detector in detectors)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert torch.equal(*(detector.random for detector in detectors))
    assert (
        detectors[0].alignments.correlation.featmap_strides
        == detectors[1].alignments.correlation.featmap_strides
    )
    modes = [[m.training for m in each.modules()] for each in detectors]
    assert modes[0] == modes[1]


def test_classifiers_start_as_their_level_wants(tiny_cfg):
    """In a whole detector: mmengine does not look into every container."""
    detector = MODELS.build(tiny_cfg)
    detector.init_weights()
    for name, std in (('image', None), ('instance', 0.01)):
        for module in detector.all_alignments[name].modules():
            if isinstance(module, nn.Conv2d):
                # PyTorch's own is uniform up to 1 / sqrt(channels).
                assert module.weight.std().item() == pytest.approx(
                    std or (3 * module.in_channels) ** -0.5, rel=0.3
                ), name


def test_alignments_are_optional(tiny_cfg, make_batch):
    tiny_cfg.pop('alignments')
    detector = MODELS.build(tiny_cfg)
    assert list(detector.all_alignments) == ['image']
    assert 'image/loss_phi1' in seeded_loss(detector, *make_batch())


def test_a_neck_that_is_no_term_has_no_image_level(tiny_cfg, make_batch):
    tiny_cfg.neck = dict(type='LastTap')
    detector = MODELS.build(tiny_cfg)
    assert list(detector.all_alignments) == ['instance', 'correlation']
    losses = seeded_loss(detector, *make_batch())
    assert 'instance/loss' in losses
    assert not any(key.startswith('image/') for key in losses)
    taps = detector.backbone(make_batch()[0]['source'])
    (level,) = detector.neck(taps)
    assert level is taps[-1]


def test_the_image_level_is_the_same_term_in_either_place(tiny_cfg, make_batch):
    """Next to another neck, with the weights of the one in the neck."""
    in_neck = MODELS.build(tiny_cfg)
    tiny_cfg.alignments.image = dict(tiny_cfg.neck, type='HierarchicalDomainHead')
    tiny_cfg.neck = dict(type='LastTap')
    beside = MODELS.build(tiny_cfg)
    assert list(beside.all_alignments) == list(in_neck.all_alignments)
    beside.load_state_dict(
        {
            name.replace('neck.', 'alignments.image.'): value
            for name, value in in_neck.state_dict().items()
        }
    )
    losses = [seeded_loss(detector, *make_batch()) for detector in (in_neck, beside)]
    assert losses[0].keys() == losses[1].keys()
    for name, value in losses[0].items():
        torch.testing.assert_close(value, losses[1][name], rtol=0, atol=0)


def test_refuses_a_second_alignment_named_image(tiny_cfg):
    tiny_cfg.alignments = dict(image=tiny_cfg.alignments.instance)
    with pytest.raises(ValueError, match='name image'):
        MODELS.build(tiny_cfg)


def test_refuses_an_alignment_whose_counts_would_be_losses(tiny_cfg):
    tiny_cfg.alignments = dict(focal_loss=tiny_cfg.alignments.instance)
    with pytest.raises(ValueError, match='alignments.focal_loss needs anothe'):
        MODELS.build(tiny_cfg)


def test_refuses_what_is_no_alignment(tiny_cfg):
    tiny_cfg.alignments = dict(odd=dict(type='L1Loss'))
    with pytest.raises(TypeError, match='alignments.odd is a L1Loss'):
        MODELS.build(tiny_cfg)


def test_refuses_what_is_no_config(tiny_cfg):
    tiny_cfg.alignments.instance = None
    with pytest.raises(
        TypeError, match='alignments.instance must be a config of a term, but is None'
    ):
        MODELS.build(tiny_cfg)


def test_refuses_a_backbone_of_other_taps(tiny_cfg):
    tiny_cfg.backbone.out_indices = (1, 2, 3)
    with pytest.raises(ValueError, match='expects 4 taps.*gives 3'):
        MODELS.build(tiny_cfg)


def test_refuses_taps_of_other_channels(tiny_cfg, make_batch):
    tiny_cfg.neck.in_channels = (8, 16, 32, 48)
    detector = MODELS.build(tiny_cfg)
    with pytest.raises(
        ValueError,
        match=r'\(8, 16, 32, 48\).*'
        r'\(8, 16, 32, 64\)',
    ):
        detector.loss(*make_batch())
