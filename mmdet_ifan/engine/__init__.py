"""What steers a training run."""
from .hooks import LateLaunchHook, PairCheckHook, ResumableCheckpointHook
from .plateau import Plateau

__all__ = [
    'LateLaunchHook', 'PairCheckHook', 'Plateau', 'ResumableCheckpointHook'
]
