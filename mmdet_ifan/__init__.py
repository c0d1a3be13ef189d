"""iFAN and unsupervised domain adaptive detection on MMDetection.

Importing the package registers its detector, alignments, data sets, sampler,
hooks and metric with MMDetection's registries, and does nothing else;
:mod:`mmdet_ifan.patch_mmengine` does the rest. A config imports both::

    custom_imports = dict(imports=['mmdet_ifan', 'mmdet_ifan.patch_mmengine'])
"""

from . import datasets, engine, evaluation, models, translation
from .version import __version__

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models', 'translation']
