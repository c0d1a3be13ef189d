"""Hooks of the runner."""
from .finite_check_hook import FiniteCheckHook
from .fit_check_hook import FitCheckHook
from .late_launch_hook import LateLaunchHook
from .pair_check_hook import PairCheckHook
from .resumable_checkpoint_hook import ResumableCheckpointHook
from .run_check_hook import RunCheckHook, checked_runner
from .unreadable_images_hook import UnreadableImagesHook

__all__ = [
    'FiniteCheckHook', 'FitCheckHook', 'LateLaunchHook', 'PairCheckHook',
    'ResumableCheckpointHook', 'RunCheckHook', 'UnreadableImagesHook',
    'checked_runner'
]
