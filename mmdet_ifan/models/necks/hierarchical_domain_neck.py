"""The image level in the neck's place, as the paper's detectors have it."""
from collections.abc import Sequence

from mmdet.registry import MODELS
from torch import Tensor

from ..alignments import HierarchicalDomainHead


@MODELS.register_module()
class HierarchicalDomainNeck(HierarchicalDomainHead):
    """Hand the last tap on to RPN and RoI head and, in training, align all.

    It is the alignment of the name ``image``. With another neck, such as an
    FPN, :class:`HierarchicalDomainHead` stands among the ``alignments``.

    Args:
        *args: See :class:`HierarchicalDomainHead`.
        **kwargs: See there.
    """

    def forward(self, taps: Sequence[Tensor]) -> tuple[Tensor]:
        """Pass the last tap on.

        Args:
            taps (Sequence[Tensor]): Backbone outputs, the l-th of shape
                (N, in_channels[l], H_l, W_l).

        Returns:
            tuple[Tensor]: The last tap alone.

        Raises:
            ValueError: If their number or channels differ from
                ``in_channels``.
        """
        channels = tuple(tap.shape[1] for tap in taps)
        if channels != self.in_channels:
            raise ValueError(
                f'The neck expects taps with {self.in_channels} channels, but '
                f'the backbone gives {channels}: make in_channels of the neck '
                'and out_indices of the backbone agree.')
        return (taps[-1], )
