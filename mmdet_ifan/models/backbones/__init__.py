"""Backbones that give four taps."""
from .tapped_vgg import TappedVGG
from .vgg16_init import VGG16Init

__all__ = ['TappedVGG', 'VGG16Init']
