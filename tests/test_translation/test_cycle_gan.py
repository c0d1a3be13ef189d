"""CycleGAN against its equations, and one step against two."""

import copy
import math

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from torch import Tensor, nn
from torch.testing import assert_close

from mmdet_ifan.translation import (
    CycleGAN,
    ImagePool,
    PatchClassifier,
    ResnetGenerator,
    Translator,
)

TINY = ConfigDict(
    type='CycleGAN',
    generator=dict(type='ResnetGenerator', width=4, num_blocks=1),
    classifier=dict(type='PatchClassifier', width=4, num_halvings=1),
)


def build(**changes) -> CycleGAN:
    model = MODELS.build(ConfigDict(TINY, **changes))
    model.init_weights()
    return model


def images(height: int = 16, width: int = 20, number: int = 1) -> dict[str, Tensor]:
    return {
        domain: torch.rand(number, 3, height, width) * 2 - 1
        for domain in ('source', 'target')
    }


class Fixed(nn.Module):
    """Gives a known output for each input, by its first number."""

    min_image_size, divisor = 1, 1

    def __init__(self, answers: dict[float, tuple[float, ...]]) -> None:
        super().__init__()
        self.answers = answers
        self.anchor = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        key = round(x.flatten()[0].item(), 3)
        return torch.tensor(self.answers[key]) + self.anchor


# The equations


def test_losses_of_an_example():
    """x = (0.2, -0.4), y = (0.5, 0.5); values of the four networks by hand."""
    model = build()
    # G(x) = (0.3, 0.3), G(y) = (0.4, 0.7), G(F(y)) = (0.9, 0.1).
    model.generators['target'] = Fixed(
        {0.2: (0.3, 0.3), 0.5: (0.4, 0.7), 0.6: (0.9, 0.1)}
    )
    # F(y) = (0.6, 0.6), F(x) = (0.0, 0.0), F(G(x)) = (0.1, -0.1).
    model.generators['source'] = Fixed(
        {0.5: (0.6, 0.6), 0.2: (0.0, 0.0), 0.3: (0.1, -0.1)}
    )
    model.classifiers['target'] = Fixed({0.5: (0.9, 0.6), 0.3: (0.2, 0.4)})
    model.classifiers['source'] = Fixed({0.2: (1.0, 0.0), 0.6: (0.5, 0.0)})
    # Images of two numbers.
    losses = model.loss(
        dict(source=torch.tensor([0.2, -0.4]), target=torch.tensor([0.5, 0.5]))
    )
    expected = dict(
        loss_classifier_target=0.0925,
        loss_fool_target=0.5,
        loss_cycle_source=2.0,
        loss_identity_target=0.75,
        loss_classifier_source=0.5 * (0.5 + 0.125),
        loss_fool_source=0.5 * (0.25 + 1),
        loss_cycle_target=10 * (0.4 + 0.4) / 2,
        loss_identity_source=5 * (0.2 + 0.4) / 2,
        accuracy_target=100.0,
        # 1 is real, 0.5 is not painted: half of either.
        accuracy_source=50.0,
    )
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(
        expected, abs=1e-6
    )
    assert (
        sum(expected[f'loss_{n}'] for n in ('fool_target', 'cycle_source'))
        + expected['loss_identity_target']
        == 3.25
    )


def by_hand(model: CycleGAN, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The losses of classifiers and generators, written out; empty pools."""
    g, f = model.generators['target'], model.generators['source']
    d_y, d_x = model.classifiers['target'], model.classifiers['source']
    classifiers = 0
    for real, painted, d in ((y, g(x), d_y), (x, f(y), d_x)):
        right = [(1 - v) ** 2 for v in d(real).flatten()]
        wrong = [v**2 for v in d(painted.detach()).flatten()]
        classifiers = classifiers + sum(right) / len(right) / 2
        classifiers = classifiers + sum(wrong) / len(wrong) / 2

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().sum() / math.prod(a.shape)

    generators = ((1 - d_y(g(x))) ** 2).mean() + ((1 - d_x(f(y))) ** 2).mean()
    generators = generators + 10 * (distance(f(g(x)), x) + distance(g(f(y)), y))
    return classifiers, generators + 5 * (distance(g(y), y) + distance(f(x), x))


def test_one_step_is_the_step_of_classifiers_and_that_of_generators():
    """Of each side's own optimizer, as in the paper; three steps."""
    # In double precision: biases before a normalisation have no gradient but
    # rounding, which Adam would turn into steps.
    model = build(pool_size=0).double()
    other = copy.deepcopy(model)
    wrapper = build_optim_wrapper(
        model, dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
    )
    sides = [
        torch.optim.Adam(networks.parameters(), 1e-3)
        for networks in (other.classifiers, other.generators)
    ]
    for _ in range(3):
        x, y = (torch.rand(1, 3, 16, 20).double() * 2 - 1 for _ in range(2))
        total, _ = model.parse_losses(
            model(dict(source=x, target=y), None, mode='loss')
        )
        wrapper.update_params(total)
        # All images are painted before the generators' step.
        losses = by_hand(other, x, y)
        assert_close(total, sum(losses))
        gradients = [
            torch.autograd.grad(loss, list(networks.parameters()), retain_graph=True)
            for loss, networks in zip(
                losses, (other.classifiers, other.generators), strict=True
            )
        ]
        for optimizer, networks, parts in zip(
            sides, (other.classifiers, other.generators), gradients, strict=True
        ):
            for parameter, gradient in zip(networks.parameters(), parts, strict=True):
                parameter.grad = gradient
            optimizer.step()
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert_close(ours, theirs)


def test_each_network_gets_the_gradient_of_its_own_losses_alone():
    model = build()
    losses = model.loss(images())
    for side, other, own in (
        ('classifiers', 'generators', 'loss_classifier'),
        ('generators', 'classifiers', 'loss_fool'),
    ):
        model.zero_grad()
        sum(v for k, v in losses.items() if k.startswith(own)).backward(
            retain_graph=True
        )
        assert any(p.grad is not None for p in getattr(model, side).parameters())
        assert all(p.grad is None for p in getattr(model, other).parameters())


def test_generators_do_not_see_the_pool():
    model, batch = build(pool_size=1), images()
    first = model.loss(batch)
    model.pools['target'].images.zero_()
    model.pools['source'].images.zero_()
    again = [model.loss(batch) for _ in range(8)]
    for name in first:
        same = [bool(losses[name] == first[name]) for losses in again]
        if 'loss_classifier' in name:
            # Half of the time it sees what was in the pool.
            assert 0 < sum(same) < 8
        elif 'loss' in name:
            assert all(same)


class Identity(nn.Identity):
    """A generator that changes nothing."""

    min_image_size, divisor = 8, 4


def test_identity_costs_nothing_but_the_classifiers():
    model = build()
    for domain in model.generators:
        model.generators[domain] = Identity()
    losses = model.loss(images())
    for domain in ('source', 'target'):
        assert losses[f'loss_cycle_{domain}'] == 0
        assert losses[f'loss_identity_{domain}'] == 0
        assert losses[f'loss_fool_{domain}'] > 0


def test_target_labels_change_nothing(make_sample):
    losses = []
    for boxes in (None, [[1, 2, 9, 9]], [[float('nan')] * 4]):
        torch.manual_seed(0)
        model, batch = build(), images()
        sample = make_sample((16, 20), (16, 20), boxes, boxes and [0])
        losses.append(model(batch, dict(source=[sample], target=[sample]), 'loss'))
    assert losses[0] == losses[1] == losses[2]


# Networks


@pytest.mark.parametrize(
    'network, number',
    [
        (ResnetGenerator(), 11_378_179),
        (ResnetGenerator(num_blocks=6), 7_837_699),
        (ResnetGenerator(16, 4), 346_371),
        (PatchClassifier(), 2_764_737),
        (PatchClassifier(16), 175_089),
    ],
    ids=str,
)
def test_number_of_parameters(network, number):
    assert sum(p.numel() for p in network.parameters()) == number
    # Also no running statistics, so training and translation are one function.
    assert not list(network.buffers())


@pytest.mark.parametrize('halvings, field', [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_value_sees_its_patch_and_no_more(halvings, field):
    """Without normalisation, which sees the whole image."""
    classifier = PatchClassifier(1, halvings).double()
    layers = [m for m in classifier if not isinstance(m, nn.InstanceNorm2d)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 0.1)
    side = 320
    image = torch.rand(1, 3, side, side, dtype=torch.double, requires_grad=True)
    values = nn.Sequential(*layers)(image)
    middle = values.shape[-1] // 2
    values[0, 0, middle, middle].backward()
    seen = image.grad[0, 0].abs().sum(dim=0).nonzero()
    assert seen.max() - seen.min() + 1 == field


@pytest.mark.parametrize('side, positions', [(256, 30), (128, 14), (96, 10)])
def test_positions_of_the_classifier(side, positions):
    classifier = PatchClassifier(1)
    assert classifier(torch.zeros(1, 3, side, side)).shape[2:] == (positions,) * 2


@pytest.mark.parametrize('halvings', [1, 2, 3, 4])
def test_the_smallest_image_is_the_smallest(halvings):
    classifier = PatchClassifier(1, halvings)
    least = classifier.min_image_size
    assert classifier(torch.zeros(1, 3, least, least)).numel() == 1
    with pytest.raises((RuntimeError, ValueError)):
        classifier(torch.zeros(1, 3, least - 1, least - 1))


@pytest.mark.parametrize('upsample', ['deconv', 'bilinear'])
def test_a_generator_keeps_the_size(upsample):
    generator = ResnetGenerator(4, 1, upsample)
    least, step = generator.min_image_size, generator.divisor
    for size in ((least, least), (least + step, least + 3 * step)):
        painted = generator(torch.rand(2, 3, *size))
        assert painted.shape == (2, 3, *size)
        assert painted.abs().max() < 1
    with pytest.raises((RuntimeError, ValueError)):
        generator(torch.rand(1, 3, least - step, least - step))


def test_an_unknown_upsampling_is_refused():
    with pytest.raises(ValueError, match="'deconv' or 'bilinear', but is 'nearest'"):
        ResnetGenerator(upsample='nearest')


def test_an_image_is_painted_alike_in_a_batch_and_in_either_mode():
    generator = ResnetGenerator(4, 1)
    batch = torch.rand(3, 3, 16, 16)
    together = generator(batch)
    generator.eval()
    for one, image in zip(together, batch, strict=True):
        assert_close(generator(image[None])[0], one)


def test_first_weights():
    model = MODELS.build(
        ConfigDict(TINY, generator=dict(type='ResnetGenerator', width=16))
    )
    model.init_weights()
    for name, parameter in model.named_parameters():
        if name.endswith('bias'):
            assert not parameter.any()
        elif parameter.numel() > 5000:
            assert parameter.mean().item() == pytest.approx(0, abs=2e-3)
            assert parameter.std().item() == pytest.approx(0.02, rel=0.05)


# The pool


def test_pool():
    pool, new = ImagePool(2), [torch.full((1, 3, 4, 4), float(i)) for i in range(40)]
    assert pool.query(new[0]) is not new[0]
    assert_close(pool.query(new[1]), new[1])
    stored, kept = {0, 1}, 0
    # The first is stored twice by now.
    pool.images[0] = 0
    for i in range(2, 40):
        before = set(pool.images[:, 0, 0, 0].tolist())
        result = pool.query(new[i])[0, 0, 0, 0].item()
        after = set(pool.images[:, 0, 0, 0].tolist())
        assert len(pool.images) == 2
        if result == i:
            kept += 1
            assert after == before
        else:
            assert result in before
            assert after == before - {result} | {i}
    assert stored and 10 < kept < 28


def test_no_pool_returns_what_it_gets():
    pool = ImagePool(0)
    for _ in range(4):
        image = torch.rand(2, 3, 4, 4)
        assert torch.equal(pool.query(image), image)
    assert not len(pool.images)


def test_pool_keeps_no_graph_and_is_not_changed_by_who_reads_it():
    pool, image = ImagePool(1), torch.rand(1, 3, 4, 4, requires_grad=True)
    pool.query(image)
    while torch.equal(shown := pool.query(torch.rand(1, 3, 4, 4)), pool.images):
        pass
    assert not shown.requires_grad and not pool.images.requires_grad


def test_pool_travels_in_a_state():
    model = build()
    for _ in range(3):
        model.loss(images())
    other = build()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.pools['target'].images, model.pools['target'].images)
    assert len(other.pools['source'].images) == 3


def test_images_of_another_size_are_refused():
    pool = ImagePool(2)
    pool.query(torch.rand(1, 3, 8, 8))
    with pytest.raises(ValueError, match='8 x 4 px follow others of 8 x 8 px'):
        pool.query(torch.rand(1, 3, 8, 4))


# Precision


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision(dtype):
    model, batch = build(), images(32, 40)
    expected = model.loss(batch)
    with torch.autocast('cpu', dtype):
        losses = model.loss(batch)
    for name, value in losses.items():
        assert value.dtype == torch.float32, name
        assert value.isfinite()
        if 'loss' in name:
            assert value.item() == pytest.approx(expected[name].item(), rel=0.1)
    total, _ = model.parse_losses(losses)
    total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
    assert model.pools['target'].images.dtype == torch.float32


# Images from the disk


def translator(generator: nn.Module | None = None, resize=()) -> Translator:
    model = build()
    pipeline = [dict(type='LoadImageFromFile'), *resize]
    cfg = ConfigDict(
        model=TINY, train_dataloader=dict(dataset=dict(source=dict(pipeline=pipeline)))
    )
    made = Translator(cfg, dict(state_dict=model.state_dict()))
    if generator is not None:
        made.generator = generator
    return made


@pytest.mark.parametrize('size', [(1, 1), (3, 50), (13, 18), (16, 20), (33, 8)])
def test_identity_gives_the_image_back(size):
    image = np.random.randint(0, 256, (*size, 3), np.uint8)
    np.testing.assert_array_equal(translator(nn.Identity())(image), image)


def test_a_translation_is_what_the_generator_paints_in_training(make_sample):
    """Of BGR from the disk, by the preprocessor, in the other order."""
    model, image = build(), np.random.randint(0, 256, (16, 20, 3), np.uint8)
    made = translator(model.generators['target'])
    bgr = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)
    batch = model.data_preprocessor(
        dict(
            inputs=dict(source=[bgr], target=[bgr]),
            data_samples={
                domain: [make_sample((16, 20), (16, 20))]
                for domain in ('source', 'target')
            },
        ),
        True,
    )
    painted = model(batch['inputs'])['target'][0]
    expected = ((painted + 1) * 127.5).permute(1, 2, 0).detach().numpy()
    assert np.abs(made(image) - expected).max() <= 0.501


def test_padding_reflects():
    seen = []

    class Sees(nn.Identity):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return x

    image = np.arange(9 * 10 * 3, dtype=np.uint8).reshape(9, 10, 3)
    translator(Sees())(image)
    padded = seen[0][0]
    assert padded.shape == (3, 12, 12)
    assert_close(padded[:, 9:], padded[:, [7, 6, 5]])
    assert_close(padded[:, :, 10:], padded[:, :, [8, 7]])


def test_images_are_painted_at_the_scale_of_training():
    seen = []

    class Sees(nn.Identity):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(tuple(x.shape[2:]))
            return x

    resize = [dict(type='Resize', scale=(200, 20), keep_ratio=True)]
    image = np.full((40, 64, 3), 90, np.uint8)
    np.testing.assert_array_equal(translator(Sees(), resize)(image), image)
    assert seen == [(20, 32)]


def test_the_checkpoint_of_a_detector_is_refused(tiny_cfg):
    with pytest.raises(ValueError, match='is of a IFANDetector, not of a CycleGAN'):
        Translator(ConfigDict(model=tiny_cfg), {})
