"""The layers that alignments share."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmdet_ifan.models import DomainClassifier, GradientReversal
from mmdet_ifan.models.layers import balanced_accuracy, frozen, mean_of_valid

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def cubes(x: torch.Tensor) -> torch.Tensor:
    """Compute a function whose gradient differs from place to place."""
    return (x**3).sum()


@pytest.mark.parametrize('dtype', DTYPES)
def test_reversal_is_identity_forward(dtype):
    x = torch.randn(2, 3, 4, dtype=dtype)
    assert torch.equal(GradientReversal(0.7)(x), x)


@given(
    weight=st.floats(0, 8, width=16),
    values=st.lists(st.floats(-2, 2, width=16), min_size=1, max_size=6),
    dtype=st.sampled_from(DTYPES),
)
@settings(max_examples=100, deadline=None)
def test_reversal_scales_the_plain_gradient(weight, values, dtype):
    plain = torch.tensor(values, dtype=dtype, requires_grad=True)
    cubes(plain).backward()
    x = torch.tensor(values, dtype=dtype, requires_grad=True)
    cubes(GradientReversal(weight)(x)).backward()
    assert x.grad.dtype == dtype
    torch.testing.assert_close(x.grad, -weight * plain.grad)


def test_reversal_splits_detector_from_discriminator():
    """The gradient is reversed before it and plain behind it."""
    before, after = nn.Linear(3, 4), nn.Linear(4, 1)
    x = torch.randn(5, 3)
    grads = []
    for reverse in (nn.Identity(), GradientReversal(2.5)):
        before.zero_grad()
        after.zero_grad()
        after(reverse(before(x))).square().sum().backward()
        grads.append((before.weight.grad.clone(), after.weight.grad.clone()))
    torch.testing.assert_close(grads[1][0], -2.5 * grads[0][0])
    torch.testing.assert_close(grads[1][1], grads[0][1])


def test_reversal_of_weight_zero_stops_the_gradient():
    x = torch.ones(2, requires_grad=True)
    cubes(GradientReversal(0)(x)).backward()
    assert not x.grad.any()


@pytest.mark.parametrize('weight', [-1, -1e-9])
def test_reversal_refuses_negative_weights(weight):
    with pytest.raises(ValueError, match=f'got {weight}'):
        GradientReversal(weight)


def test_frozen_lets_the_gradient_through_to_the_input_alone():
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x = torch.randn(5, 3, requires_grad=True)
    output = frozen(module)(x)
    assert torch.equal(output, module(x))
    output.square().sum().backward()
    assert all(parameter.grad is None for parameter in module.parameters())
    expected = torch.autograd.grad(module(x).square().sum(), x)[0]
    assert torch.equal(x.grad, expected)


def test_frozen_follows_the_modules_mode():
    module = nn.Sequential(nn.Dropout(0.5))
    x = torch.ones(1000)
    assert frozen(module)(x).eq(0).any()
    assert torch.equal(frozen(module.eval())(x), x)


def test_two_players_train_in_one_backward_pass():
    """Each gets the gradient of its own loss, as if they took turns."""
    maker, judge = nn.Linear(2, 2), nn.Linear(2, 1)
    x = torch.randn(4, 2)

    def losses(maker, judge, judged):
        made = maker(x)
        return judge(made).square().sum(), judged(made.detach()).exp().sum()

    sum(losses(maker, frozen(judge), judge)).backward()
    together = [p.grad.clone() for p in (*maker.parameters(), *judge.parameters())]
    fools, tells = losses(maker, judge, judge)
    alone = [
        *torch.autograd.grad(fools, list(maker.parameters())),
        *torch.autograd.grad(tells, list(judge.parameters())),
    ]
    assert all(map(torch.equal, together, alone))


def test_reversal_shows_its_weight():
    assert 'weight=0.25' in repr(nn.Sequential(GradientReversal(0.25)))


@pytest.mark.parametrize(('channels', 'outputs'), [(5, 1), (32, 8)])
def test_classifier_is_three_pointwise_convolutions(channels, outputs):
    layers = [
        module
        for module in DomainClassifier(channels, outputs).modules()
        if not list(module.children())
    ]
    assert [type(layer) for layer in layers] == [
        nn.Conv2d,
        nn.ReLU,
        nn.Conv2d,
        nn.ReLU,
        nn.Conv2d,
    ]
    convs = layers[::2]
    assert [(conv.in_channels, conv.out_channels) for conv in convs] == [
        (channels, 256),
        (256, 128),
        (128, outputs),
    ]
    for conv in convs:
        assert conv.kernel_size == conv.stride == (1, 1)
        assert conv.padding == (0, 0)
        assert conv.bias is not None


def test_classifier_equals_matrix_products_per_position(classify, spread):
    classifier = DomainClassifier(6, 3)
    spread(classifier)
    x = torch.randn(2, 6, 3, 4)
    output = classifier(x)
    assert output.shape == (2, 3, 3, 4)
    for n in range(2):
        for row in range(3):
            for column in range(4):
                torch.testing.assert_close(
                    output[n, :, row, column],
                    classify(classifier, x[n, :, row, column]),
                )


def test_classifier_hidden_widths_are_arguments():
    widths = [
        module.out_channels
        for module in DomainClassifier(4, 2, (16, 9, 5)).modules()
        if isinstance(module, nn.Conv2d)
    ]
    assert widths == [16, 9, 5, 2]


def test_classifier_gives_shares_whatever_it_sees(spread):
    classifier = DomainClassifier(4)
    spread(classifier)
    output = classifier(1e4 * torch.randn(1, 4, 8, 8))
    assert ((output >= 0) & (output <= 1)).all()
    output = classifier(torch.randn(1, 4, 8, 8))
    assert ((output > 0) & (output < 1)).all()


def test_classifier_answers_in_single_precision():
    """Squared errors in half precision would round to nothing."""
    classifier = DomainClassifier(4).bfloat16()
    output = classifier(torch.randn(1, 4, 2, 2, dtype=torch.bfloat16))
    assert output.dtype == torch.float32


@pytest.mark.parametrize(
    ('source', 'target', 'expected'),
    [
        # 2 of 3 and 1 of 2; exactly 0.5 counts as target.
        ([0.1, 0.6, 0.4], [0.5, 0.4], 50 * (2 / 3 + 1 / 2)),
        # The domains weigh the same, whatever their sizes.
        ([0.9], [0.9] * 9, 50),
        ([0.2, 0.2], [0.8], 100),
        ([0.8], [0.2, 0.1], 0),
        # A domain without positions counts as chance.
        ([], [0.8, 0.7], 75),
        ([0.6], [], 25),
        ([], [], 50),
    ],
)
def test_balanced_accuracy_by_hand(source, target, expected):
    source, target = (
        torch.tensor(values, requires_grad=True) for values in (source, target)
    )
    accuracy = balanced_accuracy(source, target)
    assert accuracy.shape == ()
    assert not accuracy.requires_grad
    assert accuracy.item() == pytest.approx(expected, rel=1e-6)
    # The same, interleaved with values that must not count.
    if source.numel() and target.numel():
        padded = [torch.stack([x, 1 - x], dim=1).detach() for x in (source, target)]
        valid = [torch.zeros_like(x, dtype=torch.bool) for x in padded]
        for mask in valid:
            mask[:, 0] = True
        accuracy = balanced_accuracy(*padded, tuple(valid))
        assert accuracy.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('dtype', DTYPES)
def test_mean_of_a_large_map_does_not_overflow(dtype):
    """Its sum is 320,000; float16 ends at 65,504."""
    maps = torch.full((1, 2, 64, 100), 50.0, dtype=dtype)
    mean = mean_of_valid(maps, torch.ones(1, 64, 100, dtype=torch.bool))
    assert mean.tolist() == [[50.0, 50.0]]
    assert mean.dtype == dtype
