"""Layer normalisation of feature maps (Ba et al., 2016; as in ConvNeXt)."""
from mmengine.registry import MODELS
from torch import Tensor, nn


# In mmengine's own registry, which is where mmcv looks for norm layers.
@MODELS.register_module('LN2d')
class LayerNorm2d(nn.LayerNorm):
    """Normalise each position of a map over its channels.

    Group normalisation takes away what an image loses in contrast as a whole,
    this what each of its positions loses, as fog does with distance.

    Args:
        num_features (int): Channels.
        eps (float): Added to the variance. Defaults to 1e-5.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a map.

        Args:
            x (Tensor): Features of shape (N, C, H, W).

        Returns:
            Tensor: Of the same shape, with mean 0 and variance 1 over the
            channels of each position, times the weight, plus the bias.
        """
        x = super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        # mmcv's RoIAlign takes any memory for contiguous.
        return x.contiguous()
