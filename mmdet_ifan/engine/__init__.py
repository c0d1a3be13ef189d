"""What steers a training run."""
from .checks.fit_check_hook import FitCheckHook
from .checks.pair_check_hook import PairCheckHook
from .checks.run_check_hook import RunCheckHook, checked_runner
from .robustness.finite_check_hook import FiniteCheckHook
from .robustness.interruptions import (
    end_workers_with_this_process,
    explain_interruption,
)
from .robustness.resumable_checkpoint_hook import ResumableCheckpointHook
from .robustness.unreadable_images_hook import UnreadableImagesHook
from .schedule.late_launch_hook import LateLaunchHook
from .schedule.plateau import Plateau

__all__ = [
    'FiniteCheckHook', 'FitCheckHook', 'LateLaunchHook', 'PairCheckHook',
    'Plateau', 'ResumableCheckpointHook', 'RunCheckHook',
    'UnreadableImagesHook', 'checked_runner', 'end_workers_with_this_process',
    'explain_interruption'
]
