"""Taking the trained detector away."""
from .checkpoint_config import checkpoint_config
from .onnx_graph import to_onnx
from .peel_off import export, plain_config, plain_state
from .predict import find_images, predict

__all__ = [
    'checkpoint_config', 'export', 'find_images', 'plain_config',
    'plain_state', 'predict', 'to_onnx'
]
