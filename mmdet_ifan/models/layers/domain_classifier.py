"""iFAN's domain classifier (Eq. 2, 4, 5), and the baselines' cross-entropies."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Domain labels of the paper: source 0, target 1.
SOURCE, TARGET = 0.0, 1.0


class DomainClassifier(nn.Module):
    """Classify each position by three 1x1 convolutions and a sigmoid.

    The widths are those of Strong-Weak (Saito et al., CVPR 2019), which iFAN
    follows: in -> 256 -> 128 -> out, with ReLU between.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Number of classifiers that share the two hidden
            layers: 1, or one per category. Defaults to 1.
        hidden_channels (Sequence[int]): Widths of the hidden layers.
            Defaults to (256, 128).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 1,
        hidden_channels: Sequence[int] = (256, 128),
    ) -> None:
        super().__init__()
        widths = (in_channels, *hidden_channels)
        layers: list[nn.Module] = []
        for width, next_width in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Conv2d(width, next_width, 1), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], out_channels, 1))

    def hidden(self, x: Tensor) -> Tensor:
        """Compute the last hidden layer, (N, hidden_channels[-1], H, W)."""
        return self.layers[:-1](x)

    def forward(self, x: Tensor) -> Tensor:
        """Score how much each position looks like target.

        Args:
            x (Tensor): Features of shape (N, in_channels, H, W).

        Returns:
            Tensor: Float32 of shape (N, out_channels, H, W), in [0, 1]: 0
            stands for source, 1 for target.
        """
        return self.layers(x).float().sigmoid()


def balanced_accuracy(
    source: Tensor, target: Tensor, valid: Sequence[Tensor] | None = None
) -> Tensor:
    """Average the shares of source and target outputs that are right.

    Args:
        source (Tensor): Outputs in [0, 1] on source, of any shape.
        target (Tensor): Outputs in [0, 1] on target, of any shape.
        valid (Sequence[Tensor], optional): Of source and of target, booleans
            of the same shape that mark what counts. Defaults to None: all
            count.

    Returns:
        Tensor: A scalar in percent, without gradient. 50 is chance, which is
        what the detector wants. A domain without outputs counts as 50.
    """
    with torch.no_grad():
        right = (source < 0.5, target >= 0.5)
        if valid is not None:
            # Picking the valid ones would wait for the device.
            shares = [
                ((hit & mask).sum() / mask.sum()).nan_to_num(nan=0.5)
                for hit, mask in zip(right, valid, strict=True)
            ]
        else:
            shares = [
                hit.float().mean() if hit.numel() else source.new_tensor(0.5)
                for hit in right
            ]
        return 50.0 * (shares[0] + shares[1])


def domain_cross_entropy(logits: Tensor, domain: float) -> Tensor:
    """Compute the binary cross-entropy of each output.

    Args:
        logits (Tensor): Of any shape.
        domain (float): 0 for source, 1 for target, or another label in [0, 1].

    Returns:
        Tensor: Float32 of the same shape, >= 0.
    """
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(
        logits, torch.full_like(logits, domain), reduction='none'
    )


def domain_focal_loss(logits: Tensor, domain: float, gamma: float) -> Tensor:
    r"""Compute a cross-entropy that plays down what is easy to tell apart.

    It is :math:`-(1 - p)^\gamma \log p` with p the probability of the right
    domain (Lin et al., ICCV 2017; Saito et al., CVPR 2019, Eq. 4).

    Args:
        logits (Tensor): Of any shape.
        domain (float): 0 for source, 1 for target.
        gamma (float): Focus, >= 0; 0 gives the cross-entropy.

    Returns:
        Tensor: Float32 of the same shape, >= 0.
    """
    cross_entropy = domain_cross_entropy(logits, domain)
    # 1 - p, exact also where p is nearly 1.
    return (-torch.expm1(-cross_entropy)).pow(gamma) * cross_entropy
