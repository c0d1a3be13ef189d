"""A RoI head that also looks at the whole image (Saito et al., CVPR 2019)."""
from typing import Any

from mmdet.models import Shared2FCBBoxHead, StandardRoIHead
from mmdet.registry import MODELS
from torch import Tensor, nn

from ..necks.strong_weak_neck import FeatsWithContext


@MODELS.register_module()
class ContextBBoxHead(Shared2FCBBoxHead):
    """Two shared layers, then class and box from RoI and context together.

    A linear layer on the two vectors joined is the sum of one on each. Kept
    apart, the RoI's have the names and shapes of mmdet's, so that a plain
    detector's checkpoint is a start for this one.

    Args:
        context_channels (int): Length of an image's context.
        **kwargs: Arguments of mmdet's ``Shared2FCBBoxHead``.
    """

    def __init__(self, context_channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.context_cls, self.context_reg = (
            nn.Linear(context_channels, layer.out_features, bias=False)
            for layer in (self.fc_cls, self.fc_reg))
        # As mmdet initialises the layers beside them.
        nn.init.normal_(self.context_cls.weight, std=0.01)
        nn.init.normal_(self.context_reg.weight, std=0.001)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Score and refine proposals.

        Args:
            x (Tensor): Pooled features of shape (K, C, P, P).
            context (Tensor): Context of each proposal's image, of shape
                (K, context_channels).

        Returns:
            tuple[Tensor, Tensor]: Logits (K, num_classes + 1) and box deltas
            (K, 4 * num_classes).
        """
        cls_score, bbox_pred = super().forward(x)
        return (cls_score + self.context_cls(context),
                bbox_pred + self.context_reg(context))


@MODELS.register_module()
class ContextRoIHead(StandardRoIHead):
    """Give :class:`ContextBBoxHead` the context that the neck computed."""

    def _bbox_forward(self, x: FeatsWithContext,
                      rois: Tensor) -> dict[str, Tensor]:
        """Pool, score and refine, in training and testing.

        Args:
            x (FeatsWithContext): What the neck gives.
            rois (Tensor): Image index and box of shape (K, 5), in pixels.

        Returns:
            dict[str, Tensor]: ``cls_score``, ``bbox_pred``, ``bbox_feats``.

        Raises:
            TypeError: If the neck gives no context.
        """
        if not hasattr(x, 'context'):
            raise TypeError(
                'A ContextRoIHead needs the context that a StrongWeakNeck '
                "gives: set model.neck.type='StrongWeakNeck', or take a "
                'StandardRoIHead.')
        bbox_feats = self.bbox_roi_extractor(x, rois)
        cls_score, bbox_pred = self.bbox_head(bbox_feats,
                                              x.context[rois[:, 0].long()])
        return dict(
            cls_score=cls_score, bbox_pred=bbox_pred, bbox_feats=bbox_feats)
