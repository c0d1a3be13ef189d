"""Category-correlation alignment (Eq. 6) against loops over pairs."""

import copy
import math
from collections.abc import Callable, Sequence
from itertools import combinations
from unittest.mock import MagicMock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.ops import RoIAlign
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdet_ifan.models import CorrelationMetricHead, DomainFeatures

CHANNELS, STRIDES = (2, 3, 2, 4), (4, 8, 16, 16)
EMBED, ROI_SIZE = 5, 3


def losses_of(
    head: CorrelationMetricHead,
    source: tuple[Tensor, Sequence],
    target: tuple[Tensor, Sequence],
) -> dict[str, Tensor]:
    """Compute the losses of given embeddings and labels."""
    head._embed_objects = lambda domain: (
        domain[0],
        torch.tensor(domain[1], dtype=torch.long),
    )
    return head.loss(source, target)


def looped_losses(
    source: tuple[list, list], target: tuple[list, list], margin: float
) -> tuple[float, float, int, int]:
    """Compute both terms of Eq. 6, and count their pairs, by loops."""
    objects = [(embed, label, 'source') for embed, label in zip(*source, strict=True)]
    objects += [(embed, label, 'target') for embed, label in zip(*target, strict=True)]
    sddc, ddsc = [], []
    for (a, a_label, a_domain), (b, b_label, b_domain) in combinations(objects, 2):
        distance = math.dist(a, b)
        if a_domain == b_domain and a_label != b_label:
            sddc.append(distance**2)
        if a_domain != b_domain and a_label == b_label:
            ddsc.append(max(0.0, margin - distance) ** 2)
    return (
        sum(sddc) / max(1, len(sddc)),
        sum(ddsc) / max(1, len(ddsc)),
        len(sddc),
        len(ddsc),
    )


def roi_align(tap: Tensor, box: Sequence[float], stride: int) -> Tensor:
    """Pool a box from a map (C, H, W), sample by sample.

    Values sit at cell centres, each bin has 2 x 2 samples, and the map keeps
    its border values beyond the outer centres.
    """
    channels, height, width = tap.shape
    x1, y1, x2, y2 = box

    def value(x: float, y: float) -> Tensor:
        x = min(max(x / stride - 0.5, 0), width - 1)
        y = min(max(y / stride - 0.5, 0), height - 1)
        left, top = int(x), int(y)
        right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
        dx, dy = x - left, y - top
        return (1 - dy) * (
            (1 - dx) * tap[:, top, left] + dx * tap[:, top, right]
        ) + dy * ((1 - dx) * tap[:, bottom, left] + dx * tap[:, bottom, right])

    pooled = torch.zeros(channels, ROI_SIZE, ROI_SIZE)
    for row in range(ROI_SIZE):
        for column in range(ROI_SIZE):
            pooled[:, row, column] = (
                sum(
                    value(
                        x1 + (x2 - x1) * (column + sx) / ROI_SIZE,
                        y1 + (y2 - y1) * (row + sy) / ROI_SIZE,
                    )
                    for sx in (0.25, 0.75)
                    for sy in (0.25, 0.75)
                )
                / 4
            )
    return pooled


@pytest.fixture
def make_head() -> Callable[..., CorrelationMetricHead]:
    """Make small heads with the same weights."""

    def make(**kwargs: object) -> CorrelationMetricHead:
        torch.manual_seed(5)
        return CorrelationMetricHead(
            CHANNELS, STRIDES, embed_channels=EMBED, roi_size=ROI_SIZE, **kwargs
        )

    return make


@pytest.fixture
def make_objects(make_domain) -> Callable[..., DomainFeatures]:
    """Make a domain with random taps and the given predicted objects.

    Each image's objects are a list of (label, box).
    """

    def make(
        *images: Sequence[tuple[int, Sequence[float]]],
        batch_shape: tuple[int, int] = (64, 96),
    ) -> DomainFeatures:
        taps = tuple(
            torch.randn(
                len(images),
                channels,
                batch_shape[0] // stride,
                batch_shape[1] // stride,
                requires_grad=True,
            )
            for channels, stride in zip(CHANNELS, STRIDES, strict=True)
        )
        objects = [
            InstanceData(
                bboxes=torch.tensor(
                    [box for _, box in image], dtype=torch.float
                ).reshape(-1, 4),
                labels=torch.tensor([label for label, _ in image], dtype=torch.long),
            )
            for image in images
        ]
        return make_domain(
            [batch_shape] * len(images),
            batch_shape,
            taps=taps,
            detect=MagicMock(return_value=objects),
        )

    return make


@pytest.fixture
def domains(make_objects) -> tuple[DomainFeatures, DomainFeatures]:
    """Make two source images, the first empty, and two target images."""
    source = make_objects([], [(0, (10, 8, 40, 30)), (1, (50.5, 20, 90, 60.2))])
    target = make_objects(
        [(1, (0, 0, 30, 20)), (0, (60, 30, 96, 64))], [(2, (5, 5, 21, 50))]
    )
    return source, target


# The pairs


@given(
    objects=st.tuples(
        *[
            st.lists(
                st.tuples(
                    st.integers(0, 2), st.tuples(*[st.floats(-2, 2, width=16)] * 2)
                ),
                max_size=6,
            )
        ]
        * 2
    ),
    margin=st.sampled_from([0.5, 1.0, 3.0]),
)
@settings(max_examples=60, deadline=None)
def test_equals_loops_over_pairs(objects, margin):
    head = CorrelationMetricHead(
        CHANNELS,
        STRIDES,
        embed_channels=2,
        roi_size=1,
        margin=margin,
        normalize=False,
        loss_weight=0.5,
    )
    parts = [
        ([embed for _, embed in domain], [label for label, _ in domain])
        for domain in objects
    ]
    losses = losses_of(
        head,
        *[
            (torch.tensor(embeds, dtype=torch.float64).reshape(-1, 2), labels)
            for embeds, labels in parts
        ],
    )
    pull, push, num_pull, num_push = looped_losses(*parts, margin)
    # Where two objects coincide, the safe distance is off by a millionth.
    assert losses['loss_sddc'].item() == pytest.approx(0.5 * pull, abs=1e-6)
    assert losses['loss_ddsc'].item() == pytest.approx(0.5 * push, rel=1e-5, abs=1e-6)
    assert losses['pairs_sddc'].item() == num_pull
    assert losses['pairs_ddsc'].item() == num_push
    assert losses['objects_source'].item() == len(objects[0])
    assert losses['objects_target'].item() == len(objects[1])


def test_hand_worked_distances(make_head):
    head = make_head(loss_weight=1.0)
    losses = losses_of(
        head,
        # Two categories 5 apart: the one sddc pair of source.
        (torch.tensor([[0.0, 0.0], [3.0, 4.0]]), [0, 1]),
        # Both of category 0, at .6 and 2 from source's: one inside the
        # margin, one outside.
        (torch.tensor([[0.0, 0.6], [2.0, 0.0]]), [0, 0]),
    )
    assert losses['loss_sddc'].item() == pytest.approx(25)
    assert losses['loss_ddsc'].item() == pytest.approx((0.4**2 + 0) / 2)
    assert {k: v.item() for k, v in losses.items() if 'loss' not in k} == dict(
        objects_source=2, objects_target=2, pairs_sddc=1, pairs_ddsc=2
    )


@pytest.mark.parametrize(
    ('labels', 'empty'),
    [
        (((0, 0), (0, 0)), ['loss_sddc']),
        (((0, 1), (2, 3)), ['loss_ddsc']),
        (((0, 1), ()), ['loss_ddsc']),
        (((0,), (0,)), ['loss_sddc']),
        (((0, 0), ()), ['loss_sddc', 'loss_ddsc']),
        (((), ()), ['loss_sddc', 'loss_ddsc']),
    ],
)
def test_empty_groups_are_zero_in_the_graph(make_head, labels, empty):
    # Close together, well inside the margin.
    embeds = [torch.rand(len(domain), 4).mul(0.1).requires_grad_() for domain in labels]
    head = make_head()
    losses = losses_of(head, *zip(embeds, labels, strict=True))
    assert [
        key for key in ('loss_sddc', 'loss_ddsc') if losses[key].item() == 0
    ] == empty
    for key in empty:
        grads = torch.autograd.grad(losses[key], embeds, retain_graph=True)
        assert not any(grad.any() for grad in grads)


def test_coinciding_embeddings_have_finite_gradients(make_head):
    embeds = [
        torch.zeros(3, 4, requires_grad=True),
        torch.zeros(2, 4, requires_grad=True),
    ]
    head = make_head(loss_weight=1.0)
    losses = losses_of(head, (embeds[0], [0, 1, 1]), (embeds[1], [0, 1]))
    assert losses['loss_sddc'].item() == 0
    assert losses['loss_ddsc'].item() == pytest.approx(1, rel=1e-5)
    (losses['loss_sddc'] + losses['loss_ddsc']).backward()
    assert all(embed.grad.isfinite().all() for embed in embeds)


def test_gradient_pulls_categories_and_pushes_domains(make_head):
    """D_corr minimises: sddc pairs approach each other, ddsc pairs part."""
    source = torch.tensor([[0.0, 0.0], [0.5, 0.0]], requires_grad=True)
    target = torch.tensor([[0.0, 0.5]], requires_grad=True)
    for key, moves in (('loss_sddc', [1, 0]), ('loss_ddsc', [0, -1])):
        head = make_head(loss_weight=1.0)
        losses = losses_of(head, (source, [0, 1]), (target, [0]))
        (grad,) = torch.autograd.grad(losses[key], source)
        # Both groups have one pair; d = .5: the slopes are 2d = 2(m - d) = 1.
        torch.testing.assert_close(-grad[0], torch.tensor(moves).float())


# The embedding


@pytest.mark.parametrize('normalize', [True, False])
def test_objects_are_pooled_from_every_tap_at_its_stride(make_head, domains, normalize):
    head = make_head(normalize=normalize)
    for domain in domains:
        embeds, labels = head._embed_objects(domain)
        expected, j = [], 0
        for n, image in enumerate(domain.detect(None)):
            for box, label in zip(image.bboxes.tolist(), image.labels, strict=True):
                fused = torch.zeros(EMBED, ROI_SIZE, ROI_SIZE)
                for tap, stride, conv in zip(
                    domain.taps, STRIDES, head.fuse_convs, strict=True
                ):
                    fused += torch.einsum(
                        'ec,chw->ehw',
                        conv.weight[:, :, 0, 0],
                        roi_align(tap[n], box, stride),
                    )
                    if not normalize:
                        fused += conv.bias[:, None, None]
                embed = head.embed.weight @ fused.flatten()
                expected.append(
                    embed / embed.square().sum().sqrt()
                    if normalize
                    else embed + head.embed.bias
                )
                assert labels[j] == label
                j += 1
        torch.testing.assert_close(embeds, torch.stack(expected))


def test_taps_of_pixel_coordinates_pool_the_same_numbers(make_head, make_objects):
    """On maps that hold each position's x in pixels, every stride must give
    the bins' centres: x1 plus 1/6, 1/2 and 5/6 of the width.
    """
    box = (40.0, 40.0, 76.0, 64.0)
    domain = make_objects([(0, box)], batch_shape=(128, 128))
    head = make_head(normalize=False)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        # The embedding is the first three pooled numbers of channel 0.
        head.embed.weight[:3, :3] = torch.eye(3)
        for tap, stride in zip(domain.taps, STRIDES, strict=True):
            tap[:] = (torch.arange(tap.shape[-1]) + 0.5) * stride
    for conv in head.fuse_convs:
        with torch.no_grad():
            conv.weight[0, 0] = 1
        embeds, _ = head._embed_objects(domain)
        torch.testing.assert_close(embeds[0, :3], torch.tensor([46.0, 58.0, 70.0]))
        with torch.no_grad():
            conv.weight[0, 0] = 0


@pytest.mark.parametrize(
    ('loss_weight', 'grl_weight'), [(1.0, 1.0), (0.1, 1.0), (1.0, 0.3)]
)
def test_reversal_sits_before_the_fusion(make_head, domains, loss_weight, grl_weight):
    """The taps' gradient is reversed, the whole discriminator's is not."""
    head = make_head(loss_weight=loss_weight, grl_weight=grl_weight)
    plain = make_head(loss_weight=1.0)
    plain.reverse = nn.Identity()
    plain_domains = copy.deepcopy(domains)
    for a_head, (source, target) in ((head, domains), (plain, plain_domains)):
        losses = a_head.loss(source, target)
        (losses['loss_sddc'] + losses['loss_ddsc']).backward()
    for domain, plain_domain in zip(domains, plain_domains, strict=True):
        for tap, plain_tap in zip(domain.taps, plain_domain.taps, strict=True):
            assert plain_tap.grad.any()
            torch.testing.assert_close(
                tap.grad, -loss_weight * grl_weight * plain_tap.grad
            )
    for parameter, plain_parameter in zip(
        head.parameters(), plain.parameters(), strict=True
    ):
        torch.testing.assert_close(parameter.grad, loss_weight * plain_parameter.grad)


@pytest.mark.parametrize('scale', [0.1, 0.3, 3.0, 10.0, 100.0])
def test_the_scale_of_the_features_does_not_matter(make_head, domains, scale):
    """A trunk with features ``scale`` times as large learns the same.

    It learns the features' gradient times their scale. The discriminator's
    own gradient must not change at all.
    """
    head = make_head(loss_weight=1.0)
    for domain in domains:
        for tap in domain.taps:
            tap.data.abs_()  # As a ReLU leaves it: no embeddings far apart.
    scaled = copy.deepcopy(domains)
    for domain in scaled:
        for tap in domain.taps:
            tap.data *= scale
    results = []
    for factor, pair in ((1.0, domains), (scale, scaled)):
        losses = head.loss(*pair)
        taps = [tap for domain in pair for tap in domain.taps]
        total = losses['loss_sddc'] + losses['loss_ddsc']
        of_taps = torch.autograd.grad(total, taps, retain_graph=True)
        results.append(
            (
                [losses['loss_sddc'], losses['loss_ddsc']],
                [factor * grad for grad in of_taps],
                torch.autograd.grad(total, list(head.parameters())),
            )
        )
        assert all(loss > 0 for loss in results[-1][0])
        assert all(grad.any() for grad in results[-1][2])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-6)


def test_as_printed_the_equation_grows_with_the_square(make_head, domains):
    """Eq. 6 as printed is an option; this is why it is not the default."""
    head = make_head(normalize=False)
    for layer in (*head.fuse_convs, head.embed):
        nn.init.zeros_(layer.bias)
    before = head.loss(*domains)['loss_sddc']
    for domain in domains:
        for tap in domain.taps:
            tap.data *= 100
    after = head.loss(*domains)['loss_sddc']
    torch.testing.assert_close(after, 1e4 * before, rtol=1e-4, atol=0)


def test_normalised_terms_are_bounded(make_head, domains):
    head = make_head(loss_weight=1.0)
    for domain in domains:
        for tap in domain.taps:
            tap.data.abs_()
    for parameter in head.parameters():
        parameter.data *= 1000
    losses = head.loss(*domains)
    assert 0 < losses['loss_sddc'] <= 4
    assert 0 <= losses['loss_ddsc'] <= 1


def test_an_object_without_features_has_no_gradient(make_head, make_objects):
    source = make_objects([(0, (0, 0, 30, 20)), (1, (60, 30, 96, 64))])
    target = make_objects([(0, (0, 0, 30, 20))])
    for tap in target.taps:
        tap.data.zero_()
    losses = make_head().loss(source, target)
    (losses['loss_sddc'] + losses['loss_ddsc']).backward()
    for tap in (*source.taps, *target.taps):
        assert tap.grad.abs().max() < 1
    assert not any(tap.grad.any() for tap in target.taps)


def test_without_objects_everything_is_zero_in_the_graph(make_head, make_objects):
    head = make_head()
    source, target = make_objects([], []), make_objects([])
    losses = head.loss(source, target)
    assert all(value.item() == 0 for value in losses.values())
    (losses['loss_sddc'] + losses['loss_ddsc']).backward()
    for parameter in head.parameters():
        assert parameter.grad is not None
        assert not parameter.grad.any()


def test_mmcv_is_not_asked_to_pool_nothing(make_head, make_objects, monkeypatch):
    """Its GPU kernel cannot be launched without a RoI."""
    roi_align = RoIAlign.forward

    def on_a_gpu(self: RoIAlign, tap: Tensor, rois: Tensor) -> Tensor:
        assert len(rois)
        return roi_align(self, tap, rois)

    monkeypatch.setattr(RoIAlign, 'forward', on_a_gpu)
    losses = make_head().loss(make_objects([]), make_objects([(0, (0, 0, 30, 20))]))
    assert losses['objects_target'].item() == 1


def test_mixed_precision_pools_half_taps_with_float_boxes(make_head, domains):
    """As with ``train.py --amp`` after the launch."""
    head = make_head(loss_weight=1.0)
    expected = head.loss(*domains)
    for domain in domains:
        domain.taps = tuple(tap.half() for tap in domain.taps)
    with torch.autocast('cpu', dtype=torch.float16):
        losses = head.loss(*domains)
    for key, value in expected.items():
        assert losses[key].dtype == torch.float32
        torch.testing.assert_close(losses[key], value, rtol=0.02, atol=1e-3)


def test_objects_are_the_detectors_at_a_low_threshold(make_head, domains):
    head = make_head()
    head.loss(*domains)
    for domain in domains:
        (cfg,) = domain.detect.call_args.args
        assert cfg.score_thr == 0.05
        assert cfg.nms == dict(type='nms', iou_threshold=0.5)
        assert cfg.max_per_img == 32


def test_objects_are_an_argument(make_head, domains):
    object_cfg = dict(score_thr=0.3, nms=dict(type='nms'), max_per_img=7)
    make_head(object_cfg=object_cfg).loss(*domains)
    assert domains[1].detect.call_args.args[0] == object_cfg


def test_defaults_are_the_papers():
    head = CorrelationMetricHead(CHANNELS, STRIDES)
    assert head.margin == 1.0
    assert head.normalize
    assert head.loss_weight == 0.1
    assert head.reverse.weight == 1.0
    assert [conv.weight.shape for conv in head.fuse_convs] == [
        (256, channels, 1, 1) for channels in CHANNELS
    ]
    assert isinstance(head.embed, nn.Linear)
    assert head.embed.weight.shape == (256, 256 * 7 * 7)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(featmap_strides=(4, 8, 16)), '4 taps, but got 3'),
        (dict(margin=0), 'but got 0'),
        (dict(margin=-1.0), 'but got -1.0'),
        (dict(margin=2.0), 'at most 2 apart, .* but got 2.0'),
        (dict(loss_weight=-1), 'but got -1'),
        (dict(grl_weight=-1), 'but got -1'),
    ],
)
def test_refuses_arguments_that_cannot_be_meant(kwargs, message):
    with pytest.raises(ValueError, match=message):
        CorrelationMetricHead(CHANNELS, **{'featmap_strides': STRIDES, **kwargs})
