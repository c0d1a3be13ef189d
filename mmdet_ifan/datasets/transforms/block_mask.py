"""Hide blocks of an image (Hoyer et al., "MIC", CVPR 2023)."""

import math

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class BlockMask(BaseTransform):
    """Blacken square blocks of an image, each by chance. Boxes stay.

    Args:
        block_size (int): Side of a block in pixels, >= 1; at the right and at
            the bottom blocks may be cut. Defaults to 32.
        ratio (float): Probability in [0, 1] that a block is blackened.
            Defaults to 0.5.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, block_size: int = 32, ratio: float = 0.5) -> None:
        if block_size < 1 or not 0 <= ratio <= 1:
            raise ValueError(
                'BlockMask needs a block_size of 1 px or more and a ratio in '
                f'[0, 1], but got {block_size} and {ratio}.'
            )
        self.block_size = block_size
        self.ratio = ratio

    def _draw(self, rows: int, columns: int) -> np.ndarray:
        """Draw which blocks are kept, booleans of shape (rows, columns)."""
        return np.random.random_sample((rows, columns)) >= self.ratio

    def transform(self, results: dict) -> dict:
        """Blacken blocks of ``img``, of shape (H, W, C)."""
        height, width = results['img'].shape[:2]
        kept = self._draw(
            *(math.ceil(side / self.block_size) for side in (height, width))
        )
        for axis in (0, 1):
            kept = kept.repeat(self.block_size, axis)
        results['img'] = results['img'] * kept[:height, :width, None]
        return results
