"""Group boxes of an image into regions, without waiting for the device."""

import torch
from torch import Tensor

from .precision import at_least_float


def k_means(
    points: Tensor, num_groups: int, num_rounds: int = 10
) -> tuple[Tensor, Tensor]:
    """Group points by Lloyd's algorithm, deterministically.

    The first centre is the first point, each further one the point farthest
    from all centres before it. A group that loses its last point keeps its
    centre, and has the point that is nearest to it.

    Args:
        points (Tensor): Coordinates of shape (N, 2), N >= 1.
        num_groups (int): Number K of groups, >= 1, also more than N.
        num_rounds (int): Rounds of assigning points and moving centres.
            Defaults to 10.

    Returns:
        tuple[Tensor, Tensor]: The centres, float32 of shape (K, 2); and which
        points each group has, booleans of shape (K, N), at least one each.
    """
    points = at_least_float(points)
    centres = points[:1]
    for _ in range(num_groups - 1):
        # A number as an index would wait for the device.
        farthest = _distances(points, centres).amin(dim=1).argmax(dim=0, keepdim=True)
        centres = torch.cat([centres, points[farthest]])
    groups = torch.arange(num_groups, device=points.device)[:, None]
    for _ in range(num_rounds):
        own = _distances(points, centres).argmin(dim=1) == groups
        counts = own.sum(dim=1, keepdim=True)
        sums = (own[:, :, None] * points).sum(dim=1)
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    distances = _distances(points, centres)
    own = distances.argmin(dim=1) == groups
    nearest = distances.argmin(dim=0)[:, None] == torch.arange(
        len(points), device=points.device
    )
    return centres, torch.where(own.any(dim=1, keepdim=True), own, nearest)


def first_members(own: Tensor, number: int) -> Tensor:
    """Take the first members of each group, again from its front if needed.

    Args:
        own (Tensor): Which points each group has, booleans of shape (K, N),
            at least one each.
        number (int): Number M of members to take.

    Returns:
        Tensor: Indices of the points, of shape (K, M).
    """
    order = own.int().argsort(dim=1, descending=True, stable=True)
    turns = torch.arange(number, device=own.device) % own.sum(dim=1, keepdim=True)
    return order.gather(1, turns)


def cut_patches(
    image: Tensor, centres: Tensor, size: int, img_shape: tuple[int, int]
) -> Tensor:
    """Cut squares around points, moved inside the image where they leave it.

    Args:
        image (Tensor): Padded image of shape (C, H, W).
        centres (Tensor): x and y in pixels, of shape (K, 2); cut to integers.
        size (int): Side of the squares in pixels, no longer than the image's.
        img_shape (tuple[int, int]): Height and width without padding.

    Returns:
        Tensor: The squares, of shape (K, C, size, size).
    """
    steps = torch.arange(size, device=image.device)
    columns, rows = (
        (centres[:, axis].long() - size // 2).clamp(0, length - size)[:, None] + steps
        for axis, length in enumerate(reversed(img_shape))
    )
    return image[:, rows[:, :, None], columns[:, None, :]].transpose(0, 1)


def _distances(points: Tensor, centres: Tensor) -> Tensor:
    """Compute the squared distances (N, K) of points and centres.

    Not by a product of matrices, which mixed precision would round.
    """
    return (points[:, None] - centres).square().sum(dim=2)
