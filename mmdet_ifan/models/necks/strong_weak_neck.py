"""Strong-Weak alignment (Saito et al., CVPR 2019).

"Strong-Weak Distribution Alignment for Adaptive Object Detection".
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from mmcv.cnn import ConvModule
from mmdet.registry import MODELS
from torch import Tensor, nn

from ..domain_features import DomainFeatures
from ..layers import (
    SOURCE,
    TARGET,
    DomainClassifier,
    SinglePrecisionConv2d,
    balanced_accuracy,
    domain_focal_loss,
    mean_of_valid,
)
from .hierarchical_domain_neck import HierarchicalDomainNeck


class FeatsWithContext(tuple):
    """Feature maps for RPN and RoI head, with each image's context.

    Attributes:
        context (Tensor): Vectors of shape (N, C).
    """

    context: Tensor


class _BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that accepts a single position.

    One position has no variance, and PyTorch refuses it. The running
    statistics are used instead, as in testing.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise maps of shape (N, C, H, W)."""
        if self.training and x.numel() == x.shape[1]:
            return nn.functional.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                eps=self.eps,
            )
        return super().forward(x)


@MODELS.register_module()
class StrongWeakNeck(HierarchicalDomainNeck):
    r"""Strong local and weak global alignment, and the context of both.

    Local: least squares at each position of a low tap, as in iFAN's image
    level (the paper's Eq. 2 and 3, halved). Global: the focal loss of a
    classifier of whole images on the last tap, which plays down images that
    are easy to tell apart (Eq. 4 and 5, halved as well).

    The RoI head receives a hidden layer of either classifier, averaged over
    the image, as context, also at test time: see
    :class:`mmdet_ifan.models.ContextRoIHead`. No gradient flows from the
    context into the backbone. The average includes padding, so use batches of
    one for images of different sizes.

    Args:
        in_channels (Sequence[int]): Channels of each backbone tap.
        local_tap (int): Tap of the local alignment, counted from 0.
            Defaults to 1: pool3 of VGG-16, where the paper has conv3_3.
        gamma (float): Focus of the focal loss, >= 0. Defaults to 5.0.
        loss_weight (float): Weight of the term, >= 0. The paper's trade-off
            of 0.1 is, in its code, a weight of the whole term for SIM10K
            only: set 0.1 there. Defaults to 1.0.
        **kwargs: ``grl_weight`` of :class:`BaseAlignment`, 1.0 also in the
            paper's code, and ``hidden_channels`` of
            :class:`HierarchicalDomainNeck`.
    """

    #: Length of each classifier's context.
    CONTEXT_CHANNELS = 128
    predicts = True

    def __init__(
        self,
        in_channels: Sequence[int],
        local_tap: int = 1,
        gamma: float = 5.0,
        loss_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            in_channels,
            taps=[local_tap],
            tap_weights=[0.5],
            loss_weight=loss_weight,
            **kwargs,
        )
        self.gamma = gamma
        widths = (in_channels[-1], 512, self.CONTEXT_CHANNELS, self.CONTEXT_CHANNELS)
        self.global_trunk = nn.Sequential(
            *[
                ConvModule(
                    width,
                    next_width,
                    3,
                    stride=2,
                    padding=1,
                    conv_cfg=dict(type=SinglePrecisionConv2d),
                    norm_cfg=dict(type=_BatchNorm),
                )
                for width, next_width in zip(widths[:-1], widths[1:], strict=True)
            ]
        )
        self.global_classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(self.CONTEXT_CHANNELS, 1)
        )

    def forward(self, taps: Sequence[Tensor]) -> FeatsWithContext:
        """Pass on the last tap, with the context of both classifiers.

        Args:
            taps (Sequence[Tensor]): Backbone outputs, the l-th of shape
                (N, in_channels[l], H_l, W_l).

        Returns:
            FeatsWithContext: The last tap; ``context`` of shape (N, 256).
        """
        feats = FeatsWithContext(super().forward(taps))
        local = cast(DomainClassifier, self.classifiers[0]).hidden(
            taps[self.taps[0]].detach()
        )
        weak = self.global_trunk(taps[-1].detach())
        feats.context = torch.cat(
            [local.mean(dim=(2, 3)), weak.mean(dim=(2, 3))], dim=1
        )
        return feats

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Compute both alignments.

        Args:
            source (DomainFeatures): Gives the source taps.
            target (DomainFeatures): Gives the target taps.

        Returns:
            dict[str, Tensor]: ``loss_phi{l}`` and ``accuracy_phi{l}`` of the
            local tap l, counted from 1; ``loss_global`` and
            ``accuracy_global``. Accuracies are in percent.
        """
        losses = super().loss(source, target)
        terms, outputs = [], []
        for domain, label in ((source, SOURCE), (target, TARGET)):
            maps = self.global_trunk(self.reverse(domain.taps[-1]))
            valid = domain.valid_positions(maps[:, 0])
            logits = self.global_classifier(mean_of_valid(maps, valid))
            terms.append(domain_focal_loss(logits, label, self.gamma).mean())
            outputs.append(logits.sigmoid())
        losses['loss_global'] = self.loss_weight * 0.5 * (terms[0] + terms[1])
        losses['accuracy_global'] = balanced_accuracy(*outputs)
        return losses
