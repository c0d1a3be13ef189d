"""Steer a training run: checks before it, launches in it, robustness."""

from .checks.preflight_hook import PreflightHook, checked_runner
from .robustness.finite_check_hook import FiniteCheckHook
from .robustness.interruptions import (
    end_workers_with_this_process,
    explain_interruption,
)
from .robustness.resumable_checkpoint_hook import ResumableCheckpointHook
from .robustness.unreadable_images_hook import UnreadableImagesHook
from .schedule.late_launch_hook import LateLaunchHook
from .schedule.plateau import Plateau
from .schedule.teacher_hook import FrozenTeacherHook, TeacherHook

__all__ = [
    'FiniteCheckHook',
    'FrozenTeacherHook',
    'LateLaunchHook',
    'Plateau',
    'PreflightHook',
    'ResumableCheckpointHook',
    'TeacherHook',
    'UnreadableImagesHook',
    'checked_runner',
    'end_workers_with_this_process',
    'explain_interruption',
]
