"""Backbones that give several taps."""

from . import package_weights as package_weights
from .tapped_vgg import TappedVGG
from .timm_init import TimmInit
from .timm_taps import TimmTaps
from .vgg16_init import VGG16Init

__all__ = ['TappedVGG', 'TimmInit', 'TimmTaps', 'VGG16Init']
