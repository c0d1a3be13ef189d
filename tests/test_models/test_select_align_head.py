"""SelectAlign against its equations, region by region."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import Tensor, nn
from torch.nn import functional as F

from mmdet_ifan.models import DomainFeatures, IFANDetector, Proposals, SelectAlignHead

LOSSES = ('loss_estimator', 'loss_classifiers', 'loss_decoders', 'loss_detector')


def bce(prob: float, label: float) -> float:
    """Binary cross-entropy of a probability."""
    return -label * math.log(prob) - (1 - label) * math.log(1 - prob)


def mean(values: list) -> float:
    """Average."""
    return sum(values) / len(values)


# The example, with networks that give fixed answers


class Answers(nn.Module):
    """Gives the logit of a probability for each region, by its content."""

    def __init__(self, answers: dict[float, float]) -> None:
        super().__init__()
        self.answers = answers
        self.anchor = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        logits = [
            torch.tensor(self.answers[round(part.mean().item(), 3)]).logit()
            for part in x
        ]
        return torch.stack(logits)[:, None] + self.anchor


class Estimates(Answers):
    """Gives several logits for each region."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack(
            [
                torch.tensor(self.answers[round(part.mean().item(), 3)]).logit()
                for part in x
            ]
        )


class Adds(nn.Module):
    """Rebuilds a patch of one number, that of the region and one's own."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.tensor(number))

    def forward(self, x: Tensor) -> Tensor:
        return (x.mean(dim=(1, 2, 3)) + self.number)[:, None, None, None].expand(
            -1, 3, 4, 4
        )


def two_regions(make_domain: Callable, numbers: tuple, pixels: tuple) -> DomainFeatures:
    """A domain of one image, with a region to the left and one to the right."""
    image = torch.zeros(1, 3, 8, 40)
    image[..., :20], image[..., 20:] = pixels
    rois = torch.tensor([[0, 2.0, 2, 4, 6], [0, 32, 2, 36, 6]])
    vectors = torch.tensor(numbers)[:, None].repeat(1, 4)
    return make_domain(
        [(8, 40)],
        (8, 40),
        pixels=image,
        proposals=Proposals(rois, [2], None, None, None, vectors),
    )


def test_example(make_domain):
    head = SelectAlignHead(
        4,
        num_proposals=2,
        num_regions=2,
        patch_size=2,
        labels=(0.0, 1.0),
        loss_weight=1.0,
        grl_weight=1.0,
    )
    head.estimator = Estimates(
        {0.1: [0.9, 0.9], 0.2: [0.7, 0.7], 0.3: [0.2, 0.4], 0.4: [0.6, 0.8]}
    )
    # Source regions hold 0.1 and 0.2, target's 0.3 and 0.4. The source's decoder
    # adds 10, the target's 20.
    head.decoders['source'], head.decoders['target'] = Adds(10.0), Adds(20.0)
    head.classifiers['source'] = Answers(
        {0.5: 0.8, 0.6: 0.9, 10.1: 0.3, 10.2: 0.2, 10.3: 0.5, 10.4: 0.1}
    )
    head.classifiers['target'] = Answers(
        {0.7: 0.7, 0.8: 0.6, 20.3: 0.4, 20.4: 0.1, 20.1: 0.5, 20.2: 0.25}
    )
    losses = head.loss(
        two_regions(make_domain, (0.1, 0.2), (0.5, 0.6)),
        two_regions(make_domain, (0.3, 0.4), (0.7, 0.8)),
    )
    for name, expected in zip(
        LOSSES, (1.045942, 1.001411, 2.350054, 1.949598), strict=True
    ):
        assert losses[name].item() == pytest.approx(expected, abs=2e-6), name
    assert losses['target_weight'].item() == pytest.approx((0.3 + 0.7) / 2)
    # Real ones above a half, rebuilt ones below.
    assert losses['accuracy_source'] == losses['accuracy_target'] == 100
    assert losses['accuracy_estimator'] == 75
    assert losses['proposals_source'] == losses['proposals_target'] == 2


# The networks


def test_sizes_of_the_published_networks():
    """K = 4, M = 128, R = 256."""
    head = SelectAlignHead(4096, 512, num_regions=4, patch_size=256)
    assert head.proposals_per_region == 128
    theta = torch.zeros(4, 128, 64, 64)
    decoder, classifier = head.decoders['source'], head.classifiers['target']
    with torch.no_grad():
        pictures = decoder(theta)
        assert pictures.shape == (4, 3, 256, 256)
        assert classifier(pictures).shape == (4, 1, 32, 32)
        assert head.estimator[:-2](theta).shape == (4, 512, 8, 8)
        assert head.estimator(theta).shape == (4, 512)
    for network, number in ((decoder, 977_859), (classifier, 93_377)):
        assert sum(p.numel() for p in network.parameters()) == number


@pytest.mark.parametrize(
    ('regions', 'number', 'size'), [(2, 256, 512), (4, 128, 256), (8, 64, 128)]
)
def test_every_published_size_gives_as_many_logits(regions, number, size):
    head = SelectAlignHead(4096, 512, num_regions=regions, patch_size=size)
    assert head.proposals_per_region == number
    with torch.no_grad():
        logits = head.classifiers['source'](torch.zeros(1, 3, size, size))
    assert logits.shape == (1, 1, 32, 32)


def test_no_network_has_running_statistics():
    """Frozen and not, they run twice in a step."""
    head = SelectAlignHead(16, 8, num_regions=2)
    assert not list(head.buffers())


def residual(x: Tensor, layers: nn.Sequential) -> Tensor:
    """A residual block, from its weights."""
    first, second = (layers[i] for i in (0, 3))
    h = F.conv2d(x, first.weight, first.bias, padding=1)
    h = F.instance_norm(h).clamp(min=0)
    return x + F.instance_norm(F.conv2d(h, second.weight, second.bias, padding=1))


def doubled(x: Tensor) -> Tensor:
    """Bilinear, corner on corner, position by position."""
    channels, height, width = x.shape[1:]
    out = torch.zeros(1, channels, 2 * height, 2 * width)
    for i in range(2 * height):
        for j in range(2 * width):
            y = i * (height - 1) / (2 * height - 1)
            z = j * (width - 1) / (2 * width - 1)
            for row in (math.floor(y), min(math.floor(y) + 1, height - 1)):
                for column in (math.floor(z), min(math.floor(z) + 1, width - 1)):
                    share = max(0, 1 - abs(y - row)) * max(0, 1 - abs(z - column))
                    # At the edge both are one.
                    out[0, :, i, j] += (
                        share
                        * x[0, :, row, column]
                        / (1 + (row == height - 1 == math.floor(y)))
                        / (1 + (column == width - 1 == math.floor(z)))
                    )
    return out


def decode(decoder: nn.Sequential, theta: Tensor) -> Tensor:
    """A picture (3, R, R) of one region, from the decoder's weights."""
    x = theta[None]
    for block in decoder[:3]:
        x = residual(x, block.layers)
    convs = [layer for layer in decoder[3:] if isinstance(layer, nn.Conv2d)]
    for conv in convs[:-1]:
        x = F.conv2d(doubled(x), conv.weight, conv.bias, padding=1)
        x = F.leaky_relu(F.instance_norm(x), 0.01)
    return F.conv2d(x, convs[-1].weight, convs[-1].bias)[0].tanh()


def classify(classifier: nn.Sequential, picture: Tensor) -> list[float]:
    """Probabilities that the places of a picture are real, from the weights."""
    convs = [layer for layer in classifier if isinstance(layer, nn.Conv2d)]
    x = picture[None]
    for conv in convs[:-1]:
        x = F.leaky_relu(F.conv2d(x, conv.weight, conv.bias, stride=2, padding=1), 0.01)
    return F.conv2d(x, convs[-1].weight, convs[-1].bias).sigmoid().flatten().tolist()


def estimate(estimator: nn.Sequential, theta: Tensor) -> list[float]:
    """Probabilities that a region is source, from the weights."""
    convs = [layer for layer in estimator if isinstance(layer, nn.Conv2d)]
    x = theta[None]
    for i, conv in enumerate(convs):
        x = F.conv2d(x, conv.weight, conv.bias, stride=2, padding=1)
        if i < 2:
            x = F.leaky_relu(x, 0.01)
    return x.mean(dim=(2, 3)).sigmoid().flatten().tolist()


#: Shapes of the images, and the centres of each image's proposals.
SOURCE = (
    [(30, 40), (36, 44)],
    [[(5, 6), (30, 20), (6, 8), (31, 22), (8, 6)], [(20, 20), (22, 25)]],
)
TARGET = ([(32, 32)], [[(30, 30), (3, 28), (2, 26)]])


def domain_of(make_domain: Callable, shapes: list, centres: list) -> DomainFeatures:
    """A domain with proposals of random vectors at these places."""
    batch_shape = tuple(max(sides) for sides in zip(*shapes, strict=True))
    rois = [
        [i, x - 2, y - 1, x + 2, y + 1]
        for i, image in enumerate(centres)
        for x, y in image
    ]
    return make_domain(
        shapes,
        batch_shape,
        pixels=torch.rand(len(shapes), 3, *batch_shape) * 2 - 1,
        proposals=Proposals(
            torch.tensor(rois).float().reshape(-1, 5),
            [len(image) for image in centres],
            None,
            None,
            None,
            torch.randn(len(rois), 16).requires_grad_(),
        ),
    )


#: Per image and region, by hand: proposals, repeated to two, and the corner of
#: the patch of 8 px. Of each image the first 2 * 2 proposals count.
GROUPS = dict(
    source=[
        [([0, 2], (1, 3)), ([1, 3], (26, 17))],
        [([5, 5], (16, 16)), ([6, 6], (18, 21))],
    ],
    target=[[([7, 7], (24, 24)), ([8, 9], (0, 23))]],
)


@pytest.fixture
def head(spread: Callable) -> SelectAlignHead:
    """Two regions of two proposals, patches of 8 px; no dropout."""
    head = SelectAlignHead(
        16,
        num_proposals=4,
        num_regions=2,
        patch_size=8,
        classifier_channels=4,
        loss_weight=0.3,
        grl_weight=0.7,
    ).eval()
    spread(head)
    return head


def test_equations(make_domain, head):
    source, target = (domain_of(make_domain, *side) for side in (SOURCE, TARGET))
    regions = {}
    for name, domain, first in (('source', source, 0), ('target', target, 7)):
        regions[name] = [
            [
                (
                    domain.proposals.vectors[[i - first for i in members]]
                    .detach()
                    .reshape(2, 4, 4),
                    domain.pixels[n, :, y : y + 8, x : x + 8],
                )
                for members, (x, y) in image
            ]
            for n, image in enumerate(GROUPS[name])
        ]

    def over(name: str, value: Callable[[Tensor, Tensor], float]) -> float:
        """Mean over the regions, then over the images."""
        return mean([mean([value(*region) for region in i]) for i in regions[name]])

    def entropy(probs: list[float], label: float) -> float:
        return mean([bce(prob, label) for prob in probs])

    decoders, classifiers = head.decoders, head.classifiers

    def judged(classifier: str, decoder: str, theta: Tensor) -> list[float]:
        return classify(classifiers[classifier], decode(decoders[decoder], theta))

    def w(theta: Tensor) -> float:
        return mean(estimate(head.estimator, theta))

    with torch.no_grad():
        expected = dict(
            loss_estimator=over(
                'source', lambda t, p: entropy(estimate(head.estimator, t), 0.9)
            )
            + over('target', lambda t, p: entropy(estimate(head.estimator, t), 0.15)),
            loss_classifiers=over(
                'source', lambda t, p: entropy(classify(classifiers['source'], p), 0.9)
            )
            + over('source', lambda t, p: entropy(judged('source', 'source', t), 0.15))
            + over(
                'target', lambda t, p: entropy(classify(classifiers['target'], p), 0.9)
            )
            + over(
                'target',
                lambda t, p: w(t) * entropy(judged('target', 'target', t), 0.15),
            ),
            loss_decoders=over(
                'source', lambda t, p: entropy(judged('source', 'source', t), 1)
            )
            + over(
                'target', lambda t, p: w(t) * entropy(judged('target', 'target', t), 1)
            ),
            loss_detector=0.7
            * (
                over('source', lambda t, p: entropy(judged('target', 'target', t), 1))
                + over(
                    'target',
                    lambda t, p: w(t) * entropy(judged('source', 'source', t), 1),
                )
            ),
        )
    losses = head.loss(source, target)
    assert {key for key in losses if 'loss' in key} == set(expected)
    for key, value in expected.items():
        assert losses[key].item() == pytest.approx(0.3 * value, rel=1e-4), key


def test_a_batch_is_the_mean_of_its_images(make_domain, head):
    """So processes that share it out compute what one does."""
    source, target = (
        domain_of(
            make_domain,
            [(30, 40), (36, 44)],
            [[(5, 6), (30, 20), (6, 8)], [(20, 20), (22, 25), (3, 4), (40, 30)]],
        )
        for _ in range(2)
    )

    def alone(domain, i):
        begin = sum(domain.proposals.num_per_img[:i])
        number = domain.proposals.num_per_img[i]
        part = domain_of(make_domain, [domain.img_shapes[i]], [[(0, 0)] * number])
        part.pixels = domain.pixels[i : i + 1]
        for key in ('rois', 'vectors'):
            values = getattr(domain.proposals, key)[begin : begin + number]
            setattr(part.proposals, key, values)
        return part

    whole = head.loss(source, target)
    parts = [head.loss(alone(source, i), alone(target, i)) for i in range(2)]
    for key in LOSSES:
        torch.testing.assert_close(whole[key], (parts[0][key] + parts[1][key]) / 2)


def test_decoders_drop_half_of_the_residuals_in_training(head):
    dropouts = [m for m in head.modules() if isinstance(m, nn.Dropout)]
    assert len(dropouts) == 2 * 3
    assert {m.p for m in dropouts} == {0.5}


# Who learns from which loss


def learners(detector: IFANDetector, loss: Tensor) -> set[str]:
    """Parts that get a gradient."""
    detector.zero_grad()
    loss.backward(retain_graph=True)
    head = detector.alignments.select_align
    parts = dict(
        estimator=head.estimator,
        classifiers=head.classifiers,
        decoders=head.decoders,
        backbone=detector.backbone,
        shared=detector.roi_head.bbox_head.shared_fcs,
        rpn=detector.rpn_head,
        scores=detector.roi_head.bbox_head.fc_cls,
    )
    return {
        name
        for name, part in parts.items()
        if any(p.grad is not None and p.grad.any() for p in part.parameters())
    }


@pytest.fixture
def cfg(tiny_cfg: ConfigDict) -> ConfigDict:
    """The tiny detector, with regions that fit into its images."""
    tiny_cfg.neck = dict(type='LastTap')
    tiny_cfg.roi_head.bbox_head.fc_out_channels = 16
    tiny_cfg.alignments = dict(
        select_align=dict(
            type='SelectAlignHead', num_regions=2, patch_size=8, classifier_channels=4
        )
    )
    return tiny_cfg


def test_each_network_learns_from_its_own_loss(cfg, make_batch):
    detector = MODELS.build(cfg).train()
    assert detector.alignments.select_align.proposals_per_region == 16 // 2
    losses = detector.loss(*make_batch())
    for name, expected in dict(
        loss_estimator={'estimator'},
        loss_classifiers={'classifiers'},
        loss_decoders={'decoders'},
        # What the public code loses on the way.
        loss_detector={'backbone', 'shared'},
    ).items():
        assert learners(detector, losses[f'select_align/{name}']) == expected, name


@pytest.mark.parametrize('domain', ['source', 'target'])
def test_the_detector_learns_from_both_domains(make_domain, head, domain):
    domains = dict(
        source=domain_of(make_domain, *SOURCE), target=domain_of(make_domain, *TARGET)
    )
    loss = head.loss(**domains)['loss_detector']
    (gradient,) = torch.autograd.grad(loss, domains[domain].proposals.vectors)
    # Of each proposal that a region has taken.
    taken = {i for image in GROUPS[domain] for members, _ in image for i in members}
    rows = gradient.any(dim=1).nonzero().flatten().tolist()
    assert rows == sorted(i - (7 if domain == 'target' else 0) for i in taken)


def test_a_step_makes_the_exchanged_pictures_look_more_real(make_domain, head):
    """Down the gradient of its loss, the detector fools the classifiers."""
    source, target = (domain_of(make_domain, *side) for side in (SOURCE, TARGET))
    before = head.loss(source, target)['loss_detector']
    before.backward()
    for domain in (source, target):
        vectors = domain.proposals.vectors
        with torch.no_grad():
            vectors -= 0.1 * vectors.grad / vectors.grad.norm()
    assert head.loss(source, target)['loss_detector'] < before


# Poor batches and bad settings


@pytest.mark.parametrize('empty', [('source',), ('target',), ('source', 'target')])
def test_an_image_without_proposals_adds_nothing(make_domain, head, empty):
    whole = dict(source=(SOURCE[0][:1], SOURCE[1][:1]), target=TARGET)
    torch.manual_seed(5)
    alone = head.loss(**{n: domain_of(make_domain, *p) for n, p in whole.items()})
    torch.manual_seed(5)
    domains = {}
    for name, (shapes, centres) in whole.items():
        domains[name] = domain_of(make_domain, shapes, centres)
        if name in empty:
            # The same again, and an image that has none.
            more = copy.copy(domains[name])
            more.proposals = copy.copy(domains[name].proposals)
            more.proposals.num_per_img = [*more.proposals.num_per_img, 0]
            more.pixels = torch.cat([more.pixels, more.pixels])
            more.data_samples = more.data_samples * 2
            domains[name] = more
    losses = head.loss(**domains)
    assert losses['loss_estimator'] < alone['loss_estimator']
    if len(empty) == 2:
        for key in LOSSES:
            torch.testing.assert_close(2 * losses[key], alone[key])


def test_without_any_proposal_the_loss_is_0_and_in_the_graph(make_domain, head):
    domains = [domain_of(make_domain, [(20, 20)], [[]]) for _ in range(2)]
    losses = head.loss(*domains)
    total = sum(losses[key] for key in LOSSES)
    assert total == 0
    total.backward()
    for part in (*head.parameters(), *(d.proposals.vectors for d in domains)):
        assert part.grad is not None and not part.grad.any()


def test_more_regions_than_proposals(make_domain, head):
    domains = [domain_of(make_domain, [(20, 20)], [[(9, 9)]]) for _ in range(2)]
    losses = head.loss(*domains)
    assert all(value.isfinite() for value in losses.values())


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (dict(in_channels=32), 'vectors have 32 numbers: let fc_out_channels'),
        (dict(in_channels=1), 'vectors have 1 numbers'),
        (dict(num_regions=0), 'num_regions must be >= 1, but is 0'),
        (
            dict(proposals_per_region=20),
            '4 regions of 20 proposals do not fit into the 64 .* lower num_regions',
        ),
        (dict(num_regions=65), '65 regions of 0 proposals do not fit into the 64'),
        (dict(patch_size=24), 'patch_size must be 16, .* power of 2, but is 24'),
        (dict(patch_size=8), 'patch_size must be 16, .* but is 8'),
        (
            dict(patch_size=512),
            'halves proposals_per_region 5 times up to patches of 512 px, but '
            'it is 16: give a multiple of 32',
        ),
    ],
)
def test_sizes_that_do_not_fit(settings, sentence):
    SelectAlignHead(256, 64)
    with pytest.raises(ValueError, match=sentence):
        SelectAlignHead(**{**dict(in_channels=256, num_proposals=64), **settings})


def test_an_image_smaller_than_a_patch(make_domain, head):
    assert head.min_image_size == 8
    small = domain_of(make_domain, [(7, 30)], [[(4, 4)]])
    fine = domain_of(make_domain, [(8, 30)], [[(4, 4)]])
    head.loss(fine, fine)
    with pytest.raises(ValueError, match='patches of 8 px, but an image has 7 x 30'):
        head.loss(fine, small)


def test_proposals_that_a_detector_gives(cfg):
    """The fewer of both domains, or the same number in both."""
    assert MODELS.build(cfg).facts()['num_proposals'] == 16
    cfg.alike_proposals = True
    assert MODELS.build(cfg).facts()['num_proposals'] == 20
    cfg.alignments.select_align.num_regions = 5
    assert MODELS.build(cfg).alignments.select_align.proposals_per_region == 4
    cfg.alignments.select_align.num_regions = 6
    with pytest.raises(ValueError, match='select_align cannot be built: .* halves'):
        MODELS.build(cfg)
