"""What steers a training run."""
from .hooks import (
    FiniteCheckHook,
    LateLaunchHook,
    PairCheckHook,
    ResumableCheckpointHook,
    UnreadableImagesHook,
)
from .interruptions import explain_interruption
from .plateau import Plateau

__all__ = [
    'FiniteCheckHook', 'LateLaunchHook', 'PairCheckHook', 'Plateau',
    'ResumableCheckpointHook', 'UnreadableImagesHook', 'explain_interruption'
]
