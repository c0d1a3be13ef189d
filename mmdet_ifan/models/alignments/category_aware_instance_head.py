"""Instance level: category-agnostic and category-aware (iFAN, Eq. 4, 5)."""

from collections.abc import Sequence
from typing import Any

from mmdet.registry import MODELS
from torch import Tensor

from ..domain_features import DomainFeatures
from ..layers import SOURCE, TARGET, DomainClassifier, balanced_accuracy
from .base_alignment import BaseAlignment


@MODELS.register_module()
class CategoryAwareInstanceHead(BaseAlignment):
    r"""A domain classifier per category on the RoI features of proposals.

    With :math:`p_{ij}` the RoIAlign features of proposal j of image i and
    :math:`\hat y_{ijc}` the detector's probability of category c for it,

    .. math::
        L_{cat} = E_i \frac{1}{N_i} \sum_j \sum_c \hat y_{ijc}
        (D_{ins}(p_{ij})_c - d)^2

    with d = 0 on source and 1 on target, added up over both domains. The
    probabilities are soft pseudo-labels in both domains and carry no
    gradient. The background is left out, so background proposals fade by
    themselves. The squared error is averaged over the P x P positions of the
    pooled features.

    Args:
        in_channels (int): Channels of the pooled features.
        num_classes (int): Number C of foreground categories. None in the
            config of an ``IFANDetector`` becomes the box head's number.
        category_aware (bool): False gives Eq. 4: one classifier for all
            categories, and every proposal counts 1. Defaults to True.
        hidden_channels (Sequence[int]): Hidden widths of the classifiers.
            Defaults to (256, 128).
        **kwargs: ``loss_weight`` and ``grl_weight`` of
            :class:`BaseAlignment`.
    """

    FROM_DETECTOR = dict(in_channels='roi_channels', num_classes='num_classes')

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        category_aware: bool = True,
        hidden_channels: Sequence[int] = (256, 128),
        **kwargs: Any,
    ) -> None:
        # The sigmoid starts near 0.5, where its slope is largest. The image
        # level keeps PyTorch's initialisation, as Strong-Weak's code does:
        # 0.01 gained nothing there.
        super().__init__(
            init_cfg=dict(type='Normal', layer='Conv2d', std=0.01), **kwargs
        )
        self.num_classes = num_classes
        self.category_aware = category_aware
        self.classifier = DomainClassifier(
            in_channels, num_classes if category_aware else 1, hidden_channels
        )

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Compute Eq. 5, or Eq. 4 if not category-aware.

        Args:
            source (DomainFeatures): Gives the source proposals.
            target (DomainFeatures): Gives the target proposals.

        Returns:
            dict[str, Tensor]: ``loss``; ``accuracy``, in percent, of the
            classifier of each proposal's likeliest category;
            ``proposals_source`` and ``proposals_target``, their numbers; and,
            if category-aware, ``objects_source`` and ``objects_target``, the
            sums of their foreground probabilities.

        Raises:
            ValueError: If the box head has another number of classes.
        """
        source_loss, source_output = self._domain_loss(source, SOURCE)
        target_loss, target_output = self._domain_loss(target, TARGET)
        logged = dict(
            loss=self.loss_weight * (source_loss + target_loss),
            accuracy=balanced_accuracy(source_output, target_output),
        )
        for name, domain in (('source', source), ('target', target)):
            proposals = domain.proposals
            logged[f'proposals_{name}'] = source_loss.new_full((), len(proposals.rois))
            if self.category_aware:
                logged[f'objects_{name}'] = proposals.foreground_probs.sum()
        return logged

    def _domain_loss(
        self, domain: DomainFeatures, label: float
    ) -> tuple[Tensor, Tensor]:
        """Compute one domain's term, and the outputs to take accuracy of."""
        proposals = domain.proposals
        output = self.classifier(self.reverse(proposals.roi_feats))
        error = (output - label).square().mean(dim=(2, 3))
        if self.category_aware:
            probs = proposals.foreground_probs
            if probs.shape[1] != self.num_classes:
                raise ValueError(
                    f'{type(self).__name__} has num_classes='
                    f'{self.num_classes}, but the box head scores '
                    f'{probs.shape[1]} classes: make them agree.'
                )
            error = error * probs
            best = probs.argmax(dim=1)[:, None, None, None]
            output = output.detach().take_along_dim(best, dim=1)
        per_image = error.sum(dim=1).split(proposals.num_per_img)
        # An image without proposals adds 0 and stays in the graph.
        terms = [image.sum() / max(1, len(image)) for image in per_image]
        return sum(terms) / len(terms), output
