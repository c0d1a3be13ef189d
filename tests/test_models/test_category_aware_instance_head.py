"""Instance-level alignment (Eq. 4 and 5) against loops over proposals."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from mmdet_ifan.models import CategoryAwareInstanceHead, DomainFeatures, Proposals

CHANNELS, CLASSES, SIZE = 4, 3, 2
#: Proposals of each source image and of each target image.
NUMBERS = [
    ((3, 5), (2,)),
    ((1,), (4, 1, 2)),
    # One image without proposals still counts as an image.
    ((3, 0, 2), (0, 4)),
    # A domain without any.
    ((0, 0), (3,)),
    ((2,), (0,)),
    ((0,), (0, 0)),
]

MakeDomain = Callable[[Sequence[int]], DomainFeatures]


@pytest.fixture
def make_proposals(make_domain) -> MakeDomain:
    """Make a domain with this many random proposals per image."""

    def make(num_per_img: Sequence[int]) -> DomainFeatures:
        num = sum(num_per_img)
        return make_domain(
            [(64, 64)] * len(num_per_img),
            (64, 64),
            proposals=Proposals(
                rois=torch.zeros(num, 5),
                num_per_img=list(num_per_img),
                roi_feats=torch.randn(num, CHANNELS, SIZE, SIZE, requires_grad=True),
                cls_score=torch.randn(num, CLASSES + 1, requires_grad=True),
                bbox_pred=torch.randn(num, 4 * CLASSES),
                vectors=None,
            ),
        )

    return make


@pytest.fixture
def make_head(spread) -> Callable[..., CategoryAwareInstanceHead]:
    """Make heads with the same classifier."""

    def make(**kwargs: object) -> CategoryAwareInstanceHead:
        head = CategoryAwareInstanceHead(CHANNELS, CLASSES, **kwargs)
        torch.manual_seed(5)
        spread(head)
        return head

    return make


@pytest.fixture
def looped_term(classify) -> Callable[..., Tensor]:
    """Compute one domain's term of Eq. 5, or of Eq. 4, by loops."""

    def compute(
        head: CategoryAwareInstanceHead, domain: DomainFeatures, label: float
    ) -> Tensor:
        proposals = domain.proposals
        per_image, j = [], 0
        for num in proposals.num_per_img:
            total = torch.zeros(())
            for _ in range(num):
                exps = [math.exp(v) for v in proposals.cls_score[j].tolist()]
                squares = [
                    (
                        classify(
                            head.classifier, proposals.roi_feats[j, :, row, column]
                        )
                        - label
                    )
                    ** 2
                    for row in range(SIZE)
                    for column in range(SIZE)
                ]
                error = sum(squares) / SIZE**2
                if head.category_aware:
                    # The last score is the background's: it is dropped.
                    for c in range(CLASSES):
                        total = total + exps[c] / sum(exps) * error[c]
                else:
                    total = total + error[0]
                j += 1
            per_image.append(total / num if num else total)
        return sum(per_image) / len(per_image)

    return compute


@pytest.mark.parametrize('category_aware', [True, False])
@pytest.mark.parametrize(('source_nums', 'target_nums'), NUMBERS)
def test_equals_loops_over_images_and_proposals(
    make_head, make_proposals, looped_term, category_aware, source_nums, target_nums
):
    head = make_head(category_aware=category_aware, loss_weight=0.5)
    source, target = make_proposals(source_nums), make_proposals(target_nums)
    loss = head.loss(source, target)['loss']
    expected = 0.5 * (looped_term(head, source, 0) + looped_term(head, target, 1))
    assert loss.shape == ()
    torch.testing.assert_close(loss, expected)


def test_counts_proposals_and_the_objects_among_them(make_head, make_proposals):
    source, target = make_proposals((3, 0)), make_proposals((2,))
    for domain in (source, target):
        # Nine tenths background, and none at all.
        probs = torch.tensor([[0.02, 0.03, 0.05, 0.9], [1.0, 0.0, 0.0, 0.0]])
        domain.proposals.cls_score = probs.log().repeat(2, 1)[
            : sum(domain.proposals.num_per_img)
        ]
    logged = make_head().loss(source, target)
    assert [
        logged[f'{count}_{domain}'].item()
        for count in ('proposals', 'objects')
        for domain in ('source', 'target')
    ] == pytest.approx([3, 2, 1.2, 1.1])
    agnostic = make_head(category_aware=False).loss(source, target)
    assert set(logged) - set(agnostic) == {'objects_source', 'objects_target'}


@pytest.mark.parametrize('category_aware', [True, False])
def test_no_proposals_at_all_is_zero_in_the_graph(
    make_head, make_proposals, category_aware
):
    head = make_head(category_aware=category_aware)
    losses = head.loss(make_proposals((0, 0)), make_proposals((0,)))
    assert losses['loss'].item() == 0
    assert losses['accuracy'].item() == 50
    losses['loss'].backward()
    for parameter in head.parameters():
        assert parameter.grad is not None
        assert not parameter.grad.any()


@pytest.mark.parametrize('category_aware', [True, False])
@pytest.mark.parametrize(
    ('loss_weight', 'grl_weight'), [(1.0, 1.0), (0.1, 1.0), (1.0, 0.3)]
)
def test_gradient_is_reversed_to_features_and_plain_to_classifier(
    make_head, make_proposals, looped_term, category_aware, loss_weight, grl_weight
):
    head = make_head(
        category_aware=category_aware, loss_weight=loss_weight, grl_weight=grl_weight
    )
    domains = make_proposals((3, 0, 2)), make_proposals((4,))
    head.loss(*domains)['loss'].backward()
    feats = [domain.proposals.roi_feats for domain in domains]
    grads = [feat.grad.clone() for feat in feats]
    classifier_grads = [p.grad.clone() for p in head.parameters()]
    head.zero_grad()
    for feat in feats:
        feat.grad = None
    (looped_term(head, domains[0], 0) + looped_term(head, domains[1], 1)).backward()
    for feat, grad in zip(feats, grads, strict=True):
        torch.testing.assert_close(grad, -loss_weight * grl_weight * feat.grad)
    for parameter, grad in zip(head.parameters(), classifier_grads, strict=True):
        torch.testing.assert_close(grad, loss_weight * parameter.grad)


def test_probabilities_are_constants(make_head, make_proposals):
    domains = make_proposals((3,)), make_proposals((2,))
    make_head().loss(*domains)['loss'].backward()
    for domain in domains:
        assert domain.proposals.cls_score.grad is None


def test_probabilities_weigh_both_domains(make_head, make_proposals):
    """Labels are soft, not the likeliest category, not source's truth."""
    head = make_head(loss_weight=1.0)
    scores = torch.tensor([[0.5, 0.3, 0.2, 1e-9]]).log()
    for side in (0, 1):
        domains = [make_proposals((0,)), make_proposals((0,))]
        domains[side] = make_proposals((1,))
        proposals = domains[side].proposals
        proposals.cls_score = scores
        outputs = head.classifier(proposals.roi_feats)[0]
        error = (outputs - side).square().mean(dim=(1, 2))
        expected = 0.5 * error[0] + 0.3 * error[1] + 0.2 * error[2]
        torch.testing.assert_close(head.loss(*domains)['loss'], expected)


def test_background_fades_out(make_head, make_proposals):
    source, target = make_proposals((2,)), make_proposals((1,))
    for domain in (source, target):
        domain.proposals.cls_score = torch.tensor(
            [[0.0, 0.0, 0.0, 60.0]] * sum(domain.proposals.num_per_img)
        )
    assert make_head().loss(source, target)['loss'].item() < 1e-20
    # Eq. 4 has no categories: every proposal counts 1.
    agnostic = make_head(category_aware=False).loss(source, target)
    assert agnostic['loss'].item() > 0.01


def test_agnostic_needs_no_scores(make_head, make_proposals):
    source, target = make_proposals((2,)), make_proposals((3,))
    head = make_head(category_aware=False)
    expected = head.loss(source, target)
    source.proposals.cls_score = target.proposals.cls_score = None
    assert torch.equal(head.loss(source, target)['loss'], expected['loss'])


def test_accuracy_is_that_of_the_likeliest_foreground_category(
    make_head, make_proposals
):
    source, target = make_proposals((2,)), make_proposals((2,))
    # Background is likeliest everywhere; then categories 2, 0, 1, 1.
    source.proposals.cls_score = torch.tensor([[0.0, 1, 2, 9], [2.0, 0, 1, 9]])
    target.proposals.cls_score = torch.tensor([[0.0, 2, 1, 9], [0.0, 2, 1, 9]])
    outputs = iter(
        [
            # Of each proposal and category the four positions' outputs.
            torch.tensor([[0.9, 0.9, 0.1], [0.8, 0.1, 0.1]]),
            torch.tensor([[0.1, 0.7, 0.1], [0.9, 0.2, 0.9]]),
        ]
    )
    head = make_head()
    head.classifier.forward = lambda x: next(outputs)[..., None, None].expand(
        -1, -1, SIZE, SIZE
    )
    # Source: category 2 says .1 (right), category 0 says .8 (wrong).
    # Target: category 1 says .7 (right), then .2 (wrong).
    assert head.loss(source, target)['accuracy'].item() == pytest.approx(50)
    outputs = iter(
        [
            torch.tensor([[0.9, 0.9, 0.1], [0.1, 0.9, 0.9]]),
            torch.tensor([[0.1, 0.7, 0.1], [0.9, 0.2, 0.9]]),
        ]
    )
    assert head.loss(source, target)['accuracy'].item() == pytest.approx(75)


def test_a_classifier_per_category_or_one():
    aware = CategoryAwareInstanceHead(CHANNELS, 8)
    agnostic = CategoryAwareInstanceHead(CHANNELS, 8, category_aware=False)
    x = torch.zeros(1, CHANNELS, 7, 7)
    assert aware.classifier(x).shape == (1, 8, 7, 7)
    assert agnostic.classifier(x).shape == (1, 1, 7, 7)
    assert aware.loss_weight == 0.1
    assert aware.reverse.weight == 1.0
