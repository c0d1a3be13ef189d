"""What steers a training run."""
from .hooks import (
    FiniteCheckHook,
    FitCheckHook,
    LateLaunchHook,
    PairCheckHook,
    ResumableCheckpointHook,
    RunCheckHook,
    UnreadableImagesHook,
    checked_runner,
)
from .interruptions import (
    end_workers_with_this_process,
    explain_interruption,
)
from .plateau import Plateau

__all__ = [
    'FiniteCheckHook', 'FitCheckHook', 'LateLaunchHook', 'PairCheckHook',
    'Plateau', 'ResumableCheckpointHook', 'RunCheckHook',
    'UnreadableImagesHook', 'checked_runner', 'end_workers_with_this_process',
    'explain_interruption'
]
