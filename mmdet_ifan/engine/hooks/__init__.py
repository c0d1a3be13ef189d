"""Hooks of the runner."""
from .late_launch_hook import LateLaunchHook
from .pair_check_hook import PairCheckHook

__all__ = ['LateLaunchHook', 'PairCheckHook']
