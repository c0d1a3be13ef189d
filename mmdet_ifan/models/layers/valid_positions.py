"""Positions of a feature map that show the image, not padding."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .precision import at_least_float


def valid_positions(
    output: Tensor, img_shapes: Sequence[tuple[int, int]], batch_shape: tuple[int, int]
) -> Tensor:
    """Mark the positions whose whole cell lies in the image.

    If the padded size is no multiple of the stride, the last position may
    show up to a cell of padding.

    Args:
        output (Tensor): Maps of shape (N, H, W).
        img_shapes (Sequence[tuple[int, int]]): Height and width of each of
            the N images without padding, in pixels.
        batch_shape (tuple[int, int]): Height and width of the padded batch,
            in pixels.

    Returns:
        Tensor: Booleans of shape (N, H, W), at least one of each image true.
    """
    bounds = [
        [
            max(1, int(size * length / padded))
            for size, length, padded in zip(
                shape, output.shape[1:], batch_shape, strict=True
            )
        ]
        for shape in img_shapes
    ]
    # Sending the bounds to a device as a tensor would wait for it.
    in_rows, in_columns = (
        torch.stack(
            [
                torch.arange(length, device=output.device) < bound[axis]
                for bound in bounds
            ]
        )
        for axis, length in enumerate(output.shape[1:])
    )
    return in_rows[:, :, None] & in_columns[:, None, :]


def mean_of_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Average each image's valid positions.

    Args:
        values (Tensor): Maps of shape (N, H, W) or (N, C, H, W).
        valid (Tensor): Booleans of shape (N, H, W), at least one of each
            image true.

    Returns:
        Tensor: Of shape (N, ) or (N, C), in the dtype of the values.
    """
    counts = valid.sum(dim=(1, 2))
    if values.dim() == 4:
        valid, counts = valid[:, None], counts[:, None]
    # A large map's sum would overflow half precision.
    total = (at_least_float(values) * valid).sum(dim=(-2, -1))
    return (total / counts).to(values.dtype)
