"""iFAN and unsupervised domain adaptive detection on MMDetection.

Importing the package registers its detector, alignments, data sets, sampler,
hooks and metric with MMDetection's registries; a config does so with
``custom_imports=dict(imports=['mmdet_ifan'])``. From then on a config anywhere
may inherit from ours by name: ``_base_ = 'mmdet_ifan::ifan_mini-city.py'``.
"""
from . import datasets, engine, evaluation, models
from .engine.robustness.safe_loading import load_safely
from .utils.named_configs import resolve_names
from .version import __version__

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models']

resolve_names()
load_safely()
