"""iFAN and unsupervised domain adaptive detection on MMDetection.

Importing the package registers its detector, alignments, data sets, sampler,
hook and metric with MMDetection's registries; a config does so with
``custom_imports=dict(imports=['mmdet_ifan'])``.
"""
from . import datasets, engine, evaluation, models
from .version import __version__

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models']
