"""Image-level alignment (Eq. 2 and 3) against loops over positions."""

from collections.abc import Callable
from fractions import Fraction
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mmdet_ifan.models import HierarchicalDomainNeck
from mmdet_ifan.models.layers import valid_positions

CHANNELS = (3, 4, 5)
STRIDES = (4, 8, 8)
#: Of each domain the padded shape and the images' own, some of them no
#: multiple of a stride.
SOURCE = ((32, 64), [(32, 64), (27, 50), (16, 24)])
TARGET = ((24, 40), [(24, 33), (9, 40)])

Shapes = tuple[tuple[int, int], list[tuple[int, int]]]


def inside(position: int, length: int, padded: int, size: int) -> bool:
    """Tell whether a position's cell, in pixels, ends within the image."""
    return Fraction(position + 1) * Fraction(padded, length) <= size


def looped_term(
    classifier: Callable[[Tensor], Tensor], tap: Tensor, shapes: Shapes, label: float
) -> Tensor:
    """Average over images the averages over valid positions, by loops."""
    batch_shape, img_shapes = shapes
    height, width = tap.shape[-2:]
    per_image = []
    for n, (img_height, img_width) in enumerate(img_shapes):
        errors = [
            (classifier(tap[n, :, row, column]).squeeze() - label) ** 2
            for row in range(height)
            for column in range(width)
            if inside(row, height, batch_shape[0], img_height)
            and inside(column, width, batch_shape[1], img_width)
        ]
        per_image.append(sum(errors) / len(errors))
    return sum(per_image) / len(per_image)


@pytest.fixture
def make_taps() -> Callable[[Shapes], list[Tensor]]:
    """Make random taps that ask for gradients."""

    def make(shapes: Shapes) -> list[Tensor]:
        (height, width), images = shapes
        return [
            torch.randn(
                len(images),
                channels,
                height // stride,
                width // stride,
                requires_grad=True,
            )
            for channels, stride in zip(CHANNELS, STRIDES, strict=True)
        ]

    return make


@pytest.fixture
def make_domains(make_domain, make_taps) -> Callable[[], tuple]:
    """Make a source and a target with taps."""

    def make() -> tuple:
        return tuple(
            make_domain(images, batch, taps=make_taps((batch, images)))
            for batch, images in (SOURCE, TARGET)
        )

    return make


@pytest.fixture
def make_neck(spread) -> Callable[..., HierarchicalDomainNeck]:
    """Make necks with the same classifiers for the same taps."""

    def make(**kwargs: object) -> HierarchicalDomainNeck:
        neck = HierarchicalDomainNeck(CHANNELS, **kwargs)
        torch.manual_seed(5)
        spread(neck)
        return neck

    return make


def total(losses: dict[str, Tensor]) -> Tensor:
    """Add up the losses."""
    return sum(value for key, value in losses.items() if 'loss' in key)


@pytest.mark.parametrize('taps', [None, (0,), (2,), (0, 2), (2, 0)])
def test_equals_loops_over_images_and_positions(
    make_neck, make_domains, classify, taps
):
    source, target = make_domains()
    neck = make_neck(taps=taps, loss_weight=1.0)
    losses = neck.loss(source, target)
    taps = range(3) if taps is None else taps
    assert set(losses) == {
        f'{kind}_phi{tap + 1}' for tap in taps for kind in ('loss', 'accuracy')
    }
    for tap, classifier in zip(taps, neck.classifiers, strict=True):

        def by_hand(x: Tensor, classifier: nn.Module = classifier) -> Tensor:
            return classify(classifier, x)

        expected = looped_term(by_hand, source.taps[tap], SOURCE, 0) + looped_term(
            by_hand, target.taps[tap], TARGET, 1
        )
        torch.testing.assert_close(losses[f'loss_phi{tap + 1}'], expected)


def test_hand_worked_means(make_domain):
    """Images count alike, whatever their number of valid positions."""
    neck = HierarchicalDomainNeck((1,), loss_weight=1.0)
    neck.classifiers[0] = nn.Identity()
    source = make_domain(
        [(16, 16), (8, 8)],
        (16, 16),
        taps=[torch.tensor([[[[0.2, 0.2], [0.2, 0.2]]], [[[0.8, 0.9], [0.9, 0.9]]]])],
    )
    target = make_domain([(8, 24)], (8, 24), taps=[torch.tensor([[[[0.5, 0.4, 0.6]]]])])
    losses = neck.loss(source, target)
    # Source: (0.2² + 0.8²) / 2 = 0.34. Target: (0.25 + 0.36 + 0.16) / 3.
    assert losses['loss_phi1'].item() == pytest.approx(0.34 + 0.77 / 3)
    # Source: 4 of 5 positions. Target: 2 of 3.
    assert losses['accuracy_phi1'].item() == pytest.approx(50 * (4 / 5 + 2 / 3))


def test_values_in_the_padding_change_no_bit(make_neck, make_domains):
    results = []
    for fill in (0.0, 50.0):
        torch.manual_seed(2)
        domains = make_domains()
        for domain, (batch_shape, img_shapes) in zip(
            domains, (SOURCE, TARGET), strict=True
        ):
            for tap in domain.taps:
                height, width = tap.shape[-2:]
                with torch.no_grad():
                    for n, (img_height, img_width) in enumerate(img_shapes):
                        for row in range(height):
                            for column in range(width):
                                if not (
                                    inside(row, height, batch_shape[0], img_height)
                                    and inside(column, width, batch_shape[1], img_width)
                                ):
                                    tap[n, :, row, column] = fill
        results.append(make_neck().loss(*domains))
    for key, value in results[0].items():
        assert torch.equal(value, results[1][key]), key


def test_padding_gets_no_gradient(make_neck, make_domains):
    domains = make_domains()
    total(make_neck().loss(*domains)).backward()
    for domain, (batch_shape, img_shapes) in zip(
        domains, (SOURCE, TARGET), strict=True
    ):
        for tap in domain.taps:
            for n, size in enumerate(img_shapes):
                for row in range(tap.shape[2]):
                    for column in range(tap.shape[3]):
                        valid = all(
                            inside(*cell)
                            for cell in zip(
                                (row, column),
                                tap.shape[2:],
                                batch_shape,
                                size,
                                strict=True,
                            )
                        )
                        grad = tap.grad[n, :, row, column]
                        assert grad.any() == valid


@pytest.mark.parametrize('extra', [(8, 0), (0, 16), (24, 8)])
def test_more_padding_changes_nothing(make_neck, make_domain, make_taps, extra):
    batches = []
    for (height, width), images in (SOURCE, TARGET):
        taps = make_taps(((height, width), images))
        padded = [
            nn.functional.pad(
                tap, (0, extra[1] // stride, 0, extra[0] // stride), value=9.0
            )
            for tap, stride in zip(taps, STRIDES, strict=True)
        ]
        batches.append(
            (
                make_domain(images, (height, width), taps=taps),
                make_domain(images, (height + extra[0], width + extra[1]), taps=padded),
            )
        )
    neck = make_neck()
    (source, more_source), (target, more_target) = batches
    expected = neck.loss(source, target)
    for domains in (
        (more_source, target),
        (source, more_target),
        (more_source, more_target),
    ):
        losses = neck.loss(*domains)
        for key, value in expected.items():
            torch.testing.assert_close(losses[key], value)


@pytest.mark.parametrize(
    ('loss_weight', 'grl_weight'), [(1.0, 1.0), (0.1, 1.0), (1.0, 0.3), (0.5, 2.0)]
)
def test_gradient_is_reversed_to_taps_and_plain_to_classifiers(
    make_neck, make_domains, classify, loss_weight, grl_weight
):
    """loss_weight scales both, grl_weight only the taps' gradient."""
    domains = make_domains()
    neck = make_neck(loss_weight=loss_weight, grl_weight=grl_weight)
    total(neck.loss(*domains)).backward()
    grads = [[tap.grad.clone() for tap in domain.taps] for domain in domains]
    classifier_grads = [p.grad.clone() for p in neck.parameters()]
    # The plain gradients of Eq. 3, from the loops.
    neck.zero_grad()
    for domain in domains:
        for tap in domain.taps:
            tap.grad = None
    sum(
        looped_term(
            lambda x, c=classifier: classify(c, x), domain.taps[tap], shapes, label
        )
        for tap, classifier in enumerate(neck.classifiers)
        for domain, shapes, label in zip(domains, (SOURCE, TARGET), (0, 1), strict=True)
    ).backward()
    for domain, domain_grads in zip(domains, grads, strict=True):
        for tap, grad in zip(domain.taps, domain_grads, strict=True):
            torch.testing.assert_close(grad, -loss_weight * grl_weight * tap.grad)
    for parameter, grad in zip(neck.parameters(), classifier_grads, strict=True):
        torch.testing.assert_close(grad, loss_weight * parameter.grad)


def test_defaults_are_the_papers():
    neck = HierarchicalDomainNeck(CHANNELS)
    assert neck.loss_weight == 0.1
    assert neck.reverse.weight == 1.0
    assert neck.taps == (0, 1, 2)
    assert neck.tap_weights == (1.0, 1.0, 1.0)


def test_tap_weights_scale_each_tap(make_neck, make_domains):
    domains = make_domains()
    plain = make_neck(loss_weight=1.0).loss(*domains)
    weighted = make_neck(loss_weight=0.1, tap_weights=(0.5, 2.0, 0.0)).loss(*domains)
    for tap, weight in zip((1, 2, 3), (0.5, 2.0, 0.0), strict=True):
        torch.testing.assert_close(
            weighted[f'loss_phi{tap}'], 0.1 * weight * plain[f'loss_phi{tap}']
        )
        assert torch.equal(weighted[f'accuracy_phi{tap}'], plain[f'accuracy_phi{tap}'])


def test_taps_that_are_not_aligned_get_no_gradient(make_neck, make_domains):
    domains = make_domains()
    total(make_neck(taps=(1,)).loss(*domains)).backward()
    for domain in domains:
        assert [tap.grad is not None for tap in domain.taps] == [False, True, False]


def test_forward_hands_on_the_last_tap_untouched(make_neck, make_taps):
    taps = make_taps(SOURCE)
    neck = make_neck(taps=(0,))
    with patch.object(neck.classifiers[0], 'forward') as classifier:
        assert neck(taps) == (taps[-1],)
        assert neck(taps)[0] is taps[-1]
    classifier.assert_not_called()


@pytest.mark.parametrize('channels', [(3, 4), (3, 4, 6), (5, 4, 3), (3, 4, 5, 5)])
def test_forward_refuses_other_taps(make_neck, channels):
    taps = [torch.zeros(1, width, 2, 2) for width in channels]
    with pytest.raises(ValueError, match='backbone gives'):
        make_neck()(taps)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(taps=(0, 0)),
        dict(taps=(3,)),
        dict(taps=(-1,)),
        dict(tap_weights=(1.0, 1.0)),
        dict(taps=(0,), tap_weights=(1.0, 1.0, 1.0)),
        dict(loss_weight=-0.1),
        dict(grl_weight=-1),
    ],
)
def test_refuses_arguments_that_cannot_be_meant(kwargs):
    with pytest.raises(ValueError, match='but got'):
        HierarchicalDomainNeck(CHANNELS, **kwargs)


def test_no_tap_at_all_is_another_neck():
    with pytest.raises(ValueError, match="type='LastTap'"):
        HierarchicalDomainNeck(CHANNELS, taps=())


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_valid_positions_are_the_cells_inside(data):
    draw = data.draw
    batch_shape = draw(st.tuples(st.integers(16, 1400), st.integers(16, 1400)))
    length = [draw(st.integers(1, max(1, side // 4))) for side in batch_shape]
    img_shapes = draw(
        st.lists(
            st.tuples(*(st.integers(1, side) for side in batch_shape)),
            min_size=1,
            max_size=3,
        )
    )
    valid = valid_positions(
        torch.zeros(len(img_shapes), *length), img_shapes, batch_shape
    )
    for mask, size in zip(valid, img_shapes, strict=True):
        rows, columns = (
            torch.tensor(
                [
                    # An image always keeps its first position.
                    i == 0 or inside(i, cells, padded, side)
                    for i in range(cells)
                ]
            )
            for cells, padded, side in zip(length, batch_shape, size, strict=True)
        )
        assert torch.equal(mask, rows[:, None] & columns[None])


def test_image_smaller_than_a_cell_keeps_its_first():
    """A mean over no position would be NaN."""
    valid = valid_positions(torch.zeros(2, 2, 4), [(3, 9), (32, 64)], (32, 64))
    assert valid[0].nonzero().tolist() == [[0, 0]]
    assert valid[1].all()


def test_unpadded_image_is_valid_to_the_last_position():
    """Also if the stride does not divide it: 1092 pixels make 68 cells."""
    for size, cells in ((1092, 68), (600, 37), (601, 38), (1200, 75)):
        valid = valid_positions(torch.zeros(1, 1, cells), [(16, size)], (16, size))
        assert valid.all()


def test_padded_strip_of_a_mixed_batch_is_left_out():
    """SIM10K and Cityscapes in a batch: 1092 of 1200 pixels, stride 16."""
    valid = valid_positions(torch.zeros(1, 37, 75), [(600, 1092)], (600, 1200))
    assert valid[0, 0].sum() == 68
    assert valid[0, :, 0].sum() == 37
