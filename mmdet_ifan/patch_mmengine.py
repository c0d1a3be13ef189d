"""Change mmengine in this process, by being imported.

``import mmdet_ifan.patch_mmengine`` installs

- safe loading: a checkpoint that mmengine loads runs no code of its maker
  (:func:`~mmdet_ifan.engine.robustness.safe_loading.load_safely`);
- our configs' names: ``_base_ = 'mmdet_ifan::ifan_mini-city.py'`` in any
  config (:func:`~mmdet_ifan.utils.named_configs.resolve_names`).

The tools import it before they read a config, and so does a config of ours
for whoever reads it: ``custom_imports`` of mmengine imports modules and calls
nothing.
"""

from .engine.robustness.safe_loading import load_safely
from .utils.named_configs import resolve_names

load_safely()
resolve_names()
