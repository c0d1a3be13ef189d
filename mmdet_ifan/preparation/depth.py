"""Depth from Cityscapes' disparity, with its holes filled."""

import numpy as np

#: m. Stands for infinity; fog of beta 0.005 leaves 0.7 % of what is there.
SKY_DEPTH = 1000.0


def depth_from_disparity(stored: np.ndarray, baseline: float, focal: float,
                         sky: np.ndarray) -> np.ndarray:
    """Turn disparity into depth, depth = baseline * focal / disparity.

    A stereo matcher leaves holes where it has nothing to match. The sky is
    infinitely far, whatever was measured there. Other holes lie mostly
    beside the edge of a near object, where the other camera does not see the
    ground behind it, so a hole gets the smaller of the disparities to its
    left and right in its row, which is the background's ('background
    interpolation' of the KITTI stereo benchmark). A row that has none gets
    the disparity above it, or below.

    Args:
        stored (np.ndarray): Cityscapes' disparity, uint16 of shape (H, W):
            (p - 1) / 256 px for p > 0, 0 where there is none.
        baseline (float): Of the two cameras, in m.
        focal (float): In px.
        sky (np.ndarray): Where the sky is, bool of shape (H, W).

    Returns:
        np.ndarray: In m, in (0, SKY_DEPTH], float32 of shape (H, W).

    Raises:
        ValueError: If nothing but sky has a disparity.
    """
    known = (stored > 0) & ~sky
    if not known.any():
        raise ValueError('no measurement')
    disparity = (stored.astype(np.float32) - 1) / 256
    filled = fill_holes(disparity, known)
    nearest_to_none = baseline * focal / SKY_DEPTH
    depth = baseline * focal / np.maximum(filled, nearest_to_none)
    depth[sky] = SKY_DEPTH
    return depth.astype(np.float32)


def fill_holes(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill from the smaller neighbour in the row, then from above or below.

    Args:
        values (np.ndarray): Of shape (H, W).
        known (np.ndarray): Where they are known, bool of shape (H, W); once
            at least.

    Returns:
        np.ndarray: A filled copy of shape (H, W).
    """
    columns = np.arange(values.shape[1])
    # The last known column up to each one, and the next from there on.
    left = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    right = np.minimum.accumulate(
        np.where(known, columns, len(columns))[:, ::-1], axis=1)[:, ::-1]
    padded = np.pad(values, ((0, 0), (1, 1)), constant_values=np.inf)
    filled = np.minimum(np.take_along_axis(padded, left + 1, axis=1),
                        np.take_along_axis(padded, right + 1, axis=1))
    rows = np.flatnonzero(known.any(axis=1))
    above = np.searchsorted(rows, np.arange(len(values)), side='right') - 1
    return filled[rows[np.maximum(above, 0)]]
