"""One domain classifier for the whole image (the ADDA row of iFAN's tables).

ADDA (Tzeng et al., "Adversarial Discriminative Domain Adaptation", CVPR 2017)
is a method for classification. In detection tables its name stands for its
core: a single discriminator on the last layer's features of the whole image.
As for every method here, gradient reversal replaces its inverted labels and
its second network.
"""

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
class GlobalDomainHead(BaseAlignment):
    """Cross-entropy of a domain classifier on the averaged last tap.

    Args:
        in_channels (int): Channels of the last tap.
        hidden_channels (int): Width of the two hidden layers.
            Defaults to 256.
        **kwargs: ``loss_weight`` and ``grl_weight`` of
            :class:`BaseAlignment`.
    """

    FROM_DETECTOR = dict(in_channels='last_tap_channels')

    def __init__(
        self, in_channels: int, hidden_channels: int = 256, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.classifier = nn.Sequential(
            nn.Linear(in_channels, hidden_channels),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_channels, hidden_channels),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_channels, 1),
        )

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Add up the mean cross-entropies over each domain's images.

        Args:
            source (DomainFeatures): Gives the source taps.
            target (DomainFeatures): Gives the target taps.

        Returns:
            dict[str, Tensor]: ``loss`` and ``accuracy`` in percent.
        """
        terms, outputs = [], []
        for domain, label in ((source, SOURCE), (target, TARGET)):
            tap = domain.taps[-1]
            valid = domain.valid_positions(tap[:, 0])
            logits = self.classifier(self.reverse(mean_of_valid(tap, valid)))
            terms.append(domain_cross_entropy(logits, label).mean())
            outputs.append(logits.sigmoid())
        return dict(
            loss=self.loss_weight * (terms[0] + terms[1]),
            accuracy=balanced_accuracy(*outputs),
        )
