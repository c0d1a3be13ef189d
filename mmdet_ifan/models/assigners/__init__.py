"""Which proposals learn what."""
from .region_ignoring_assigner import RegionIgnoringAssigner

__all__ = ['RegionIgnoringAssigner']
