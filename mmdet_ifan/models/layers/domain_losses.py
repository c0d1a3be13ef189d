"""Cross-entropies of the baselines' alignments."""

import torch
from torch import Tensor
from torch.nn import functional as F


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
