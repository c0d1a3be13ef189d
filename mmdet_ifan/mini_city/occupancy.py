"""Keeps objects from standing in or hiding one another."""

import numpy as np

from . import settings
from .geometry import Camera, place


class Occupancy:
    """Which ground and which pixels earlier objects have taken.

    Args:
        camera (Camera): Decides what covers what.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.footprints: list[np.ndarray] = []
        self.rectangles: list[tuple[float, np.ndarray]] = []

    def accept(self, x: float, z: float, yaw: float,
               size: np.ndarray) -> bool:
        """Take a place for an object if it is free and would be seen.

        Args:
            x (float): In m.
            z (float): In m.
            yaw (float): In radians.
            size (np.ndarray): (length, width, height) in m.

        Returns:
            bool: Whether the object stands there now.
        """
        half = size / 2
        corners = place(np.array([
            (sx * half[0], sy * half[1], up) for sx in (-1, 1)
            for sy in (-1, 1) for up in (0.0, size[2])]), x, z, yaw)
        if corners[:, 2].min() < 3.0:
            return False
        footprint = np.array([*corners[:, [0, 2]].min(axis=0) - 0.2,
                              *corners[:, [0, 2]].max(axis=0) + 0.2])
        if any(overlap(footprint, other) > 0 for other in self.footprints):
            return False
        projected = self.camera.project(corners)
        rectangle = np.array([*projected.min(axis=0),
                              *projected.max(axis=0)])
        frame = np.array([0, 0, self.camera.width, self.camera.height])
        if overlap(rectangle, frame) < settings.MIN_INSIDE * area(rectangle):
            return False
        if self._hides_or_is_hidden(z, rectangle):
            return False
        self.footprints.append(footprint)
        self.rectangles.append((z, rectangle))
        return True

    def _hides_or_is_hidden(self, z: float, rectangle: np.ndarray) -> bool:
        """Whether too much of this or of an earlier object is covered."""
        everything = [*self.rectangles, (z, rectangle)]
        for far_z, far in everything:
            covered = sum(overlap(far, near) for near_z, near in everything
                          if near_z < far_z)
            if covered > settings.MAX_COVERED * area(far):
                return True
        return False


def area(box: np.ndarray) -> float:
    """Area of a rectangle (x1, y1, x2, y2)."""
    return float((box[2] - box[0]) * (box[3] - box[1]))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Area two rectangles (x1, y1, x2, y2) share."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    return float(max(sides[0], 0) * max(sides[1], 0))
