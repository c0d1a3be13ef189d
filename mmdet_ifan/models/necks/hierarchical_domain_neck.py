"""The image level in the neck's place, as in the paper's configs."""

from collections.abc import Sequence

from mmdet.registry import MODELS
from torch import Tensor

from ..alignments import HierarchicalDomainHead


@MODELS.register_module()
class HierarchicalDomainNeck(HierarchicalDomainHead):
    """Pass on the last tap and, in training, align the taps.

    The detector calls this term ``image``. With another neck, such as an FPN,
    put a :class:`HierarchicalDomainHead` among the ``alignments`` instead.

    Args:
        *args: Arguments of :class:`HierarchicalDomainHead`.
        **kwargs: The same.
    """

    def forward(self, taps: Sequence[Tensor]) -> tuple[Tensor]:
        """Pass on the last tap.

        Args:
            taps (Sequence[Tensor]): Backbone outputs, the l-th of shape
                (N, in_channels[l], H_l, W_l).

        Returns:
            tuple[Tensor]: The last tap.

        Raises:
            ValueError: If their number or channels differ from
                ``in_channels``.
        """
        channels = tuple(tap.shape[1] for tap in taps)
        if channels != self.in_channels:
            raise ValueError(
                f'The neck expects taps with {self.in_channels} channels, but '
                f'the backbone gives {channels}: make in_channels of the neck '
                'and out_indices of the backbone agree.'
            )
        return (taps[-1],)
