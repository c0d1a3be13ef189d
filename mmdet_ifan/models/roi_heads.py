"""A RoI head that also looks at the whole image (Saito et al., CVPR 2019)."""

from typing import Any

from mmdet.models import Shared2FCBBoxHead, StandardRoIHead
from mmdet.registry import MODELS
from torch import Tensor, nn

from .necks.strong_weak_neck import FeatsWithContext


@MODELS.register_module()
class ContextBBoxHead(Shared2FCBBoxHead):
    """Classify and refine a RoI by its own vector and the image's context.

    A linear layer on two joined vectors equals the sum of one layer on each.
    Kept apart, the RoI's layers have mmdet's names and shapes, so this head
    can start from a plain detector's checkpoint.

    Args:
        context_channels (int): Length of an image's context.
        **kwargs: Arguments of mmdet's ``Shared2FCBBoxHead``.
    """

    def __init__(self, context_channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.context_cls, self.context_reg = (
            nn.Linear(context_channels, layer.out_features, bias=False)
            for layer in (self.fc_cls, self.fc_reg)
        )
        # As mmdet initialises fc_cls and fc_reg.
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
        return (
            cls_score + self.context_cls(context),
            bbox_pred + self.context_reg(context),
        )


@MODELS.register_module()
class ContextRoIHead(StandardRoIHead):
    """Give :class:`ContextBBoxHead` the context that the neck computed."""

    def _bbox_forward(self, x: FeatsWithContext, rois: Tensor) -> dict[str, Tensor]:
        """Pool, score and refine, in training and testing.

        Args:
            x (FeatsWithContext): Output of the neck.
            rois (Tensor): Image index and box of shape (K, 5), in pixels.

        Returns:
            dict[str, Tensor]: ``cls_score``, ``bbox_pred``, ``bbox_feats``.

        Raises:
            TypeError: If the neck computes no context.
        """
        if not hasattr(x, 'context'):
            raise TypeError(
                'A ContextRoIHead needs the context of a StrongWeakNeck: set '
                "model.neck.type='StrongWeakNeck', or use a StandardRoIHead."
            )
        bbox_feats = self.bbox_roi_extractor(x, rois)
        cls_score, bbox_pred = self.bbox_head(bbox_feats, x.context[rois[:, 0].long()])
        return dict(cls_score=cls_score, bbox_pred=bbox_pred, bbox_feats=bbox_feats)
