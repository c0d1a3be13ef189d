"""The baselines of iFAN, against loops and their papers."""

import copy
import math
from collections.abc import Callable, Iterator

import pytest
import torch
from mmdet.models import FasterRCNN
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmdet_ifan.models import (
    DAFasterHead,
    GlobalDomainHead,
    IFANDetector,
    Proposals,
    StrongWeakNeck,
)
from mmdet_ifan.models.layers import domain_focal_loss

#: Padded shape of each domain, and its images' own shapes.
SOURCE = ((32, 64), [(32, 64), (16, 32)])
TARGET = ((32, 48), [(32, 48), (24, 16), (32, 32)])
#: The last two taps have one width, so only their numbers tell them apart.
CHANNELS, STRIDES = (4, 6, 6), (4, 8, 16)


def inside(
    tap: Tensor, batch_shape: tuple[int, int], img_shape: tuple[int, int]
) -> list[tuple[int, int]]:
    """List the positions whose cell lies in the image, by hand."""
    stride = batch_shape[0] // tap.shape[-2]
    return [
        (row, column)
        for row in range(img_shape[0] // stride)
        for column in range(img_shape[1] // stride)
    ]


def cross_entropy(logit: Tensor, domain: int) -> float:
    """Compute the cross-entropy as a textbook has it."""
    prob = 1 / (1 + math.exp(-logit.item()))
    return -math.log(prob if domain else 1 - prob)


@pytest.fixture
def domains(make_domain):
    """Both domains with random taps and proposals."""

    def make(batch_shape, img_shapes, num_per_img):
        count = sum(num_per_img)
        image_of = [i for i, n in enumerate(num_per_img) for _ in range(n)]
        rois = torch.zeros(count, 5)
        rois[:, 0] = torch.tensor(image_of)
        domain = make_domain(
            img_shapes,
            batch_shape,
            taps=[
                torch.randn(
                    len(img_shapes),
                    channels,
                    batch_shape[0] // stride,
                    batch_shape[1] // stride,
                )
                for channels, stride in zip(CHANNELS, STRIDES, strict=True)
            ],
            proposals=Proposals(
                rois, num_per_img, None, None, None, torch.randn(count, 5)
            ),
        )
        return domain

    return make(*SOURCE, [3, 2]), make(*TARGET, [2, 0, 4])


def test_global_head_classifies_mean_vectors(domains, spread):
    head = GlobalDomainHead(6, hidden_channels=7, loss_weight=0.3)
    spread(head)
    expected = 0.0
    for domain, (batch_shape, img_shapes), label in zip(
        domains, (SOURCE, TARGET), (0, 1), strict=True
    ):
        for tap, img_shape in zip(domain.taps[-1], img_shapes, strict=True):
            positions = inside(tap, batch_shape, img_shape)
            mean = sum(tap[:, r, c] for r, c in positions) / len(positions)
            expected += cross_entropy(head.classifier(mean), label) / len(img_shapes)
    losses = head.loss(*domains)
    assert losses['loss'].item() == pytest.approx(0.3 * expected, rel=1e-5)


def test_da_faster_is_the_papers_three_terms(domains, spread):
    head = DAFasterHead(
        6, 5, image_channels=7, hidden_channels=8, loss_weight=0.2
    ).eval()
    spread(head)
    image = instance = consistency = 0.0
    for domain, (batch_shape, img_shapes), label in zip(
        domains, (SOURCE, TARGET), (0, 1), strict=True
    ):
        means = []
        for tap, img_shape in zip(domain.taps[-1], img_shapes, strict=True):
            logits = [
                head.image_classifier(tap[:, r, c].reshape(1, -1, 1, 1))
                for r, c in inside(tap, batch_shape, img_shape)
            ]
            image += (
                sum(cross_entropy(x, label) for x in logits)
                / len(logits)
                / len(img_shapes)
            )
            means.append(sum(x.sigmoid().item() for x in logits) / len(logits))
        vectors = domain.proposals.vectors
        for vector, roi in zip(vectors, domain.proposals.rois, strict=True):
            logit = head.instance_classifier(vector)
            instance += cross_entropy(logit, label) / len(vectors)
            consistency += abs(means[int(roi[0])] - logit.sigmoid().item()) / len(
                vectors
            )
    losses = head.loss(*domains)
    for name, expected in (
        ('image', image),
        ('instance', instance),
        ('consistency', consistency),
    ):
        assert losses[f'loss_{name}'].item() == pytest.approx(
            0.2 * expected, rel=1e-4
        ), name
    for name, domain in zip(('source', 'target'), domains, strict=True):
        assert losses[f'proposals_{name}'].item() == len(domain.proposals.rois)


def test_da_faster_without_proposals_stays_in_the_graph(domains):
    head = DAFasterHead(6, 5)
    for domain in domains:
        domain.proposals.vectors = torch.zeros(0, 5)
        domain.proposals.rois = torch.zeros(0, 5)
    losses = head.loss(*domains)
    assert losses['loss_instance'] == losses['loss_consistency'] == 0
    losses['loss_instance'].backward()
    assert head.instance_classifier[0].weight.grad is not None


@pytest.mark.parametrize('domain', [0, 1])
@pytest.mark.parametrize('logit', [-4.0, -0.3, 0.0, 2.0])
def test_focal_loss_is_written_as_in_the_paper(logit, domain):
    prob = 1 / (1 + math.exp(-logit))
    right = prob if domain else 1 - prob
    loss = domain_focal_loss(torch.tensor([logit]), domain, gamma=5.0)
    assert loss.item() == pytest.approx(-((1 - right) ** 5) * math.log(right), rel=1e-4)


@pytest.mark.parametrize('logit', [-80.0, 80.0])
def test_focal_loss_is_finite_where_sigmoid_saturates(logit):
    x = torch.tensor([logit], requires_grad=True)
    loss = domain_focal_loss(x, 1, gamma=5.0)
    loss.backward()
    assert loss.isfinite().all()
    assert x.grad.isfinite().all()


def test_strong_weak_is_half_least_squares_and_half_focal(make_domain, spread):
    """Over what shows the image: some of the 128-pixel cells are padding."""
    neck = StrongWeakNeck(CHANNELS).eval()
    spread(neck)
    shapes = (
        ((256, 512), [(256, 512), (128, 256)]),
        ((256, 384), [(100, 300), (256, 384)]),
    )
    domains = [
        make_domain(
            img_shapes,
            (height, width),
            taps=[
                torch.randn(2, channels, height // stride, width // stride)
                for channels, stride in zip(CHANNELS, STRIDES, strict=True)
            ],
        )
        for (height, width), img_shapes in shapes
    ]
    local = weak = 0.0
    for domain, (batch_shape, img_shapes), label in zip(
        domains, shapes, (0, 1), strict=True
    ):
        maps = neck.global_trunk(domain.taps[-1])
        assert maps.shape[2:] == (batch_shape[0] // 128, batch_shape[1] // 128)
        for i, img_shape in enumerate(img_shapes):
            tap = domain.taps[1][i]
            outputs = [
                neck.classifiers[0](tap[:, r, c].reshape(1, -1, 1, 1)).item()
                for r, c in inside(tap, batch_shape, img_shape)
            ]
            local += (
                sum((label - x) ** 2 for x in outputs) / len(outputs) / len(img_shapes)
            )
            height, width = (max(1, side // 128) for side in img_shape)
            vector = sum(
                maps[i, :, r, c] for r in range(height) for c in range(width)
            ) / (height * width)
            logit = neck.global_classifier(vector)
            prob = logit.sigmoid().item()
            right = prob if label else 1 - prob
            weak -= (1 - right) ** 5 * math.log(right) / len(img_shapes)
    losses = neck.loss(*domains)
    assert losses['loss_phi2'].item() == pytest.approx(0.5 * local, rel=1e-4)
    assert losses['loss_global'].item() == pytest.approx(0.5 * weak, rel=1e-4)


def test_defaults_of_strong_weak_are_its_codes():
    """Except for SIM10K, where the code weighs the whole term by 0.1."""
    neck = StrongWeakNeck(CHANNELS)
    assert (neck.loss_weight, neck.reverse.weight) == (1.0, 1.0)
    assert (neck.taps, neck.tap_weights, neck.gamma) == ((1,), (0.5,), 5.0)


@pytest.mark.parametrize(
    ('classifier', 'layers'),
    [
        (
            lambda: DAFasterHead(6, 5).instance_classifier,
            [nn.Linear, nn.ReLU, nn.Dropout] * 2 + [nn.Linear],
        ),
        (lambda: StrongWeakNeck(CHANNELS).global_classifier, [nn.Dropout, nn.Linear]),
    ],
)
def test_classifiers_of_vectors_drop_half_out(classifier, layers):
    modules = list(classifier())
    assert [type(module) for module in modules] == layers
    assert {module.p for module in modules if isinstance(module, nn.Dropout)} == {0.5}


@pytest.mark.parametrize('scale', [0.1, 10.0, 100.0])
def test_strong_weaks_global_term_takes_features_of_any_scale(make_domain, scale):
    """Its first convolution has no bias and is normalised over the batch."""
    neck = StrongWeakNeck(CHANNELS)
    taps = [
        [
            torch.randn(4, channels, 512 // stride, 512 // stride).abs_()
            for channels, stride in zip(CHANNELS, STRIDES, strict=True)
        ]
        for _ in range(2)
    ]
    results = []
    for factor in (1.0, scale):
        last = [(factor * domain[-1]).requires_grad_() for domain in taps]
        torch.manual_seed(0)  # Of the dropout.
        losses = neck.loss(
            *[
                make_domain([(512, 512)] * 4, (512, 512), taps=[*domain[:-1], tap])
                for domain, tap in zip(taps, last, strict=True)
            ]
        )
        gradients = torch.autograd.grad(losses['loss_global'], last)
        results.append(
            (
                losses['loss_global'],
                torch.cat([factor * g.flatten() for g in gradients]),
            )
        )
    (loss, gradient), (other_loss, other_gradient) = results
    torch.testing.assert_close(other_loss, loss, rtol=5e-3, atol=0)
    assert gradient.any()
    # Up to the epsilon that is added to the variance.
    assert (other_gradient - gradient).norm() < 0.2 * gradient.norm()


# In the detector


def da_faster(cfg: ConfigDict) -> None:
    cfg.neck = dict(type='LastTap')
    cfg.alignments = dict(
        da_faster=dict(type='DAFasterHead', in_channels=64, instance_channels=32)
    )


def adda(cfg: ConfigDict) -> None:
    cfg.neck = dict(type='LastTap')
    cfg.alignments = dict(adda=dict(type='GlobalDomainHead', in_channels=64))


def strong_weak(cfg: ConfigDict) -> None:
    cfg.neck.type = 'StrongWeakNeck'
    cfg.alignments = dict()
    cfg.roi_head.type = 'ContextRoIHead'
    cfg.roi_head.bbox_head.update(type='ContextBBoxHead', context_channels=256)


def select_align(cfg: ConfigDict) -> None:
    cfg.neck = dict(type='LastTap')
    cfg.roi_head.bbox_head.fc_out_channels = 16
    cfg.alignments = dict(
        select_align=dict(type='SelectAlignHead', num_regions=2, classifier_channels=4)
    )


def mtor(cfg: ConfigDict) -> None:
    cfg.neck = dict(type='LastTap')
    cfg.alignments = dict(
        mtor=dict(type='ObjectRelationHead', num_regions=12, threshold=0.2)
    )


def split_pooling(cfg: ConfigDict) -> None:
    cfg.neck = dict(type='LastTap')
    cfg.alignments = dict(
        split_pooling=dict(type='SplitPoolingHead', scales=(24, 16, 9))
    )


def semantic_pairs(cfg: ConfigDict) -> None:
    cfg.neck = dict(type='LastTap')
    cfg.alignments = dict(
        semantic_pairs=dict(
            type='SemanticPairHead',
            # Whatever an untrained detector sees.
            object_cfg=dict(
                score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=16
            ),
        )
    )


def distillation(cfg: ConfigDict) -> None:
    cfg.neck = dict(type='LastTap')
    cfg.alignments = dict(distillation=dict(type='TeacherDistillation', score_thr=0.2))


def pseudo_labels(cfg: ConfigDict) -> None:
    cfg.neck = dict(type='LastTap')
    cfg.alignments = dict(pseudo_labels=dict(type='PseudoLabelHead', score_thr=0.2))


#: Terms that no part of the detector is to fool.
TAUGHT = dict(mtor=mtor, distillation=distillation, pseudo_labels=pseudo_labels)
BASELINES = dict(
    da_faster=da_faster,
    adda=adda,
    image=strong_weak,
    select_align=select_align,
    split_pooling=split_pooling,
    semantic_pairs=semantic_pairs,
    **TAUGHT,
)


def teacher_of(detector: IFANDetector) -> IFANDetector:
    """A detector's teacher, another one, which the caller keeps."""
    teacher = copy.deepcopy(detector).requires_grad_(False).eval()
    nn.init.normal_(teacher.roi_head.bbox_head.fc_cls.weight, std=0.3)
    detector.follow(teacher)
    return teacher


@pytest.fixture
def make_batch(make_batch: Callable) -> Callable[[], tuple[dict, dict]]:
    """Maker of a batch whose source images have a class in common, to be paired."""

    def make() -> tuple[dict, dict]:
        inputs, samples = make_batch()
        samples['source'][1].gt_instances.labels[:] = 1
        return inputs, samples

    return make


@pytest.fixture(params=BASELINES)
def baseline(request, tiny_cfg) -> Iterator[tuple[str, IFANDetector]]:
    BASELINES[request.param](tiny_cfg)
    detector = MODELS.build(tiny_cfg).train()
    detector.init_weights()
    nn.init.normal_(detector.roi_head.bbox_head.fc_cls.weight, std=0.3)
    teacher = teacher_of(detector)
    yield request.param, detector
    assert all(p.grad is None for p in teacher.parameters())


def test_baseline_is_the_only_alignment_and_trains_everything(baseline, make_batch):
    name, detector = baseline
    assert list(detector.all_alignments) == [name]
    losses = detector.loss(*make_batch())
    assert any(key.startswith(f'{name}/') for key in losses)
    detector.parse_losses(losses)[0].backward()
    for key, parameter in detector.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize('damage', ['absent', 'permuted', 'corrupted'])
def test_target_boxes_change_no_bit(baseline, make_batch, damage):
    name, detector = baseline
    inputs, samples = make_batch()
    for sample in samples['target']:
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[2.0, 2, 30, 30], [20, 8, 44, 40]]),
            labels=torch.tensor([0, 2]),
        )
    losses = []
    for damaged in (False, True):
        if damaged:
            for sample in samples['target']:
                truth = sample.gt_instances
                if damage == 'absent':
                    del sample.gt_instances
                elif damage == 'permuted':
                    truth.bboxes = truth.bboxes.flip(0)
                else:
                    truth.bboxes = torch.full((2, 4), float('nan'))
                    truth.labels = torch.tensor([-5, 10**6])
        torch.manual_seed(3)
        losses.append(detector.parse_losses(detector.loss(inputs, samples))[1])
    assert any(key.startswith(f'{name}/') for key in losses[0])
    assert losses[0].keys() == losses[1].keys()
    for key, value in losses[0].items():
        assert torch.equal(value, losses[1][key]), key


class Operations(TorchDispatchMode):
    """Collect the names of the operations that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        # Indexing by booleans counts them; a host index is sent over.
        if name == 'index':
            name += ''.join(f' by {x.dtype}' for x in args[1] if x is not None)
        self.names.add(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    'name',
    # These sample, with mmdet's own parts.
    [*sorted(set(BASELINES) - {'distillation', 'pseudo_labels'}), 'ifan'],
)
def test_alignment_never_waits_for_the_device(tiny_cfg, make_batch, name):
    """Apart from mmdet's own proposals and objects."""
    BASELINES.get(name, lambda cfg: None)(tiny_cfg)
    detector = MODELS.build(tiny_cfg).train()
    teacher = teacher_of(detector)
    operations = Operations()
    for alignment in detector.all_alignments.values():

        def watched(source, target, alignment=alignment, loss=alignment.loss):
            for domain in (source, target):
                domain.proposals  # noqa: B018  # Computed when asked for.
                domain.teacher.proposal_boxes  # noqa: B018
                if hasattr(alignment, 'object_cfg'):
                    objects = domain.detect(alignment.object_cfg)
                    domain.detect = lambda _, objects=objects: objects
            with operations:
                return loss(source, target)

        alignment.loss = watched
    detector.loss(*make_batch())
    assert detector.teacher is teacher
    assert 'sum' in operations.names
    # Counting booleans, reading a number, sending one.
    assert not operations.names & {
        'nonzero',
        '_local_scalar_dense',
        'index by torch.bool',
        'lift_fresh',
    }


def test_baseline_reverses_its_gradient(baseline, make_batch):
    """The detector climbs what the classifiers descend, times the weight."""
    name, detector = baseline
    if name in TAUGHT:
        pytest.skip('Nobody is to fool it.')
    alignment = detector.all_alignments[name]
    alignment.eval()
    detector.roi_head.eval()
    grads = {}
    for weight in (0.0, 1.0, 2.0):
        alignment.reverse.weight = weight
        detector.zero_grad()
        torch.manual_seed(3)
        losses = detector.loss(*make_batch())
        detector.parse_losses(
            {key: loss for key, loss in losses.items() if key.startswith(f'{name}/')}
        )[0].backward()
        grads[weight] = [
            None if p.grad is None else p.grad.clone()
            for p in (detector.backbone.conv1.weight, next(alignment.parameters()))
        ]
    assert not grads[0.0][0].any()
    assert grads[1.0][0].any()
    torch.testing.assert_close(2 * grads[1.0][0], grads[2.0][0])
    # The classifier's own step does not depend on the weight.
    torch.testing.assert_close(grads[1.0][1], grads[2.0][1])


def test_strong_weak_hands_context_to_the_box_head(tiny_cfg, make_batch):
    stock_cfg = copy.deepcopy(tiny_cfg)
    strong_weak(tiny_cfg)
    detector = MODELS.build(tiny_cfg).eval()
    inputs, samples = make_batch()
    with torch.no_grad():
        feats = detector.extract_feat(inputs['source'])
        assert feats.context.shape == (2, 256)
        head = detector.roi_head.bbox_head
        pooled = torch.randn(3, 64, 3, 3)
        context = feats.context[[0, 0, 1]]
        vectors = pooled.flatten(1)
        for layer in head.shared_fcs:
            vectors = layer(vectors).relu()
        # One linear layer on both joined, as in the paper.
        joined = torch.cat([vectors, context], dim=1)
        for output, fc, extra in zip(
            head(pooled, context),
            (head.fc_cls, head.fc_reg),
            (head.context_cls, head.context_reg),
            strict=True,
        ):
            weight = torch.cat([fc.weight, extra.weight], dim=1)
            torch.testing.assert_close(output, joined @ weight.T + fc.bias)
        results = detector.predict(inputs['source'], samples['source'])
    assert len(results) == 2
    # A plain detector's checkpoint can start it: every key is used.
    stock_cfg.type = 'FasterRCNN'
    for key in ('neck', 'alignments', 'data_preprocessor'):
        stock_cfg.pop(key)
    stock_cfg.backbone.out_indices = (3,)
    stock: FasterRCNN = MODELS.build(stock_cfg)
    loaded = detector.load_state_dict(stock.state_dict(), strict=False)
    assert not loaded.unexpected_keys


def test_each_image_has_its_own_context(tiny_cfg, make_batch):
    """In any order of the proposals; padding is averaged in."""
    strong_weak(tiny_cfg)
    detector = MODELS.build(tiny_cfg).eval()
    rois = torch.tensor(
        [[1.0, 0, 0, 40, 40], [0.0, 8, 8, 60, 50], [1.0, 20, 10, 64, 64]]
    )
    with torch.no_grad():
        taps = detector.backbone(make_batch()[0]['target'])
        feats = detector.neck(taps)
        hidden = detector.neck.classifiers[0].layers[:-1](taps[1])
        contexts = [
            torch.cat([maps.mean(dim=(1, 2)) for maps in (local, weak)])
            for local, weak in zip(
                hidden, detector.neck.global_trunk(taps[-1]), strict=True
            )
        ]
        assert not torch.allclose(*contexts, atol=1e-3)
        torch.testing.assert_close(feats.context, torch.stack(contexts))
        results = detector.roi_head._bbox_forward(feats, rois)
        expected = detector.roi_head.bbox_head(
            results['bbox_feats'], torch.stack([contexts[i] for i in (1, 0, 1)])
        )
    torch.testing.assert_close(results['cls_score'], expected[0])
    torch.testing.assert_close(results['bbox_pred'], expected[1])


def test_context_feeds_nothing_back_into_the_backbone(tiny_cfg, make_batch):
    strong_weak(tiny_cfg)
    detector = MODELS.build(tiny_cfg).train()
    feats = detector.extract_feat(make_batch()[0]['source'])
    feats.context.sum().backward()
    assert detector.backbone.conv1.weight.grad is None
    assert detector.neck.global_trunk[0].conv.weight.grad is not None


@pytest.mark.parametrize('shape', [(1, 1), (5, 1), (4, 2), (7, 9)])
def test_single_precision_changes_no_convolution(shape):
    neck = StrongWeakNeck(CHANNELS)
    convolution = neck.global_trunk[0].conv
    plain = nn.Conv2d(6, 512, 3, stride=2, padding=1, bias=False)
    plain.load_state_dict(convolution.state_dict())
    maps = torch.randn(2, 6, *shape, requires_grad=True)
    ours, theirs = convolution(maps), plain(maps)
    assert torch.equal(ours, theirs)
    for mine, other in zip(
        torch.autograd.grad(ours.square().sum(), (maps, convolution.weight)),
        torch.autograd.grad(theirs.square().sum(), (maps, plain.weight)),
        strict=True,
    ):
        assert torch.equal(mine, other)


class Convolutions(TorchDispatchMode):
    """Collect kernel and dtype of all convolutions, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[tuple[int, ...], torch.dtype]] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        weight = dict(convolution=1, convolution_backward=2).get(
            func.overloadpacket.__name__
        )
        if weight:
            self.seen.add((tuple(args[weight].shape[2:]), args[weight].dtype))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('mixed', [True, False])
def test_trunk_convolves_in_single_precision(make_domain, dtype, mixed):
    """In half precision, oneDNN's result depends on the CPU."""
    neck = StrongWeakNeck(CHANNELS)
    if not mixed:
        neck.to(dtype)
    domains = [
        make_domain(
            [(128, 64)] * 2,
            (128, 64),
            taps=[
                torch.randn(2, channels, 128 // stride, 64 // stride, dtype=dtype)
                for channels, stride in zip(CHANNELS, STRIDES, strict=True)
            ],
        )
        for _ in range(2)
    ]
    convolutions = Convolutions()
    with torch.autocast('cpu', dtype, enabled=mixed), convolutions:
        losses = neck.loss(*domains)
        neck(domains[0].taps)
        (losses['loss_phi2'] + losses['loss_global']).backward()
    assert convolutions.seen == {((1, 1), dtype), ((3, 3), torch.float32)}
