"""A neck for methods without an image level."""

from collections.abc import Sequence

from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor


@MODELS.register_module()
class LastTap(BaseModule):
    """Pass on the last tap alone."""

    def forward(self, taps: Sequence[Tensor]) -> tuple[Tensor]:
        """Pass on the last tap.

        Args:
            taps (Sequence[Tensor]): Backbone outputs, the l-th of shape
                (N, C_l, H_l, W_l).

        Returns:
            tuple[Tensor]: The last tap.
        """
        return (taps[-1],)
