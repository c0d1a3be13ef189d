"""Export of the trained detector, and prediction with it."""

from ..engine.checks.checkpoint import load_fitting, plain_state
from .checkpoint_config import checkpoint_config
from .onnx_graph import to_onnx
from .peel_off import export, plain_config
from .predict import find_images, load_detector, predict

__all__ = [
    'checkpoint_config',
    'export',
    'find_images',
    'load_detector',
    'load_fitting',
    'plain_config',
    'plain_state',
    'predict',
    'to_onnx',
]
