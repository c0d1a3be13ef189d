"""Hooks of the runner."""
from .late_launch_hook import LateLaunchHook

__all__ = ['LateLaunchHook']
