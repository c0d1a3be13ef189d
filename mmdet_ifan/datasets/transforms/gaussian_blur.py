"""Blur an image."""

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class GaussianBlur(BaseTransform):
    """Convolve an image with a Gaussian of a random width. Boxes stay.

    Args:
        sigma (Sequence[float]): Least and largest standard deviation in
            pixels, > 0. Defaults to (0.1, 2.0).

    Raises:
        ValueError: If they are out of range or in the wrong order.
    """

    def __init__(self, sigma: Sequence[float] = (0.1, 2.0)) -> None:
        if len(sigma) != 2 or not 0 < sigma[0] <= sigma[1]:
            raise ValueError(
                'sigma of GaussianBlur is the least and the largest standard '
                f'deviation in pixels, such as (0.1, 2.0), but got {sigma!r}.'
            )
        self.least, self.largest = sigma

    def _draw(self) -> float:
        """Draw the standard deviation."""
        return np.random.uniform(self.least, self.largest)

    def transform(self, results: dict) -> dict:
        """Blur ``img``, of shape (H, W, C)."""
        results['img'] = cv2.GaussianBlur(results['img'], (0, 0), self._draw())
        return results
