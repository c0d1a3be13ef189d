"""Imports timm as the backbone does, and nothing else of ours.

For the process that is forked: see processes.py.
"""

import runpy
from pathlib import Path
from unittest.mock import patch

from mmdet.registry import MODELS

BACKBONE = Path(__file__).parents[2] / 'mmdet_ifan/models/backbones/timm_taps.py'
with patch.object(MODELS, 'register_module', lambda: lambda kind: kind):
    runpy.run_path(str(BACKBONE))['import_timm']()
