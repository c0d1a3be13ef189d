"""Assigners: they decide which proposals learn which boxes."""

from .region_ignoring_assigner import RegionIgnoringAssigner

__all__ = ['RegionIgnoringAssigner']
