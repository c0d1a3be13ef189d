"""MTOR against its equations, region by region and pair by pair."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import Tensor

from mmdet_ifan.models import (
    DomainFeatures,
    IFANDetector,
    ObjectRelationHead,
    Proposals,
)

LOSSES = ('loss_region', 'loss_inter', 'loss_intra')


def regions(boxes: list[Tensor], probs: Tensor, vectors: Tensor) -> Proposals:
    """Pool boxes whose first number is that of their region."""
    rows = torch.cat(boxes)[:, 0].long()
    return Proposals(
        rows[:, None].expand(-1, 5),
        [len(box) for box in boxes],
        None,
        probs[rows].log(),
        None,
        vectors[rows],
    )


@pytest.fixture
def look(make_domain: Callable) -> Callable[..., DomainFeatures]:
    """Maker of a target in which teacher and detector see given regions.

    Each of ``teacher`` and ``student`` is probabilities and vectors of all
    regions; ``sizes`` is how many an image has.
    """

    def make(teacher: tuple, student: tuple, sizes: tuple) -> DomainFeatures:
        numbers = torch.arange(sum(sizes)).float()
        boxes = list(numbers[:, None].repeat(1, 4).split(sizes))
        shapes = [(32, 32)] * len(sizes)
        seen, taught = (
            make_domain(
                shapes,
                (32, 32),
                proposal_boxes=boxes,
                pool=lambda boxes, parts=parts: regions(boxes, *parts),
            )
            for parts in (student, teacher)
        )
        # The student's own proposals are not to be used.
        seen.proposal_boxes = None
        seen.teacher = taught
        return seen

    return make


def sure(*classes: int) -> Tensor:
    """Probabilities of regions that are surely of these of two classes."""
    probs = torch.full((len(classes), 3), 0.02)
    probs[range(len(classes)), list(classes)] = 0.96
    return probs


# The examples


@pytest.mark.parametrize(
    ('epoch', 'expected'),
    list(
        enumerate(
            (
                0.98,
                0.98578,
                0.98916,
                0.99156,
                0.99342,
                0.99494,
                0.99623,
                0.99734,
                0.99833,
                0.99921,
            )
        )
    ),
)
def test_threshold_grows_with_progress(look, epoch, expected):
    """Of ten epochs, from Cityscapes to Foggy Cityscapes."""
    head = ObjectRelationHead()
    head.progress = epoch / 10
    probs, vectors = sure(0).requires_grad_(), torch.ones(1, 2)
    target = look((probs.detach(), vectors), (probs, vectors), (1,))
    assert head.loss(None, target)['threshold'].item() == pytest.approx(
        expected, abs=5e-6
    )


def test_example_of_the_regions(look):
    """Of four, the first two count, with 0.065 and 0.095."""
    rest = [(0.05, 0.15, 0.80), (0.30, 0.30, 0.40)]
    teacher = torch.tensor([(0.90, 0.05, 0.05), (0.10, 0.85, 0.05), *rest])
    student = torch.tensor([(0.70, 0.20, 0.10), (0.20, 0.60, 0.20), *rest])
    vectors = torch.eye(4).requires_grad_()
    losses = ObjectRelationHead(threshold=0.6).loss(
        None, look((teacher, vectors.detach()), (student, vectors), (4,))
    )
    assert losses['loss_region'].item() == pytest.approx(0.08, abs=1e-6)
    assert losses['regions_kept'] == 2


TAUGHT, SEEN = [[1.0, 0], [0, 1], [1, 1]], [[1.0, 0], [1, 1], [0, 1]]


def test_example_of_the_graphs(look):
    head = ObjectRelationHead(threshold=0.6, inter_weight=1.0, intra_weight=1.0)
    probs = sure(0, 0, 1)
    losses = head.loss(
        None, look((probs, torch.tensor(TAUGHT)), (probs, torch.tensor(SEEN)), (3,))
    )
    assert losses['loss_inter'].item() == pytest.approx(0.222222, abs=1e-6)
    assert losses['loss_intra'].item() == pytest.approx(0.117157, abs=1e-6)
    assert losses['regions_kept'] == 3


@pytest.mark.parametrize(
    ('classes', 'seen'),
    [
        ((0,), [[3.0, 4]]),
        ((1, 1, 1), [[1.0, 2], [2, 4], [0.5, 1]]),
        # Whatever the others are, of one each.
        ((0, 1), [[1.0, 0], [0, 1]]),
    ],
)
def test_regions_of_one_direction_lose_nothing(look, classes, seen):
    probs, vectors = sure(*classes), torch.tensor(seen)
    losses = ObjectRelationHead(threshold=0.6).loss(
        None, look((probs, vectors.flip(1)), (probs, vectors), (len(classes),))
    )
    assert losses['loss_intra'].item() == pytest.approx(0, abs=1e-7)


# The equations


def expected_losses(
    teacher: tuple, student: tuple, sizes: list, number: int, threshold: float
) -> dict[str, Tensor]:
    """L_RLC, L_EGC and L_IGC, averaged over images, region by region."""

    def cosine(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()

    totals = dict.fromkeys(LOSSES, 0.0)
    first = 0
    for size in sizes:
        rows = range(first, first + min(size, number))
        first += size
        kept = [i for i in rows if max(teacher[0][i][:-1].tolist()) > threshold]
        label = {
            i: teacher[0][i][:-1].tolist().index(max(teacher[0][i][:-1])) for i in kept
        }
        n = len(kept)
        for i in kept:
            totals['loss_region'] += sum(
                (a - b) ** 2 for a, b in zip(teacher[0][i], student[0][i], strict=True)
            ) / (n * len(sizes))
        of_class = [(i, j) for i in kept for j in kept if label[i] == label[j]]
        for i in kept:
            for j in kept:
                gap = cosine(*teacher[1][[i, j]]) - cosine(*student[1][[i, j]])
                totals['loss_inter'] += gap**2 / (n * n * len(sizes))
        for i, j in of_class:
            totals['loss_intra'] += (1 - cosine(*student[1][[i, j]])) / (
                len(of_class) * len(sizes)
            )
    return totals


def test_equations_and_their_gradients(look):
    """Of three images; the second has no region, the third more than count."""
    sizes, number, progress = (8, 0, 12), 10, 0.3
    logits = torch.randn(2, 20, 3, dtype=torch.double) * 3
    vectors = torch.randn(2, 20, 6, dtype=torch.double) + 0.5
    parts = logits[1].requires_grad_(), vectors[1].requires_grad_()
    teacher = logits[0].softmax(1), vectors[0]
    student = parts[0].softmax(1), parts[1]
    threshold = 0.1 + 0.9 * math.log(1 + 10 * progress) / math.log(11)
    expected = expected_losses(teacher, student, sizes, number, threshold)
    head = ObjectRelationHead(
        number,
        0.1,
        region_weight=0.7,
        inter_weight=2.0,
        intra_weight=3.0,
        loss_weight=0.5,
    )
    head.progress = progress
    losses = head.loss(None, look(teacher, student, sizes))
    weights = dict(zip(LOSSES, (0.35, 1.0, 1.5), strict=True))
    for key, weight in weights.items():
        assert expected[key] > 0
        torch.testing.assert_close(losses[key], weight * expected[key])
        for found, right in zip(
            torch.autograd.grad(
                losses[key], parts, retain_graph=True, allow_unused=True
            ),
            torch.autograd.grad(
                weight * expected[key], parts, retain_graph=True, allow_unused=True
            ),
            strict=True,
        ):
            assert (found is None) == (right is None)
            if found is not None:
                torch.testing.assert_close(found, right)


def test_a_batch_is_the_mean_of_its_images(look):
    """So processes that share it out compute what one does."""
    sizes = (4, 6)
    teacher, student = (
        ((torch.randn(10, 3) * 3).softmax(1), torch.randn(10, 5).requires_grad_())
        for _ in range(2)
    )
    head = ObjectRelationHead(threshold=0.6)
    whole = head.loss(None, look(teacher, student, sizes))
    first, last = (
        head.loss(
            None,
            look(
                *([part[rows] for part in parts] for parts in (teacher, student)),
                (len(range(10)[rows]),),
            ),
        )
        for rows in (slice(4), slice(4, None))
    )
    for key in (*LOSSES, 'regions_kept'):
        torch.testing.assert_close(whole[key], (first[key] + last[key]) / 2)


def test_the_teacher_is_constant(look):
    teacher, student = (
        (sure(0, 0, 1).requires_grad_(), torch.randn(3, 4).requires_grad_())
        for _ in range(2)
    )
    losses = ObjectRelationHead(threshold=0.6).loss(None, look(teacher, student, (3,)))
    sum(losses[key] for key in LOSSES).backward()
    assert all(part.grad is None for part in teacher)
    assert all(part.grad.isfinite().all() for part in student)
    assert student[1].grad.any()


# Hard batches


@pytest.mark.parametrize('sizes', [(3, 2), (0, 0), (0, 5)])
def test_nothing_that_counts_is_0_and_in_the_graph(look, sizes):
    number = sum(sizes)
    probs = torch.full((number, 3), 1 / 3)
    logits = torch.zeros(number, 3).requires_grad_()
    vectors = torch.randn(number, 4).requires_grad_()
    losses = ObjectRelationHead(threshold=0.6).loss(
        None, look((probs, vectors.detach()), (logits.softmax(1), vectors), sizes)
    )
    assert losses['regions_kept'] == 0
    for key in LOSSES:
        assert losses[key] == 0
        assert losses[key].requires_grad
    sum(losses[key] for key in LOSSES).backward()
    assert not logits.grad.any() and not vectors.grad.any()


@pytest.mark.parametrize('length', [0.0, 1e-30, 1e-7])
def test_vectors_without_a_direction(look, length):
    """They are like nothing, and get no gradient."""
    probs = sure(0, 0)
    taught = torch.eye(2)
    seen = torch.tensor([[1.0, 0], [length, 0]]).requires_grad_()
    losses = ObjectRelationHead(threshold=0.6, inter_weight=1, intra_weight=1).loss(
        None, look((probs, taught), (probs, seen), (2,))
    )
    # Of four pairs, one lacks the 1 of the diagonal.
    assert losses['loss_inter'].item() == pytest.approx(1 / 4)
    assert losses['loss_intra'].item() == pytest.approx(3 / 4)
    (losses['loss_inter'] + losses['loss_intra']).backward()
    assert not seen.grad[1].any()
    assert seen.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision(look, dtype):
    """Cosines of half vectors are as exact as the vectors; losses are float32."""
    probs = [(torch.randn(40, 3) * 3).softmax(1) for _ in range(2)]
    vectors = [torch.randn(40, 64).abs().mul(1e3).to(dtype) for _ in range(2)]
    head = ObjectRelationHead(threshold=0.5)
    found, expected = (
        [
            (probs[i], vectors[i].to(kind, copy=True).requires_grad_(i == 1))
            for i in range(2)
        ]
        for kind in (dtype, torch.float32)
    )
    with torch.autocast('cpu', dtype):
        losses = head.loss(None, look(*found, (25, 15)))
    exact = head.loss(None, look(*expected, (25, 15)))
    for key in LOSSES:
        assert losses[key].dtype == torch.float32
        torch.testing.assert_close(losses[key], exact[key], rtol=1e-5, atol=1e-7)
    # The factor that a loss scaler starts with.
    for values in (losses, exact):
        (2**16 * (values['loss_inter'] + values['loss_intra'])).backward()
    mixed, single = found[1][1].grad.float(), expected[1][1].grad
    assert mixed.isfinite().all()
    assert 0 < (mixed - single).norm() < 0.02 * single.norm()


# In the detector


@pytest.fixture
def detector(tiny_cfg: ConfigDict) -> IFANDetector:
    """A detector that sees something everywhere."""
    tiny_cfg.neck = dict(type='LastTap')
    tiny_cfg.alignments = dict(
        mtor=dict(type='ObjectRelationHead', num_regions=12, threshold=0.2)
    )
    detector = MODELS.build(tiny_cfg).train()
    detector.init_weights()
    torch.nn.init.normal_(detector.roi_head.bbox_head.fc_cls.weight, std=0.3)
    return detector


@pytest.fixture
def teacher(detector: IFANDetector) -> IFANDetector:
    """What the detector follows: as yet, the same."""
    teacher = copy.deepcopy(detector).requires_grad_(False).eval()
    detector.follow(teacher)
    return teacher


def test_a_teacher_that_is_the_student_teaches_nothing(detector, teacher, make_batch):
    """Of the same view, bit for bit."""
    losses = detector.loss(*make_batch())
    assert losses['mtor/regions_kept'] > 1
    assert losses['mtor/loss_region'] == losses['mtor/loss_inter'] == 0
    assert losses['mtor/loss_intra'] > 0


@pytest.mark.parametrize('key', LOSSES)
def test_each_loss_reaches_the_backbone_from_target_alone(
    detector, teacher, make_batch, key
):
    with torch.no_grad():
        teacher.roi_head.bbox_head.fc_cls.weight.mul_(1.5)
        teacher.roi_head.bbox_head.shared_fcs[0].weight.mul_(-1)
    inputs, samples = make_batch()
    inputs = {branch: images.requires_grad_() for branch, images in inputs.items()}
    detector.loss(inputs, samples)[f'mtor/{key}'].backward()
    assert detector.backbone.conv1.weight.grad.any()
    assert inputs['target'].grad.any()
    assert inputs['source'].grad is None or not inputs['source'].grad.any()
    # The regression is not compared, and the teacher is constant.
    assert detector.roi_head.bbox_head.fc_reg.weight.grad is None
    assert all(p.grad is None for p in teacher.parameters())


def test_both_look_at_the_teachers_first_boxes(detector, teacher, make_batch):
    """The teacher proposes in its own view, the student sees them in its own."""
    torch.nn.init.normal_(teacher.rpn_head.rpn_cls.weight, std=1.0)
    inputs, samples = make_batch()
    inputs['target_teacher'] = inputs['target'].flip(1)
    samples['target_teacher'] = samples['target']
    pooled = {}
    for name, model in (('teacher', teacher), ('student', detector)):
        model.roi_head.bbox_roi_extractor.register_forward_pre_hook(
            lambda _, x, name=name: pooled.setdefault(name, []).append(x)
        )
    detector.loss(inputs, samples)
    (taught,) = pooled['teacher']
    # After those of the detection loss.
    seen = pooled['student'][-1]
    assert torch.equal(seen[1], taught[1])
    expected = DomainFeatures(
        teacher, inputs['target_teacher'], samples['target']
    ).proposal_boxes
    assert all(len(boxes) == 20 for boxes in expected)
    boxes = torch.cat([image[:12] for image in expected])
    assert torch.equal(taught[1][:, 1:], boxes)
    with torch.no_grad():
        assert torch.equal(taught[0][0], teacher.backbone(inputs['target_teacher'])[-1])
        assert torch.equal(seen[0][0], detector.backbone(inputs['target'])[-1])


def test_a_detector_without_a_teacher(detector, make_batch):
    with pytest.raises(
        ValueError, match="has none: add default_hooks=.*type='TeacherHook'"
    ):
        detector.loss(*make_batch())


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (dict(num_regions=0), 'num_regions must be >= 1, but is 0'),
        (dict(threshold=1), r'in \[0, 1\), but got 1'),
        (dict(threshold=-0.1), r'in \[0, 1\), but got -0.1'),
        (dict(inter_weight=-1), 'inter_weight of .* must be a finite number >= 0'),
        (dict(intra_weight=float('nan')), 'intra_weight of .* must be a finite'),
    ],
)
def test_refuses(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        ObjectRelationHead(**settings)
