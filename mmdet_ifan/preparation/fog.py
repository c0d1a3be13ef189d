"""Optical model of Foggy Cityscapes (Sakaridis et al., IJCV 2018)."""

import cv2
import numpy as np

OFFICIAL_BETAS = (0.005, 0.01, 0.02)  # 1/m, the levels of Foggy Cityscapes.
DENSE_BETA = 0.05  # 60 m of sight: a gap that ImageNet does not close.
# The dense level comes last so that the noise of the others stays the same.
BETAS = (*OFFICIAL_BETAS, DENSE_BETA)

#: m; stands for infinity. Fog of beta 0.005 leaves 0.7 % of the light there.
SKY_DEPTH = 1000.0
PATCH = 15  # px; side of the dark channel's patch, as in He et al.
BRIGHTEST = 0.001  # Share of pixels that show the airlight, as in He et al.


def transmission(depth: np.ndarray, beta: float) -> np.ndarray:
    """Compute the share of light that arrives, t = exp(-beta * depth).

    Args:
        depth (np.ndarray): Distance in m, of any shape.
        beta (float): Attenuation in 1/m; 0.02 leaves 150 m of sight.

    Returns:
        np.ndarray: In [0, 1], of the same shape.
    """
    return np.exp(-beta * depth)


def add_fog(
    image: np.ndarray, depth: np.ndarray, beta: float, airlight: np.ndarray
) -> np.ndarray:
    """Put homogeneous fog into an image, I = J * t + A * (1 - t).

    Args:
        image (np.ndarray): Clear image J, of shape (H, W, 3).
        depth (np.ndarray): Distance in m, of shape (H, W).
        beta (float): Attenuation in 1/m.
        airlight (np.ndarray): Atmospheric light A, of shape (3, ), in the
            units of the image.

    Returns:
        np.ndarray: Foggy image I, float32, of shape (H, W, 3).
    """
    arriving = transmission(depth.astype(np.float32), beta)[..., None]
    haze = np.asarray(airlight, dtype=np.float32)
    return image * arriving + haze * (1 - arriving)


def estimate_airlight(image: np.ndarray) -> np.ndarray:
    """Estimate the colour of fog from a clear image.

    The brightest 0.1 % of the dark channel (He, Sun and Tang, Single Image
    Haze Removal Using Dark Channel Prior, CVPR 2009) are pixels whose
    neighbourhood is bright in all channels. They show the sky, or what is
    most like it. A white car shifts their median less than their maximum.

    Args:
        image (np.ndarray): Clear image, uint8 of shape (H, W, 3).

    Returns:
        np.ndarray: In the units of the image, of shape (3, ).
    """
    # OpenCV's default border does not take part in the minimum.
    dark = cv2.erode(image.min(axis=2), np.ones((PATCH, PATCH), np.uint8))
    count = max(1, round(dark.size * BRIGHTEST))
    chosen = np.argpartition(dark.ravel(), -count)[-count:]
    return np.median(image.reshape(-1, 3)[chosen], axis=0)


def depth_from_disparity(
    stored: np.ndarray, baseline: float, focal: float, sky: np.ndarray
) -> np.ndarray:
    """Turn disparity into depth, depth = baseline * focal / disparity.

    A stereo matcher leaves holes where nothing matches. The sky is
    infinitely far, whatever was measured there. Other holes are mostly next
    to the edge of a near object, where the other camera does not see the
    ground behind it. Such a hole gets the smaller of the disparities to its
    left and right, that of the background ('background interpolation' of the
    KITTI stereo benchmark). A row without any disparity gets those above it,
    or below.

    Args:
        stored (np.ndarray): Disparity of Cityscapes, uint16 of shape (H, W):
            (p - 1) / 256 px for p > 0, unknown for 0.
        baseline (float): Distance of the two cameras in m.
        focal (float): Focal length in px.
        sky (np.ndarray): Mask of the sky, bool of shape (H, W).

    Returns:
        np.ndarray: In m, in (0, SKY_DEPTH], float32 of shape (H, W).

    Raises:
        ValueError: If only the sky has a disparity.
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
        known (np.ndarray): Mask of known values, bool of shape (H, W), with
            at least one.

    Returns:
        np.ndarray: Filled copy of shape (H, W).
    """
    columns = np.arange(values.shape[1])
    # The last known column up to each one, and the next from there on.
    left = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    right = np.minimum.accumulate(
        np.where(known, columns, len(columns))[:, ::-1], axis=1
    )[:, ::-1]
    padded = np.pad(values, ((0, 0), (1, 1)), constant_values=np.inf)
    filled = np.minimum(
        np.take_along_axis(padded, left + 1, axis=1),
        np.take_along_axis(padded, right + 1, axis=1),
    )
    rows = np.flatnonzero(known.any(axis=1))
    above = np.searchsorted(rows, np.arange(len(values)), side='right') - 1
    return filled[rows[np.maximum(above, 0)]]
