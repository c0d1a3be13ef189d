"""The pinhole camera and the primitives that it sees.

World: x to the right, y up from the road, z away from the camera, in metres;
the camera stands at (0, elevation, 0) and looks along z. An object's own
frame is (forward, left, up), its origin on the ground below its centre.
"""

from dataclasses import dataclass, field

import numpy as np

from . import settings
from .look import Colour

NEAR = 0.6  # Metres; what is nearer is cut off.


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without rotation.

    Args:
        width (int): Image width in px.
        height (int): Image height in px.
        elevation (float): Height above the road in m.
    """

    width: int
    height: int
    elevation: float

    @property
    def focal(self) -> float:
        """float: Focal length in px, the same on both axes."""
        return settings.FOCAL_PER_WIDTH * self.width

    @property
    def u0(self) -> float:
        """float: Principal column in px."""
        return self.width / 2

    @property
    def v0(self) -> float:
        """float: Principal row in px: the horizon."""
        return settings.HORIZON * self.height

    def scaled(self, factor: int) -> 'Camera':
        """Return the same camera with `factor` times as many pixels."""
        return Camera(self.width * factor, self.height * factor, self.elevation)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project world points of shape (N, 3), z > 0, to px (N, 2)."""
        depth = points[:, 2]
        u = self.u0 + self.focal * points[:, 0] / depth
        v = self.v0 - self.focal * (points[:, 1] - self.elevation) / depth
        return np.stack([u, v], axis=1)

    def ground_depth(self) -> np.ndarray:
        """Depth in m, (height, width), of an empty plane under a sky."""
        rows = np.arange(self.height) + 0.5 - self.v0
        depth = np.full(self.height, settings.SKY_DEPTH)
        below = rows > 0
        depth[below] = self.focal * self.elevation / rows[below]
        depth = np.minimum(depth, settings.SKY_DEPTH).astype(np.float32)
        return np.repeat(depth[:, None], self.width, axis=1)


@dataclass
class Face:
    """A flat convex polygon.

    Args:
        points (np.ndarray): Corners in m, of shape (N, 3).
        colour (Colour): Colour before shading.
        outward (np.ndarray, optional): Normal, of shape (3, ). A face that
            looks away from the camera is dropped. Defaults to None, which
            means visible from both sides and unshaded.
        decal (bool): Whether it only paints an earlier face, as a window
            does, without changing label and depth. Defaults to False.
    """

    points: np.ndarray
    colour: Colour
    outward: np.ndarray | None = None
    decal: bool = False


@dataclass
class Limb:
    """A tapered round bar between two points; a ball if they coincide."""

    start: np.ndarray
    end: np.ndarray
    start_radius: float
    end_radius: float
    colour: Colour


@dataclass
class Ring:
    """A closed thin tube, such as a tyre, through `points` (N, 3)."""

    points: np.ndarray
    radius: float
    colour: Colour


@dataclass
class Outline:
    """A polygon that is labelled but not painted.

    Cityscapes' annotators outline a bicycle's wheels as discs, although they
    are see-through.
    """

    points: np.ndarray


Primitive = Face | Limb | Ring | Outline


@dataclass
class Part:
    """Primitives in the order of painting, and their centre."""

    primitives: list[Primitive] = field(default_factory=list)
    centre: np.ndarray = field(default_factory=lambda: np.zeros(3))


def normal_away_from(points: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Unit normal of a polygon (N, 3) that points away from `inside`."""
    normal = np.cross(points[1] - points[0], points[2] - points[0])
    normal = normal / max(float(np.linalg.norm(normal)), 1e-9)
    if normal @ (points.mean(axis=0) - inside) < 0:
        normal = -normal
    return normal


def place(points: np.ndarray, x: float, z: float, yaw: float) -> np.ndarray:
    """Move points (N, 3) from an object's frame into the world.

    Args:
        points (np.ndarray): (forward, left, up) in m.
        x (float): Position to the right in m.
        z (float): Distance in m.
        yaw (float): Heading; 0 drives away from the camera, pi towards it,
            pi / 2 to the right.

    Returns:
        np.ndarray: World points of shape (N, 3).
    """
    forward, left, up = np.asarray(points, dtype=float).T
    sin, cos = np.sin(yaw), np.cos(yaw)
    return np.stack(
        [x + forward * sin - left * cos, up, z + forward * cos + left * sin], axis=1
    )


def cut_near(points: np.ndarray) -> np.ndarray:
    """Cut the part nearer than `NEAR` off a convex polygon (N, 3)."""
    inside = points[:, 2] >= NEAR
    if inside.all():
        return points
    kept = []
    for i, (point, is_inside) in enumerate(zip(points, inside, strict=True)):
        before, was_inside = points[i - 1], inside[i - 1]
        if is_inside != was_inside:
            share = (NEAR - before[2]) / (point[2] - before[2])
            kept.append(before + share * (point - before))
        if is_inside:
            kept.append(point)
    return np.array(kept).reshape(-1, 3)


def plane_depth(
    points: np.ndarray, camera: Camera, u: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """Depth in m at columns `u` and rows `v` of a polygon's plane.

    One over the depth is linear in the pixel on any plane, which is exact
    where interpolating the corners' depths is not.
    """
    origin = np.array([0.0, camera.elevation, 0.0])
    normal = normal_away_from(points, origin)
    rays_x = (u - camera.u0) / camera.focal
    rays_y = (camera.v0 - v) / camera.focal
    slope = normal[0] * rays_x[None, :] + normal[1] * rays_y[:, None] + normal[2]
    distance = normal @ (points[0] - origin)
    depth = distance / np.maximum(slope, 1e-6)
    return np.clip(depth, points[:, 2].min(), points[:, 2].max())
