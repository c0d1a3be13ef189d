"""Few-shot against its equations, pair by pair."""

import itertools
import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdet_ifan.models import (
    DomainFeatures,
    IFANDetector,
    Proposals,
    SemanticPairHead,
    SourceRegularization,
    SplitPoolingHead,
)
from mmdet_ifan.models.alignments.few_shot_heads import (
    Pairs,
    allowed_cells,
    both_kinds,
    draw_pairs,
    grid_cells,
    play,
    swapped_cross_entropy,
)
from mmdet_ifan.models.layers import domain_cross_entropy

DRAWN = torch.ones(2, dtype=torch.bool)


def mean(values: list) -> float:
    """Average; of nothing it is 0."""
    return sum(values) / max(1, len(values))


def shift(x: float, y: float) -> list[Tensor]:
    """A grid's first corner."""
    return [torch.tensor(x), torch.tensor(y)]


# Cells


def test_example_of_a_grid():
    boxes, inside = grid_cells((128, 256), (64, 64), shift(16.0, 40.0))
    assert boxes[inside].tolist() == [
        [16, 40, 80, 104],
        [80, 40, 144, 104],
        [144, 40, 208, 104],
    ]


@pytest.mark.parametrize(
    ('img_shape', 'scales', 'unshifted', 'least', 'average'),
    [
        (
            (600, 1200),
            (256, 160, 96),
            {(181, 362): 6, (256, 256): 8, (362, 181): 9}
            | {(113, 226): 20, (160, 160): 21, (226, 113): 25}
            | {(68, 136): 68, (96, 96): 72, (136, 68): 64},
            (7, 37, 152),
            (14.1, 52.5, 178.9),
        ),
        (
            (128, 256),
            (64, 40, 24),
            {(45, 91): 5, (64, 64): 8, (91, 45): 4}
            | {(28, 57): 18, (40, 40): 18, (57, 28): 16}
            | {(17, 34): 45, (24, 24): 50, (34, 17): 49},
            (4, 27, 100),
            None,
        ),
    ],
)
def test_numbers_of_cells(img_shape, scales, unshifted, least, average):
    head = SplitPoolingHead(4, (16,), scales)
    sizes = dict(zip(head.scales, head.sizes, strict=True))
    assert list(sizes) == list(scales)
    assert [size for scale in scales for size in sizes[scale]] == list(unshifted)
    height, width = img_shape

    def number(size, x, y):
        return int(grid_cells(img_shape, size, shift(float(x), float(y)))[1].sum())

    for scale, fewest, middling in zip(
        scales, least, average or (None,) * 3, strict=True
    ):
        for size in sizes[scale]:
            assert number(size, 0, 0) == unshifted[size]
            # The number is that of the columns times that of the rows.
            for x, y in ((0, 0), (size[0] // 2, size[1] // 3), (7, 11)):
                assert number(size, x, y) == ((width - x) // size[0]) * (
                    (height - y) // size[1]
                )
        assert sum(number((w, h), w - 1, h - 1) for w, h in sizes[scale]) == fewest
        if middling:
            exact = sum(
                mean([(width - x) // w for x in range(w)])
                * mean([(height - y) // h for y in range(h)])
                for w, h in sizes[scale]
            )
            assert exact == pytest.approx(middling, abs=0.05)


def test_shifts_are_whole_pixels_below_a_cell(make_domain):
    head = SplitPoolingHead(1, (16,), (24,), (5,), ratios=(1.0,))
    corners = set()
    for _ in range(200):
        domain = make_domain([(100, 90)], (112, 96), taps=[torch.zeros(1, 1, 7, 6)])
        rois, _ = head._cells(domain, head.sizes[0])
        corners.add((rois[0, 1].item(), rois[0, 2].item()))
    for axis in (0, 1):
        found = {corner[axis] for corner in corners}
        assert found == set(map(float, range(24)))
    assert len(corners) > 100


def test_cells_lie_in_the_image_and_not_in_its_padding(make_domain):
    head = SplitPoolingHead(1, (16,), (24, 8), (5, 5))
    shapes = [(50, 90), (112, 40)]
    domain = make_domain(shapes, (112, 96), taps=[torch.zeros(2, 1, 7, 6)])
    for sizes in head.sizes:
        rois, inside = head._cells(domain, sizes)
        assert inside.any() and not inside.all()
        for image, *box in rois[inside].tolist():
            height, width = shapes[int(image)]
            assert 0 <= box[0] < box[2] <= width
            assert 0 <= box[1] < box[3] <= height
            assert (round(box[2] - box[0]), round(box[3] - box[1])) in sizes


def test_a_cell_is_the_average_of_its_features(make_domain):
    """Pooled (cells, channels), each from a grid of 4 x 4 samples."""
    head = SplitPoolingHead(2, (4, 16))
    rows = torch.arange(8.0)[:, None].expand(8, 16)
    level = torch.stack([rows, 3 * rows.T[:8, :8].repeat(1, 2)])[None]
    rois = torch.tensor([[0, 16.0, 40, 80, 104], [0, 80, 40, 144, 104]])
    pooled = head._pool(level, rois)
    assert pooled.shape == (2, 2)
    # Bilinear, so the average of a ramp is its value at the centre.
    assert pooled[:, 0].tolist() == pytest.approx([(40 + 104) / 2 / 16 - 0.5] * 2)


# Pairs


def test_pairs_of_the_example():
    """Cells 5 and 4 of source images, 3 of a target image."""
    rois = (
        torch.tensor([0.0] * 5 + [1.0] * 4)[:, None].expand(9, 5),
        torch.zeros(3, 5),
    )
    inside = (torch.ones(9).bool(), torch.ones(3).bool())
    same, cross = allowed_cells(rois, inside, num_source=2)
    assert same.sum() == 20
    assert not same[:, :5].any() and not same[5:].any()
    assert cross.sum() == 15
    assert not cross[5:].any()
    # What does not count is in no pair.
    inside = (torch.arange(9) > 0, torch.arange(3) > 1)
    same, cross = allowed_cells(rois, inside, num_source=2)
    assert same.sum() == 4 * 4 and not same[0].any()
    assert cross.sum() == 4 and not cross[:, :2].any()


@pytest.mark.parametrize('num_source', [2, 3])
def test_each_target_image_has_one_source_image(num_source):
    """And every two source images are paired, the earlier one first."""
    rois = tuple(torch.arange(n)[:, None].expand(n, 5) for n in (num_source, 5))
    inside = tuple(torch.ones(len(part)).bool() for part in rois)
    same, cross = allowed_cells(rois, inside, num_source)
    assert same.nonzero().tolist() == [
        list(pair) for pair in itertools.combinations(range(num_source), 2)
    ]
    assert sorted(cross.nonzero().tolist(), key=lambda pair: pair[1]) == [
        [j % num_source, j] for j in range(5)
    ]


def test_all_pairs_if_there_are_no_more():
    allowed = torch.rand(7, 5) < 0.4
    pairs = draw_pairs(allowed, 100)
    found = torch.stack([pairs.first, pairs.second], 1)[pairs.drawn].tolist()
    assert sorted(found) == allowed.nonzero().tolist()
    assert len(pairs.first) == 35


def test_so_many_pairs_without_repetition_and_all_alike():
    allowed = torch.zeros(2, 6, 4, dtype=torch.bool)
    allowed[0, :3], allowed[1, 5, 1:3] = True, True
    times = torch.zeros(2, 6, 4)
    for _ in range(600):
        pairs = draw_pairs(allowed, 4)
        assert pairs.drawn.sum(1).tolist() == [4, 2]
        for i in range(2):
            chosen = list(
                zip(
                    pairs.first[i][pairs.drawn[i]].tolist(),
                    pairs.second[i][pairs.drawn[i]].tolist(),
                    strict=True,
                )
            )
            assert len(set(chosen)) == len(chosen)
            for a, b in chosen:
                times[i, a, b] += 1
    assert not times[~allowed].any()
    # A third of 12 pairs, each time; both of two.
    assert (times[0, :3] / 600 - 4 / 12).abs().max() < 0.1
    assert (times[1, 5, 1:3] == 600).all()


@pytest.mark.parametrize('shape', [(0, 3), (3, 0), (2, 0, 0)])
def test_pairs_of_nothing(shape):
    pairs = draw_pairs(torch.ones(shape).bool(), 4)
    assert all(part.shape == (*shape[:-2], 0) for part in pairs)


def test_a_kind_alone_counts_nothing():
    def kind(*drawn: Sequence[int]) -> Pairs:
        return Pairs(None, None, torch.tensor(drawn).bool())

    same, cross = both_kinds(
        kind([1, 0], [1, 1], [0, 0], [0, 0]), kind([0, 1], [0, 0], [1, 0], [0, 0])
    )
    assert same.drawn.tolist() == [[True, False]] + [[False] * 2] * 3
    assert cross.drawn.tolist() == [[False, True]] + [[False] * 2] * 3


# The examples of the losses, with a classifier that gives fixed answers


class Answers(nn.Module):
    """Gives the outputs that the pairs hold."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.anchor


def image_level(logits: Tensor, kind: int) -> Tensor:
    """The cross-entropy of the image level."""
    return domain_cross_entropy(logits[..., 0], 1 - kind)


def test_example_of_the_image_level():
    vectors = [
        torch.tensor(probs)[:, None].logit() for probs in ([0.8, 0.6], [0.3, 0.1])
    ]
    _, classifier, detector = play(Answers(), vectors, [DRAWN, DRAWN], image_level)
    assert classifier.item() == pytest.approx(0.366985 + 0.231018, abs=2e-6)
    assert detector.item() == pytest.approx(3.016143, abs=2e-6)
    # What was not drawn counts nothing.
    _, classifier, _ = play(
        Answers(),
        vectors,
        [torch.tensor([True, False]), torch.tensor([False, True])],
        image_level,
    )
    assert classifier.item() == pytest.approx(-math.log(0.8) - math.log(0.9))


def test_no_probability_is_too_sure():
    """A logarithm of 1 - D would be that of 0."""
    vectors = [torch.tensor([[200.0]]), torch.tensor([[-200.0]])]
    for value in play(Answers(), vectors, [DRAWN[:1]] * 2, image_level)[1:]:
        assert value.isfinite()


#: A source-source pair of class 0, a source-target pair of class 1.
PAIR_LOGITS = (
    torch.tensor([[[2.0, 0, 1, 0]], [[0.0, 0, 0, 0]]]),
    torch.tensor([[[0.0, 0, 0, 0]], [[0.0, 1, 0, 3]]]),
)
PAIR_DRAWN = (torch.tensor([[True], [False]]), torch.tensor([[False], [True]]))


def test_example_of_the_instance_level():
    _, classifier, detector = play(
        Answers(), PAIR_LOGITS, PAIR_DRAWN, swapped_cross_entropy
    )
    assert classifier.item() == pytest.approx(0.704809, abs=2e-6)
    assert detector.item() == pytest.approx(5.704809, abs=2e-6)


def test_swapping_stays_in_the_class():
    """Where reversal would raise another class most."""
    logits = [part.clone().requires_grad_() for part in PAIR_LOGITS]
    _, _, detector = play(Answers(), logits, PAIR_DRAWN, swapped_cross_entropy)
    gradient = torch.autograd.grad(detector, logits)[0][0, 0]
    assert gradient.tolist() == pytest.approx([0.610, -0.917, 0.225, 0.083], abs=5e-4)
    # What reversal would do.
    (first,) = torch.autograd.grad(
        swapped_cross_entropy(logits[0], 0)[0, 0], [logits[0]]
    )
    assert (-first[0, 0]).tolist() == pytest.approx(
        [0.390, -0.083, -0.225, -0.083], abs=5e-4
    )


def test_examples_of_the_regularisation(make_domain):
    """A position of 16 px; differences squared and summed (4, 0; 1, 2)."""
    kept = torch.randn(1, 2, 2, 2)
    difference = torch.tensor([[[2.0, 0], [1, 1]], [[0.0, 0], [0, 1]]])[None]
    assert difference.square().sum(dim=1).tolist() == [[[4, 0], [1, 2]]]

    def loss(bboxes: list) -> float:
        domain = make_domain([(32, 32)], (32, 32), taps=[kept + difference])
        domain.teacher = SimpleNamespace(taps=[kept])
        domain.data_samples[0].gt_instances = InstanceData(
            bboxes=torch.tensor(bboxes).float().reshape(-1, 4)
        )
        return SourceRegularization().loss(domain, None)['loss'].item()

    left = [0, 0, 16, 32]
    assert loss([left]) == pytest.approx(2.5 / 2, abs=1e-6) == 1.25
    assert loss([]) == 0
    assert loss([[0, 0, 32, 32]]) == pytest.approx(1.75 / 2, abs=1e-6)
    # Boxes that overlap, or that hold no centre.
    assert loss([left, [0, 0, 12, 30], [17, 0, 23, 32]]) == pytest.approx(1.25)


# The terms as wholes


def linear(classifier: nn.Sequential, x: Tensor) -> Tensor:
    """A classifier's outputs for one pair, from the weights."""
    layers = [layer for layer in classifier if isinstance(layer, nn.Linear)]
    for i, layer in enumerate(layers):
        x = layer.weight @ x + layer.bias
        if i < len(layers) - 1:
            x = x.clamp(min=0)
    return x


@pytest.fixture
def maps(make_domain: Callable) -> tuple[DomainFeatures, DomainFeatures]:
    """Two source images and three of target, with a last tap of stride 16."""

    def make(shapes: list) -> DomainFeatures:
        tap = torch.randn(len(shapes), 3, 4, 6).requires_grad_()
        return make_domain(shapes, (64, 96), taps=[None, tap])

    return make([(60, 90), (64, 70)]), make([(50, 96), (64, 64), (40, 90)])


@pytest.fixture
def split(spread: Callable) -> SplitPoolingHead:
    """Draws every pair of its two scales."""
    head = SplitPoolingHead(
        3,
        (8, 16),
        scales=(32, 20),
        max_pairs=(10**5, 10**5),
        hidden_channels=(5, 4),
        loss_weight=0.3,
        grl_weight=0.7,
    )
    spread(head)
    return head


def test_equations_of_the_image_level(maps, split, monkeypatch):
    laid = []

    def kept(domain: DomainFeatures, sizes: list) -> tuple:
        laid.append((domain, *SplitPoolingHead._cells(split, domain, sizes)))
        return laid[-1][1:]

    monkeypatch.setattr(split, '_cells', kept)
    losses = split.loss(*maps)
    classifiers = detector = same = cross = 0
    assert len(laid) == 4
    for i, classifier in enumerate(split.classifiers):
        cells = []
        for domain, rois, inside in laid[2 * i : 2 * i + 2]:
            cells.append({n: [] for n in range(len(domain.data_samples))})
            vectors = split._pool(domain.taps[-1], rois)
            for roi, ok, vector in zip(rois, inside, vectors, strict=True):
                if ok:
                    cells[-1][int(roi[0])].append(vector)
        assert laid[2 * i][0] is maps[0] and laid[2 * i + 1][0] is maps[1]

        def probability(a: Tensor, b: Tensor, classifier=classifier) -> float:
            return linear(classifier, torch.cat([a, b])).sigmoid().item()

        g1 = [probability(a, b) for a in cells[0][0] for b in cells[0][1]]
        g2 = [
            probability(a, b)
            for j, partners in cells[1].items()
            for a in cells[0][j % 2]
            for b in partners
        ]
        assert g1 and g2
        classifiers += -mean([math.log(d) for d in g1]) - mean(
            [math.log(1 - d) for d in g2]
        )
        detector += -mean([math.log(1 - d) for d in g1]) - mean(
            [math.log(d) for d in g2]
        )
        right = (mean([d > 0.5 for d in g1]) + mean([d <= 0.5 for d in g2])) / 2
        accuracy = losses[f'accuracy_{(32, 20)[i]}'].item()
        assert accuracy == pytest.approx(100 * right, abs=1e-3)
        same, cross = same + len(g1), cross + len(g2)
    assert losses['loss_classifiers'].item() == pytest.approx(0.3 * classifiers, 1e-5)
    assert losses['loss_detector'].item() == pytest.approx(0.3 * 0.7 * detector, 1e-5)
    assert (losses['pairs_same'], losses['pairs_cross']) == (same, cross)


def test_no_more_pairs_than_asked_for(maps):
    head = SplitPoolingHead(3, (8, 16), scales=(32, 20), max_pairs=(2, 3))
    losses = head.loss(*maps)
    assert losses['pairs_same'] == losses['pairs_cross'] == 2 + 3


#: Source: image and class of each proposal; None is no object.
OBJECTS = [(0, 1), (0, 0), (0, None), (1, 1), (1, 1), (1, 2)]
#: Class of each target object, one list an image.
PREDICTED = [[1, 2], [], [1, 0]]


def objects_of(make_domain: Callable) -> tuple[DomainFeatures, DomainFeatures]:
    """Domains with these objects."""
    boxes = {i: [10.0 * i, 5, 10.0 * i + 8, 13] for i, (_, label) in enumerate(OBJECTS)}
    source = make_domain(
        [(30, 70)] * 2,
        (30, 70),
        proposals=Proposals(
            torch.tensor([[image, *boxes[i]] for i, (image, _) in enumerate(OBJECTS)]),
            [3, 3],
            None,
            torch.zeros(6, 3 + 1),
            None,
            torch.randn(6, 4).requires_grad_(),
        ),
    )
    for n, sample in enumerate(source.data_samples):
        truth = [
            (boxes[i], label)
            for i, (image, label) in enumerate(OBJECTS)
            if image == n and label is not None
        ]
        # One that no proposal overlaps by 0.7.
        truth.append(([22.0, 5, 30, 13], 2))
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([box for box, _ in truth]),
            labels=torch.tensor([label for _, label in truth]),
        )
    target = make_domain([(30, 70)] * 3, (30, 70))
    found = [
        InstanceData(
            bboxes=torch.rand(len(labels), 4), labels=torch.tensor(labels).long()
        )
        for labels in PREDICTED
    ]
    target.detect = lambda cfg: found
    vectors = torch.randn(4, 4).requires_grad_()

    def pool(asked: list[Tensor]) -> Proposals:
        assert all(a is b.bboxes for a, b in zip(asked, found, strict=True))
        return Proposals(None, [2, 0, 2], None, None, None, vectors)

    target.pool = pool
    target.vectors = vectors
    return source, target


@pytest.fixture
def semantic(spread: Callable) -> SemanticPairHead:
    """For three classes."""
    head = SemanticPairHead(
        4, 3, hidden_channels=(6, 5), loss_weight=0.3, grl_weight=0.7
    )
    spread(head)
    return head


def test_equations_of_the_instance_level(make_domain, semantic):
    source, target = objects_of(make_domain)
    losses = semantic.loss(source, target)
    ours, theirs = source.proposals.vectors, target.vectors
    predicted = [label for image in PREDICTED for label in image]
    classifier = detector = 0
    numbers, right = [0, 0], [[], []]
    for c in range(3):
        kinds = (
            [
                (ours[i], ours[j])
                for i, (image, a) in enumerate(OBJECTS)
                for j, (other, b) in enumerate(OBJECTS)
                if a == b == c and image < other
            ],
            [
                (ours[i], theirs[j])
                for i, (_, a) in enumerate(OBJECTS)
                for j, b in enumerate(predicted)
                if a == b == c
            ],
        )
        # Classes 0 and 2 have one source object each.
        assert all(kinds) == (c == 1)
        if not all(kinds):
            continue
        for kind, pairs in enumerate(kinds):
            # Of the class's two kinds: the true one and the other.
            probs = [
                linear(semantic.classifier, torch.cat(pair))
                .softmax(0)[[2 * c + kind, 2 * c + 1 - kind]]
                .tolist()
                for pair in pairs
            ]
            classifier -= mean([math.log(own) for own, _ in probs])
            detector -= mean([math.log(other) for _, other in probs])
            numbers[kind] += len(pairs)
            right[kind] += [own > other for own, other in probs]
    assert numbers == [2, 6]
    assert losses['loss_classifier'].item() == pytest.approx(0.3 * classifier, 1e-5)
    assert losses['loss_detector'].item() == pytest.approx(0.3 * 0.7 * detector, 1e-5)
    assert losses['accuracy'].item() == pytest.approx(50 * sum(map(mean, right)))
    assert [losses[f'pairs_{kind}'] for kind in ('same', 'cross')] == numbers
    assert losses['objects_source'] == 5
    assert losses['objects_target'] == 4


def test_an_object_overlaps_its_box_enough(make_domain, semantic):
    """And has the class of the box that it overlaps most."""
    box = [0.0, 0, 10, 10]
    source = make_domain(
        [(30, 30)],
        (30, 30),
        proposals=Proposals(
            torch.tensor([[0, 0.0, 0, 10, 7], [0, 0, 0, 10, 6.9], [0, 0, 0, 10, 9]]),
            [3],
            None,
            None,
            None,
            None,
        ),
    )
    source.data_samples[0].gt_instances = InstanceData(
        bboxes=torch.tensor([[0.0, 0, 10, 8.9], box]), labels=torch.tensor([2, 1])
    )
    labels, is_object = semantic._source_labels(source)
    assert labels[is_object].tolist() == [2, 2, 2]
    source.data_samples[0].gt_instances = InstanceData(
        bboxes=torch.tensor([box]), labels=torch.tensor([1])
    )
    labels, is_object = semantic._source_labels(source)
    assert is_object.tolist() == [True, False, True]
    assert labels.tolist() == [1, 1, 1]


def test_published_sizes():
    """C, 2C and 2C of the last tap, the vectors, the classes."""
    widths = [
        [layer.in_features, layer.out_features]
        for layer in SplitPoolingHead(512, (16,)).classifiers[2]
        if isinstance(layer, nn.Linear)
    ]
    assert widths == [[1024, 512], [512, 128], [128, 1]]
    widths = [
        [layer.in_features, layer.out_features]
        for layer in SemanticPairHead(4096, 8).classifier
        if isinstance(layer, nn.Linear)
    ]
    assert widths == [[8192, 1024], [1024, 1024], [1024, 16]]


# Who learns from which loss


@pytest.fixture
def cfg(tiny_cfg: ConfigDict) -> ConfigDict:
    """The tiny detector; everything that it sees in target is an object."""
    tiny_cfg.neck = dict(type='LastTap')
    tiny_cfg.alignments = dict(
        split_pooling=dict(type='SplitPoolingHead', scales=(24, 16), max_pairs=(9, 9)),
        semantic_pairs=dict(
            type='SemanticPairHead',
            hidden_channels=(8,),
            object_cfg=dict(
                score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=9
            ),
        ),
    )
    return tiny_cfg


@pytest.fixture
def batch(make_batch: Callable) -> tuple:
    """A batch whose source images have a class in common."""
    inputs, samples = make_batch()
    samples['source'][1].gt_instances.labels[:] = 1
    return inputs, samples


@pytest.fixture
def detector(cfg: ConfigDict) -> IFANDetector:
    """The tiny detector, in training."""
    detector = MODELS.build(cfg).train()
    # It sees the source's common class in target.
    with torch.no_grad():
        detector.roi_head.bbox_head.fc_cls.bias[1] = 9.0
    return detector


def test_each_side_learns_from_its_own_loss(detector, batch):
    losses = detector.loss(*batch)
    parts = dict(
        split=detector.alignments.split_pooling,
        semantic=detector.alignments.semantic_pairs,
        backbone=detector.backbone,
        shared=detector.roi_head.bbox_head.shared_fcs,
        rpn=detector.rpn_head,
        scores=detector.roi_head.bbox_head.fc_cls,
    )
    for name, expected in {
        'split_pooling/loss_classifiers': {'split'},
        'split_pooling/loss_detector': {'backbone'},
        'semantic_pairs/loss_classifier': {'semantic'},
        'semantic_pairs/loss_detector': {'backbone', 'shared'},
    }.items():
        detector.zero_grad()
        losses[name].backward(retain_graph=True)
        learners = {
            part
            for part, module in parts.items()
            if any(p.grad is not None and p.grad.any() for p in module.parameters())
        }
        assert learners == expected, name
    assert losses['semantic_pairs/pairs_same'] > 0
    assert losses['split_pooling/pairs_cross'] > 0


@pytest.mark.parametrize('domain', [0, 1])
def test_the_detector_learns_from_both_domains(
    make_domain, maps, split, semantic, domain
):
    tap = maps[domain].taps[-1]
    (gradient,) = torch.autograd.grad(split.loss(*maps)['loss_detector'], tap)
    assert gradient.flatten(1).any(dim=1).all()
    domains = objects_of(make_domain)
    vectors = (domains[0].proposals.vectors, domains[1].vectors)[domain]
    (gradient,) = torch.autograd.grad(semantic.loss(*domains)['loss_detector'], vectors)
    # Those of class 1, which alone is in two source images and in target.
    labels = ([c for _, c in OBJECTS], sum(PREDICTED, []))[domain]
    assert gradient.any(dim=1).tolist() == [label == 1 for label in labels]


def test_a_step_makes_the_kinds_look_more_alike(make_domain, semantic):
    source, target = objects_of(make_domain)
    before = semantic.loss(source, target)['loss_detector']
    before.backward()
    with torch.no_grad():
        for vectors in (source.proposals.vectors, target.vectors):
            vectors -= 0.1 * vectors.grad / vectors.grad.norm()
    assert semantic.loss(source, target)['loss_detector'] < before


def test_pairs_are_those_of_the_random_state(detector, batch):
    """So a resumed run draws what the uninterrupted one does."""
    split = detector.alignments.split_pooling
    values = []
    for seed in (1, 1, 2):
        source, target = (
            DomainFeatures(detector, batch[0][name], batch[1][name])
            for name in ('source', 'target')
        )
        torch.manual_seed(seed)
        values.append(split.loss(source, target)['loss_detector'].item())
    assert values[0] == values[1] != values[2]


# Poor batches and bad settings


def test_one_source_image_counts_nothing_and_stays_in_the_graph(
    make_domain, split, semantic
):
    tap = torch.randn(1, 3, 4, 6).requires_grad_()
    domains = [make_domain([(64, 96)], (64, 96), taps=[tap]) for _ in range(2)]
    losses = split.loss(*domains)
    assert losses['pairs_same'] == losses['pairs_cross'] == 0
    assert losses['accuracy_32'] == 50
    total = losses['loss_classifiers'] + losses['loss_detector']
    assert total == 0
    total.backward()
    assert all(p.grad is not None and not p.grad.any() for p in split.parameters())
    assert not tap.grad.any()


def test_an_image_smaller_than_every_cell(make_domain, split):
    domains = [
        make_domain(
            [(5, 5)] * 2, (16, 16), taps=[torch.randn(2, 3, 1, 1).requires_grad_()]
        )
        for _ in range(2)
    ]
    losses = split.checked_loss(*domains)
    total = losses['loss_classifiers'] + losses['loss_detector']
    assert total == 0
    total.backward()
    assert all(p.grad is not None for p in split.parameters())


def test_no_object_at_all(detector, batch):
    detector.alignments.semantic_pairs.object_cfg.score_thr = 1.0
    losses = detector.loss(*batch)
    assert losses['semantic_pairs/objects_target'] == 0
    assert losses['semantic_pairs/objects_source'] > 0
    assert losses['semantic_pairs/accuracy'] == 50
    total = losses['semantic_pairs/loss_classifier']
    total = total + losses['semantic_pairs/loss_detector']
    assert total == 0
    total.backward()
    for parameter in detector.alignments.semantic_pairs.parameters():
        assert parameter.grad is not None and not parameter.grad.any()


def test_source_images_without_boxes(detector, batch):
    for sample in batch[1]['source']:
        sample.gt_instances = sample.gt_instances[:0]
    losses = detector.loss(*batch)
    assert losses['semantic_pairs/objects_source'] == 0
    assert losses['semantic_pairs/loss_detector'] == 0


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (dict(scales=(9, 0)), r'scales .* positive numbers.* got \(9, 0\)'),
        (dict(ratios=()), r'ratios .* at least one, but got \(\)'),
        (dict(max_pairs=(1, -1, 2)), r'max_pairs .* got \(1, -1, 2\)'),
        (dict(max_pairs=(4,)), 'max_pairs for each of its 3 scales, but got 1'),
    ],
)
def test_bad_settings_of_the_image_level(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        SplitPoolingHead(4, (16,), **settings)


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (dict(max_pairs=0), 'max_pairs .* >= 1, but is 0'),
        (dict(pos_iou_thr=0), r'pos_iou_thr .* \(0, 1\], but is 0'),
        (dict(pos_iou_thr=1.1), 'but is 1.1'),
    ],
)
def test_bad_settings_of_the_instance_level(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        SemanticPairHead(4, 2, **settings)


def test_regularisation_without_a_source_detector(make_domain):
    domain = make_domain([(8, 8)], (8, 8))
    domain.teacher = None
    with pytest.raises(ValueError, match='FrozenTeacherHook'):
        SourceRegularization().loss(domain, domain)
