"""What steers a training run."""
from .hooks import (
    LateLaunchHook,
    PairCheckHook,
    ResumableCheckpointHook,
    UnreadableImagesHook,
)
from .interruptions import explain_interruption
from .plateau import Plateau

__all__ = [
    'LateLaunchHook', 'PairCheckHook', 'Plateau', 'ResumableCheckpointHook',
    'UnreadableImagesHook', 'explain_interruption'
]
