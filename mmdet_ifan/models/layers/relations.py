"""Relations of objects: directions of their vectors, means over some pairs."""

import torch
from torch import Tensor


def unit_vectors(vectors: Tensor, eps: float = 0.0) -> Tensor:
    """Scale vectors to length 1; those without a direction become zeros.

    ``torch.nn.functional.normalize`` gives zeros a gradient of 1 / eps, up to
    1e12. Here they have none.

    Args:
        vectors (Tensor): Of shape (K, C), at least single precision.
        eps (float): Length >= 0 up to which a vector has no direction.
            Defaults to 0.

    Returns:
        Tensor: Of the same shape.
    """
    length = vectors.norm(dim=1, keepdim=True)
    return vectors / torch.where(length > eps, length, torch.inf)


def mean_over(
    values: Tensor, mask: Tensor, dim: int | tuple[int, ...] | None = None
) -> Tensor:
    """Average the masked values; none give 0, still in the graph.

    Args:
        values (Tensor): Of any shape, finite.
        mask (Tensor): Booleans of the same shape.
        dim (int | tuple[int, ...], optional): Dimensions to average over.
            Defaults to None, all.

    Returns:
        Tensor: Of the other dimensions; a scalar if there are none.
    """
    return (values * mask).sum(dim) / mask.sum(dim).clamp(min=1)
