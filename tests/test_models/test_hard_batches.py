"""Every number stays finite, however poor the batch."""

import copy
import itertools
import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmcv.ops import RoIAlign
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdet_ifan.models import (
    BaseAlignment,
    CategoryAwareInstanceHead,
    CorrelationMetricHead,
    DAFasterHead,
    GlobalDomainHead,
    HierarchicalDomainNeck,
    Proposals,
    SelectAlignHead,
    SemanticPairHead,
    SplitPoolingHead,
    StrongWeakNeck,
)

CHANNELS, STRIDES, NUM_CLASSES = (4, 6), (8, 16), 3
ALIGNMENTS = dict(
    hierarchical=lambda: HierarchicalDomainNeck(CHANNELS),
    strong_weak=lambda: StrongWeakNeck(CHANNELS, local_tap=0),
    category_aware=lambda: CategoryAwareInstanceHead(6, NUM_CLASSES),
    agnostic=lambda: CategoryAwareInstanceHead(6, NUM_CLASSES, category_aware=False),
    correlation=lambda: CorrelationMetricHead(
        CHANNELS, STRIDES, embed_channels=4, roi_size=2
    ),
    da_faster=lambda: DAFasterHead(6, 5, hidden_channels=4),
    global_domain=lambda: GlobalDomainHead(6, hidden_channels=4),
    select_align=lambda: SelectAlignHead(
        16, 4, num_regions=2, patch_size=8, classifier_channels=4
    ),
    split_pooling=lambda: SplitPoolingHead(6, STRIDES, (24, 9), (5, 7), (1.0,), (4, 4)),
    semantic_pairs=lambda: SemanticPairHead(5, NUM_CLASSES, (4,)),
)
#: Sides of an image in pixels, from less than a cell to a few cells.
SIDES = st.integers(1, 70)
SIZES = st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=2)
COUNTS = st.lists(st.integers(0, 3), min_size=2, max_size=2)
#: Scales of features: dead, tiny, usual, near overflow in half precision.
SCALES = st.sampled_from([0.0, 1e-30, 1.0, 1e4])
# mmcv's RoIAlign pools only single, double and half precision.
CASES = [
    (name, dtype)
    for name, dtype in itertools.product(
        ALIGNMENTS, (torch.float32, torch.float64, torch.bfloat16)
    )
    if dtype != torch.bfloat16 or name not in ('correlation', 'split_pooling')
]
common = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def finite_loss_and_gradient(
    alignment: nn.Module, losses: dict, leaves: list[Tensor]
) -> None:
    """Check the values, their sum and the gradients of what they reach."""
    assert any('loss' in name for name in losses)
    for name, value in losses.items():
        assert value.isfinite().all(), name
    total = sum(v for name, v in losses.items() if 'loss' in name)
    total.backward()
    for name, parameter in alignment.named_parameters():
        # A gradient of None would stop a distributed run.
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    for leaf in leaves:
        assert leaf.grad is None or leaf.grad.isfinite().all()


def enlarged(shapes, side: int):
    """Give images that a term would refuse, by a sentence, the size it needs."""
    return [tuple(max(side, length) for length in shape) for shape in shapes]


def vector_of(name: str) -> int:
    """Give the length of the vectors that a term reads."""
    return 16 if name == 'select_align' else 5


def fake_domain(make_domain, sizes, counts, labels, scale, dtype, vector):
    """Make a domain of padded images with this many proposals each.

    ``labels`` are those of the first image's predicted objects, ``vector`` is
    the length of the proposals' vectors.
    """
    batch_shape = tuple(
        -(-max(side) // STRIDES[-1]) * STRIDES[-1] for side in zip(*sizes, strict=True)
    )
    count = len(sizes)
    shape = (count, 3, *batch_shape)

    def leaf(*shape: int, generator: torch.Generator | None = None) -> Tensor:
        values = torch.randn(shape, generator=generator).mul(scale).to(dtype)
        return values.requires_grad_()

    taps = [
        leaf(count, channels, *(side // stride for side in batch_shape))
        for channels, stride in zip(CHANNELS, STRIDES, strict=True)
    ]
    per_image = counts[:count]
    total = sum(per_image)
    rois = torch.zeros(total, 5)
    rois[:, 0] = torch.repeat_interleave(torch.arange(count), torch.tensor(per_image))
    feats = leaf(total, 6, 2, 2)
    vectors = leaf(total, vector)
    # One box is a point, another is larger than the image.
    boxes = torch.tensor(
        [[3.0, 3.0, 3.0, 3.0], [-9.0, -9.0, 99.0, 99.0], [1.0, 2.0, 9.0, 8.0]]
    )
    objects = [
        InstanceData(bboxes=boxes[: len(labels)], labels=torch.tensor(labels))
        if i == 0
        else InstanceData(bboxes=boxes[:0], labels=torch.zeros(0).long())
        for i in range(count)
    ]
    for found in objects:
        found.labels = found.labels.long()
    domain = make_domain(
        sizes,
        batch_shape,
        taps=taps,
        pixels=torch.linspace(-1, 1, math.prod(shape)).reshape(shape).to(dtype),
        proposals=Proposals(
            rois,
            per_image,
            feats,
            torch.randn(total, NUM_CLASSES + 1).to(dtype),
            torch.randn(total, 4 * NUM_CLASSES).to(dtype),
            vectors,
        ),
    )
    domain.detect = lambda cfg: objects
    # Every proposal is the third object, if there is one, in any domain.
    # Drawn by itself: the draws of the other terms stay as they are.
    of_objects = leaf(
        sum(map(len, objects)), vector, generator=torch.Generator().manual_seed(1)
    )
    domain.pool = lambda boxes: Proposals(rois, [], feats, None, None, of_objects)
    rois[:, 1:] = boxes[2]
    for sample in domain.data_samples:
        sample.gt_instances = objects[0]
    return domain, [*taps, feats, vectors, of_objects]


@pytest.mark.parametrize(('name', 'dtype'), CASES)
@settings(common, max_examples=25)
@given(
    sizes=st.tuples(SIZES, SIZES),
    counts=st.tuples(COUNTS, COUNTS),
    labels=st.tuples(
        *[st.lists(st.integers(0, NUM_CLASSES - 1), max_size=3) for _ in range(2)]
    ),
    scale=SCALES,
)
def test_alignment(make_domain, name, dtype, sizes, counts, labels, scale):
    alignment: BaseAlignment = ALIGNMENTS[name]().to(dtype).train()
    sizes = [enlarged(shapes, alignment.min_image_size) for shapes in sizes]
    domains = [
        fake_domain(make_domain, *parts, scale, dtype, vector_of(name))
        for parts in zip(sizes, counts, labels, strict=True)
    ]
    losses = alignment.loss(*(domain for domain, _ in domains))
    finite_loss_and_gradient(
        alignment, losses, [x for _, leaves in domains for x in leaves]
    )


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('name', ALIGNMENTS)
def test_alignment_in_mixed_precision(make_domain, spread, name, dtype):
    """Losses are float32; they and gradients match single precision."""
    torch.manual_seed(0)
    alignment: BaseAlignment = ALIGNMENTS[name]().eval()
    spread(alignment)
    state = torch.get_rng_state()
    losses, gradients = [], []
    for enabled in (False, True):
        torch.set_rng_state(state)
        domains, leaves = zip(
            *[
                fake_domain(
                    make_domain,
                    [(60, 70), (64, 40)],
                    [3, 2],
                    labels,
                    1.0,
                    torch.float32,
                    vector_of(name),
                )
                for labels in ([0, 1, 2], [1, 1, 2])
            ],
            strict=True,
        )
        for domain in domains:
            if enabled:  # As backbone and box head give them.
                domain.taps = [tap.to(dtype) for tap in domain.taps]
                domain.proposals.vectors = domain.proposals.vectors.to(dtype)
        with torch.autocast('cpu', dtype, enabled=enabled):
            losses.append(
                {
                    key: value
                    for key, value in alignment.loss(*domains).items()
                    if 'loss' in key
                }
            )
        alignment.zero_grad()
        # The factor that a loss scaler starts with.
        (2**16 * sum(losses[-1].values())).backward()
        # The gradients of the classifiers and those of the features.
        gradients.append(
            [
                torch.cat([x.grad.flatten() for x in part if x.grad is not None])
                for part in (alignment.parameters(), (*leaves[0], *leaves[1]))
            ]
        )
    assert {value.dtype for value in losses[1].values()} == {torch.float32}
    torch.testing.assert_close(*losses[::-1], rtol=0.02, atol=1e-3)
    for single, mixed in zip(*gradients, strict=True):
        assert mixed.isfinite().all()
        # Significands of 8 and of 11 bits.
        tolerance = 0.1 if dtype == torch.bfloat16 else 0.02
        assert 0 < (mixed - single).norm() < tolerance * single.norm()


METHODS = [
    'ifan',
    'strong_weak',
    'others',
    'select_align',
    'mtor',
    'few_shot',
    'distillation',
    'pseudo_labels',
]


def detector_cfg(tiny_cfg, method: str):
    """Give the tiny detector the alignments of another method."""
    last = tiny_cfg.neck.in_channels[-1]
    if method == 'strong_weak':
        tiny_cfg.neck.type = 'StrongWeakNeck'
        tiny_cfg.alignments = {}
        tiny_cfg.roi_head.type = 'ContextRoIHead'
        tiny_cfg.roi_head.bbox_head.type = 'ContextBBoxHead'
        tiny_cfg.roi_head.bbox_head.context_channels = 256
    elif method == 'others':
        tiny_cfg.neck = dict(type='LastTap')
        tiny_cfg.alignments = dict(
            adda=dict(type='GlobalDomainHead', in_channels=last, hidden_channels=8),
            da_faster=dict(
                type='DAFasterHead',
                in_channels=last,
                instance_channels=32,
                image_channels=8,
                hidden_channels=8,
            ),
        )
    elif method == 'few_shot':
        tiny_cfg.neck = dict(type='LastTap')
        tiny_cfg.alignments = dict(
            split_pooling=dict(type='SplitPoolingHead', scales=(24, 9, 4)),
            semantic_pairs=dict(type='SemanticPairHead', hidden_channels=(8,)),
        )
    elif method == 'select_align':
        tiny_cfg.neck = dict(type='LastTap')
        tiny_cfg.roi_head.bbox_head.fc_out_channels = 16
        tiny_cfg.alignments = dict(
            select_align=dict(
                type='SelectAlignHead',
                num_regions=2,
                patch_size=8,
                classifier_channels=4,
            )
        )
    elif method == 'mtor':
        tiny_cfg.neck = dict(type='LastTap')
        tiny_cfg.alignments = dict(
            mtor=dict(type='ObjectRelationHead', num_regions=12, threshold=0.3)
        )
    elif method == 'distillation':
        tiny_cfg.alignments.teacher = dict(type='TeacherDistillation', score_thr=0.3)
    elif method == 'pseudo_labels':
        tiny_cfg.neck = dict(type='LastTap')
        tiny_cfg.alignments = dict(
            teacher=dict(
                type='PseudoLabelHead',
                score_thr=0.3,
                box_losses=True,
                weight_by_score=True,
            )
        )
    return tiny_cfg


@pytest.mark.slow
@pytest.mark.parametrize('method', METHODS)
@settings(common, max_examples=12)
@given(
    sizes=st.tuples(SIZES, SIZES),
    num_boxes=st.integers(0, 2),
    sees=st.sampled_from(['nothing', 'everything', 'as initialised']),
)
def test_detector(tiny_cfg, make_sample, method, sizes, num_boxes, sees):
    torch.manual_seed(0)
    detector = MODELS.build(detector_cfg(copy.deepcopy(tiny_cfg), method)).train()
    if sees != 'as initialised':
        bias = detector.roi_head.bbox_head.fc_cls.bias
        nn.init.constant_(bias, 0.0)
        with torch.no_grad():
            bias[-1] = 40.0 if sees == 'nothing' else -40.0
    teacher = copy.deepcopy(detector).requires_grad_(False).eval()
    detector.follow(teacher)
    inputs, samples = {}, {}
    least = max(term.min_image_size for term in detector.all_alignments.values())
    for branch, shapes in zip(('source', 'target'), sizes, strict=True):
        shapes = enlarged(shapes, least)
        batch_shape = tuple(max(side) for side in zip(*shapes, strict=True))
        inputs[branch] = torch.randn(len(shapes), 3, *batch_shape)
        samples[branch] = []
        for height, width in shapes:
            boxes = [[0, 0, width, height], [0, 0, width / 2, height]]
            samples[branch].append(
                make_sample(
                    (height, width),
                    batch_shape,
                    *(
                        (boxes[:num_boxes], [0, 1][:num_boxes])
                        if branch == 'source'
                        else ()
                    ),
                )
            )
    losses = detector.loss(inputs, samples)
    total, values = detector.parse_losses(losses)
    for name, value in values.items():
        assert value.isfinite(), name
    total.backward()
    for name, parameter in detector.named_parameters():
        if parameter.grad is not None:
            assert parameter.grad.isfinite().all(), name


@pytest.mark.slow
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('method', METHODS)
def test_detector_in_mixed_precision(tiny_cfg, make_batch, method, dtype):
    """As with ``train.py --amp``; boxes keep their places."""
    torch.manual_seed(0)
    detector = MODELS.build(detector_cfg(tiny_cfg, method)).train()
    teacher = copy.deepcopy(detector).requires_grad_(False).eval()
    detector.follow(teacher)
    boxes = []
    for module in detector.modules():
        if isinstance(module, RoIAlign):
            module.register_forward_pre_hook(lambda _, inputs: boxes.append(inputs))
    inputs, samples = make_batch()
    with torch.autocast('cpu', dtype):
        losses = detector.loss(inputs, samples)
        total, values = detector.parse_losses(losses)
    assert all(value.isfinite() for value in values.values())
    assert all(
        value.dtype == torch.float32 for key, value in losses.items() if '/loss' in key
    )
    assert {x.dtype for pair in boxes for x in pair} == {torch.float32}
    total.backward()
    for name, parameter in detector.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
