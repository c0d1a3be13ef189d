"""Transforms for views of an image that MMDetection lacks."""

from .block_mask import BlockMask
from .gaussian_blur import GaussianBlur

__all__ = ['BlockMask', 'GaussianBlur']
