"""The optical model of Foggy Cityscapes (Sakaridis et al., IJCV 2018)."""

import numpy as np

OFFICIAL_BETAS = (0.005, 0.01, 0.02)  # 1/m, the levels of Foggy Cityscapes.
DENSE_BETA = 0.05  # 60 m of sight, for a gap that ImageNet does not close.
# The dense level last: the noise of the others stays as it was without it.
BETAS = (*OFFICIAL_BETAS, DENSE_BETA)


def transmission(depth: np.ndarray, beta: float) -> np.ndarray:
    """Share of light that arrives, t = exp(-beta * depth).

    Args:
        depth (np.ndarray): Distance in m, of any shape.
        beta (float): Attenuation in 1/m; 0.02 leaves 150 m of sight.

    Returns:
        np.ndarray: In [0, 1], of the same shape.
    """
    return np.exp(-beta * depth)


def add_fog(image: np.ndarray, depth: np.ndarray, beta: float,
            airlight: np.ndarray) -> np.ndarray:
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
