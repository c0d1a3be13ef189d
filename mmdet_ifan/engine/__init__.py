"""What steers a training run."""
from .hooks import LateLaunchHook, PairCheckHook
from .plateau import Plateau

__all__ = ['LateLaunchHook', 'PairCheckHook', 'Plateau']
