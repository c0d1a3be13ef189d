"""The detector that adapts."""

from .ifan_detector import IFANDetector

__all__ = ['IFANDetector']
