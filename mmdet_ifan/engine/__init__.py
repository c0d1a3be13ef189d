"""What steers a training run."""
from .hooks import LateLaunchHook, PairCheckHook

__all__ = ['LateLaunchHook', 'PairCheckHook']
