"""A neck for backbones whose last tap alone is worked on."""
from collections.abc import Sequence

from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor


@MODELS.register_module()
class LastTap(BaseModule):
    """Hand the last tap on; for methods without an image level in the neck."""

    def forward(self, taps: Sequence[Tensor]) -> tuple[Tensor]:
        """Pass the last tap on.

        Args:
            taps (Sequence[Tensor]): Backbone outputs, the l-th of shape
                (N, C_l, H_l, W_l).

        Returns:
            tuple[Tensor]: The last one alone.
        """
        return (taps[-1], )
