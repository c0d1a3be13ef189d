"""What steers a training run."""
from .hooks import LateLaunchHook

__all__ = ['LateLaunchHook']
