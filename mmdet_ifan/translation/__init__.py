"""Learn to paint a domain's images in the look of the other (CycleGAN)."""

from .cycle_gan import CycleGAN
from .image_pool import ImagePool
from .networks import PatchClassifier, ResnetGenerator
from .samples_hook import TranslationSamplesHook
from .translator import Translator

__all__ = [
    'CycleGAN',
    'ImagePool',
    'PatchClassifier',
    'ResnetGenerator',
    'TranslationSamplesHook',
    'Translator',
]
