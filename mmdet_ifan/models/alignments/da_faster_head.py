"""DA-Faster (Chen et al., "Domain Adaptive Faster R-CNN", CVPR 2018)."""

from typing import Any

from mmdet.registry import MODELS
from torch import Tensor, nn

from ..domain_features import DomainFeatures
from ..layers import (
    SOURCE,
    TARGET,
    balanced_accuracy,
    domain_cross_entropy,
    mean_of_valid,
)
from .base_alignment import BaseAlignment


@MODELS.register_module()
class DAFasterHead(BaseAlignment):
    r"""Image level, instance level, and the consistency of the two.

    Let :math:`p_i^{(u,v)}` be the image classifier's probability that
    position (u, v) of image i is target, and :math:`p_{ij}` the instance
    classifier's for proposal j. The terms are (the paper's Eq. 7, 8 and 9)

    .. math::
        L_{img} &= \sum_{i,u,v} BCE(p_i^{(u,v)}, D_i), \quad
        L_{ins} = \sum_{i,j} BCE(p_{ij}, D_i), \\
        L_{cst} &= \sum_{i,j} \Big\| \frac{1}{|I|} \sum_{u,v} p_i^{(u,v)}
        - p_{ij} \Big\|_2

    All three pass the gradient reversal in front of the two classifiers, as
    in the paper's figure; some ports omit it for the third. Sums over
    positions, proposals and images are means here, so the weight does not
    depend on their number. The instance classifier reads the vector that the
    box head's shared layers compute for a proposal.

    Args:
        in_channels (int): Channels of the last tap.
        instance_channels (int): Length of the box head's vectors.
        image_channels (int): Hidden width of the image classifier.
            Defaults to 512, the paper's.
        hidden_channels (int): Width of the two hidden layers of the instance
            classifier. Defaults to 1024, the paper's.
        **kwargs: ``loss_weight`` and ``grl_weight`` of
            :class:`BaseAlignment`: the paper's lambda, 0.1, and 1.0.
    """

    FROM_DETECTOR = dict(
        in_channels='last_tap_channels', instance_channels='vector_channels'
    )

    def __init__(
        self,
        in_channels: int,
        instance_channels: int,
        image_channels: int = 512,
        hidden_channels: int = 1024,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.image_classifier = nn.Sequential(
            nn.Conv2d(in_channels, image_channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(image_channels, 1, 1),
        )
        self.instance_classifier = nn.Sequential(
            nn.Linear(instance_channels, hidden_channels),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden_channels, hidden_channels),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden_channels, 1),
        )

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Compute the three terms.

        Args:
            source (DomainFeatures): Gives the source taps and proposals.
            target (DomainFeatures): Gives the target taps and proposals.

        Returns:
            dict[str, Tensor]: ``loss_image``, ``loss_instance``,
            ``loss_consistency``; ``accuracy_image`` and
            ``accuracy_instance``, in percent; the numbers
            ``proposals_source`` and ``proposals_target``.
        """
        terms, image_probs, instance_probs, valids = [], [], [], []
        for domain, label in ((source, SOURCE), (target, TARGET)):
            image = self.image_classifier(self.reverse(domain.taps[-1])).squeeze(1)
            instance = self.instance_classifier(
                self.reverse(domain.proposals.vectors)
            ).squeeze(1)
            valid = domain.valid_positions(image)
            image_prob = image.float().sigmoid()
            instance_prob = instance.float().sigmoid()
            image_of = domain.proposals.rois[:, 0].long()
            image_mean = mean_of_valid(image_prob, valid)[image_of]
            terms.append(
                dict(
                    loss_image=mean_of_valid(
                        domain_cross_entropy(image, label), valid
                    ).mean(),
                    loss_instance=_mean(domain_cross_entropy(instance, label)),
                    loss_consistency=_mean((image_mean - instance_prob).abs()),
                )
            )
            image_probs.append(image_prob)
            instance_probs.append(instance_prob)
            valids.append(valid)
        return dict(
            {
                key: self.loss_weight * (terms[0][key] + terms[1][key])
                for key in terms[0]
            },
            accuracy_image=balanced_accuracy(image_probs[0], image_probs[1], valids),
            accuracy_instance=balanced_accuracy(*instance_probs),
            proposals_source=image_prob.new_full((), len(instance_probs[0])),
            proposals_target=image_prob.new_full((), len(instance_probs[1])),
        )


def _mean(values: Tensor) -> Tensor:
    """Average the values; none give 0, still in the graph."""
    return values.sum() / max(1, len(values))
