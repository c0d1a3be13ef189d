"""The domain classifier of every alignment (iFAN, Eq. 2, 4 and 5)."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: Domain labels of the paper: source 0, target 1.
SOURCE, TARGET = 0.0, 1.0


class DomainClassifier(nn.Module):
    """Fully convolutional classifier: three 1x1 convolutions, then a sigmoid.

    The widths follow Strong-Weak alignment (Saito et al., CVPR 2019), which
    iFAN's experiments follow: in -> 256 -> 128 -> out, ReLU between.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Number of classifiers that share the two hidden
            layers: 1, or one per category. Defaults to 1.
        hidden_channels (Sequence[int]): Widths of the hidden layers.
            Defaults to (256, 128).
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int = 1,
                 hidden_channels: Sequence[int] = (256, 128)) -> None:
        super().__init__()
        widths = (in_channels, *hidden_channels)
        layers: list[nn.Module] = []
        for width, next_width in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Conv2d(width, next_width, 1), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(
            *layers, nn.Conv2d(widths[-1], out_channels, 1))

    def hidden(self, x: Tensor) -> Tensor:
        """Give the last hidden layer, (N, hidden_channels[-1], H, W)."""
        return self.layers[:-1](x)

    def forward(self, x: Tensor) -> Tensor:
        """Tell how much each position looks like the target domain.

        Args:
            x (Tensor): Features of shape (N, in_channels, H, W).

        Returns:
            Tensor: Values in (0, 1), of shape (N, out_channels, H, W), in
            float32: 0 stands for source, 1 for target.
        """
        return self.layers(x).float().sigmoid()


def balanced_accuracy(source: Tensor,
                      target: Tensor,
                      valid: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Mean of the shares of source and target positions told right.

    Args:
        source (Tensor): Classifier outputs on source, any shape.
        target (Tensor): Classifier outputs on target, any shape.
        valid (tuple[Tensor, Tensor], optional): Booleans of the same shapes,
            at least one of each true: what counts. Defaults to None, all.

    Returns:
        Tensor: A scalar in percent without gradient; 50 is chance, which is
        what the detector wants. A domain without a position counts as 50.
    """
    with torch.no_grad():
        shares = [(outputs < .5) if domain == SOURCE else (outputs >= .5)
                  for outputs, domain in ((source, SOURCE), (target, TARGET))]
        if valid is not None:
            # Picking the valid ones would wait for the device.
            right = [(share & mask).sum() / mask.sum()
                     for share, mask in zip(shares, valid, strict=True)]
        else:
            right = [
                share.float().mean() if share.numel() else source.new_full(
                    (), .5) for share in shares
            ]
        return 50. * (right[0] + right[1])
