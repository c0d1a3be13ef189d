"""Cross-entropies of the alignments that iFAN is compared with."""
import torch
from torch import Tensor
from torch.nn import functional as F


def domain_cross_entropy(logits: Tensor, domain: float) -> Tensor:
    """Binary cross-entropy of each output against its domain.

    Args:
        logits (Tensor): Of any shape.
        domain (float): 0 for source, 1 for target.

    Returns:
        Tensor: Of the same shape, in float32, >= 0.
    """
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(
        logits, torch.full_like(logits, domain), reduction='none')


def domain_focal_loss(logits: Tensor, domain: float, gamma: float) -> Tensor:
    r"""Cross-entropy that forgets what is easy to tell apart.

    :math:`-(1 - p)^\gamma \log p` with p the probability of the right domain
    (Lin et al., ICCV 2017; Saito et al., CVPR 2019, Eq. 4).

    Args:
        logits (Tensor): Of any shape.
        domain (float): 0 for source, 1 for target.
        gamma (float): Focus, >= 0; 0 gives the cross-entropy.

    Returns:
        Tensor: Of the same shape, in float32, >= 0.
    """
    cross_entropy = domain_cross_entropy(logits, domain)
    # 1 - exp(-x), exact also where x is nearly 0.
    return (-torch.expm1(-cross_entropy)).pow(gamma) * cross_entropy
