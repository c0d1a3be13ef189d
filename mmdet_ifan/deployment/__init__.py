"""Taking the trained detector away."""
from .peel_off import export, plain_config, plain_state
from .predict import find_images, predict

__all__ = ['export', 'find_images', 'plain_config', 'plain_state', 'predict']
