"""Paint colour, depth and labels at once with OpenCV."""

import cv2
import numpy as np

from . import settings
from .geometry import Camera, Colour, Face, Limb, Part, Ring, cut_near, plane_depth
from .look import Light, Look, Tiles

SHIFT = 4  # Binary digits after the point in OpenCV's coordinates.
FAR_AWAY = 20000.0  # px; clipped, or OpenCV's fixed point overflows.


class Canvas:
    """Colour, depth and index at `SUPERSAMPLE` times the resolution.

    Args:
        camera (Camera): Of the final image.
        light (Light): Shades faces.
        look (Look): Colours, patterns and shadows.
    """

    def __init__(self, camera: Camera, light: Light, look: Look) -> None:
        self.camera = camera.scaled(settings.SUPERSAMPLE)
        self.light = light
        self.look = look
        self.eye = np.array([0.0, camera.elevation, 0.0])
        self.colour = self._sky()
        self.depth = self.camera.ground_depth()
        self.index = np.zeros(self.depth.shape, dtype=np.int32)
        self._rows, self._columns = (np.arange(side) + 0.5 for side in self.depth.shape)

    def _sky(self) -> np.ndarray:
        """Gradient from the zenith to the horizon, uint8 (H, W, 3)."""
        camera = self.camera
        share = np.clip(np.arange(camera.height) / camera.v0, 0, 1)[:, None]
        horizon, zenith = self.light.sky
        column = share * horizon + (1 - share) * zenith
        return np.repeat(column[:, None], camera.width, axis=1).astype(np.uint8)

    def paint(
        self,
        parts: list[Part],
        index: int,
        on_ground: bool = False,
        tiles: Tiles | None = None,
    ) -> None:
        """Paint a thing, its farther parts first.

        Args:
            parts (list[Part]): Its parts, in world coordinates.
            index (int): Its value in the index canvas.
            on_ground (bool): Whether it lies on the ground, whose depth is
                already painted. Defaults to False.
            tiles (Tiles, optional): Pattern on its faces. Defaults to None.
        """
        for part in sorted(
            parts, key=lambda part: -float(np.linalg.norm(part.centre - self.eye))
        ):
            for shape in part.primitives:
                if isinstance(shape, Face):
                    self._face(shape, index, on_ground, tiles)
                elif isinstance(shape, Limb):
                    self._limb(shape, index)
                elif isinstance(shape, Ring):
                    self._ring(shape, index)
                else:
                    cv2.fillPoly(
                        self.index, [self._fixed(shape.points)], index, shift=SHIFT
                    )

    def shadow(self, parts: list[Part]) -> None:
        """Darken the ground under a thing, or in its shadow."""
        points = np.concatenate([_corners(part) for part in parts])
        if self.look.casts_shadows:
            sun = self.light.sun
            points = np.concatenate([points, points - points[:, 1:2] * sun / sun[1]])
        plan = cv2.convexHull(points[:, [0, 2]].astype(np.float32))[:, 0]
        middle = plan.mean(axis=0)
        plan = middle + (plan - middle) * 1.08
        ring = cut_near(np.insert(plan.astype(float), 1, 0.0, axis=1))
        if len(ring) < 3:
            return
        pixels = self._fixed(ring)
        rows, columns, mask = self._covered(pixels)
        ground = self.colour[rows, columns]
        ground[mask] = (ground[mask] * self.look.shadow).astype(np.uint8)

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        """Project (N, 3) to OpenCV's fixed-point px, int32 (N, 2).

        OpenCV's pixel centres are whole numbers, the camera's are halves.
        """
        pixels = np.clip(self.camera.project(points), -FAR_AWAY, FAR_AWAY)
        return np.round((pixels - 0.5) * (1 << SHIFT)).astype(np.int32)

    def _shade(self, colour: Colour, outward: np.ndarray) -> Colour:
        """Colour of a face whose normal is `outward`, lit by the sun."""
        lit = max(0.0, float(outward @ self.light.sun))
        ambient = self.light.ambient
        direct = (self.look.sunlit - ambient) * lit
        return _lit(
            self.look.tone(colour),
            [
                ambient * sky + direct * sun
                for sky, sun in zip(self.look.skylight, self.look.sunlight, strict=True)
            ],
        )

    def _face(
        self, face: Face, index: int, on_ground: bool, tiles: Tiles | None
    ) -> None:
        points, colour = face.points, face.colour
        if face.outward is not None:
            if face.outward @ (points[0] - self.eye) >= 0:
                return
            colour = self._shade(colour, face.outward)
        points = cut_near(points)
        if len(points) < 3:
            return
        pixels = self._fixed(points)
        cv2.fillConvexPoly(self.colour, pixels, colour, shift=SHIFT)
        if face.decal:
            return
        if tiles is not None:
            self._lay(tiles, points, pixels)
        cv2.fillConvexPoly(self.index, pixels, index, shift=SHIFT)
        if on_ground:
            return
        if np.ptp(points[:, 2]) < 0.3:
            cv2.fillConvexPoly(
                self.depth, pixels, float(points[:, 2].mean()), shift=SHIFT
            )
        else:
            self._plane(points, pixels)

    def _plane(self, points: np.ndarray, pixels: np.ndarray) -> None:
        """Write the exact depth of a slanted face."""
        rows, columns, mask = self._covered(pixels)
        depth = plane_depth(
            points, self.camera, self._columns[columns], self._rows[rows]
        )
        np.copyto(self.depth[rows, columns], depth, casting='same_kind', where=mask)

    def _lay(self, tiles: Tiles, points: np.ndarray, pixels: np.ndarray) -> None:
        """Lay a pattern, fixed in the world, over a face."""
        rows, columns, mask = self._covered(pixels)
        u, v = self._columns[columns], self._rows[rows]
        depth = plane_depth(points, self.camera, u, v)
        metres = depth / self.camera.focal  # A pixel's.
        x = (u - self.camera.u0) * metres
        y = self.camera.elevation - (v[:, None] - self.camera.v0) * metres
        if np.ptp(points[:, 1]) > 0:
            # A wall runs along x or along z.
            across, up = x + depth, y
        else:
            across, up = x, depth
        shade = tiles.shade(across, up, 1 / metres)[..., None]
        surface = self.colour[rows, columns]
        np.copyto(
            surface,
            np.clip(surface * shade, 0, 255),
            casting='unsafe',
            where=mask[..., None],
        )

    def _covered(self, pixels: np.ndarray) -> tuple[slice, slice, np.ndarray]:
        """Rows and columns around a polygon, and the mask it covers."""
        corner = np.maximum((pixels.min(axis=0) >> SHIFT) - 1, 0)
        end = np.minimum(
            (pixels.max(axis=0) >> SHIFT) + 3, [self.camera.width, self.camera.height]
        )
        width, height = np.maximum(end - corner, 0)
        mask = np.zeros((height, width), dtype=np.uint8)
        if mask.size:
            cv2.fillConvexPoly(mask, pixels - (corner << SHIFT), 1, shift=SHIFT)
        return (
            slice(corner[1], corner[1] + height),
            slice(corner[0], corner[0] + width),
            mask.astype(bool),
        )

    def _limb(self, limb: Limb, index: int) -> None:
        ends = np.stack([limb.start, limb.end])
        if ends[:, 2].min() < 1.0:
            return
        centres = self.camera.project(ends) - 0.5
        radii = (
            self.camera.focal
            / ends[:, 2]
            * np.array([limb.start_radius, limb.end_radius])
        )
        circle = _CIRCLE[None] * np.maximum(radii, 0.4)[:, None, None]
        points = (centres[:, None] + circle).reshape(-1, 2)
        hull = cv2.convexHull(np.round(points * (1 << SHIFT)).astype(np.int32))
        for canvas, value in (
            (self.colour, self._round_shade(limb.colour, 0.88)),
            (self.index, index),
            (self.depth, float(ends[:, 2].mean())),
        ):
            cv2.fillConvexPoly(canvas, hull, value, shift=SHIFT)
        if radii.max() < 1.5:
            return
        # A brighter sunny side gives a round thing volume.
        offset = np.array([self.light.sun[0], -self.light.sun[1]])
        points = centres[:, None] + 0.6 * circle + 0.3 * radii[:, None, None] * offset
        hull = cv2.convexHull(
            np.round(points.reshape(-1, 2) * (1 << SHIFT)).astype(np.int32)
        )
        cv2.fillConvexPoly(
            self.colour, hull, self._round_shade(limb.colour, 1.08), shift=SHIFT
        )

    def _round_shade(self, colour: Colour, factor: float) -> Colour:
        """Mean shade of a round thing."""
        brightness = factor * (0.5 + 0.5 * self.light.ambient)
        return _lit(self.look.tone(colour), [brightness] * 3)

    def _ring(self, ring: Ring, index: int) -> None:
        depth = float(ring.points[:, 2].mean())
        pixels = self._fixed(ring.points)
        thickness = 2 * ring.radius * self.camera.focal / depth
        thick = max(1, int(round(thickness)))
        colour = self._round_shade(ring.colour, 1.0)
        for canvas, value in (
            (self.colour, colour),
            (self.depth, depth),
            (self.index, index),
        ):
            cv2.polylines(canvas, [pixels], True, value, thick, shift=SHIFT)

    def sampled(self, canvas: np.ndarray) -> np.ndarray:
        """Take one sample per pixel; labels and depths cannot be averaged."""
        factor = settings.SUPERSAMPLE
        return canvas[factor // 2 :: factor, factor // 2 :: factor]


_TURN = np.linspace(0, 2 * np.pi, 12, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


def _lit(colour: Colour, light: list[float]) -> Colour:
    """Colour of a material in a light of three factors."""
    blue, green, red = (
        min(255.0, channel * factor)
        for channel, factor in zip(colour, light, strict=True)
    )
    return blue, green, red


def _corners(part: Part) -> np.ndarray:
    """Every point (N, 3) of a part."""
    points = []
    for shape in part.primitives:
        if isinstance(shape, Limb):
            points += [shape.start[None], shape.end[None]]
        else:
            points.append(shape.points)
    return np.concatenate(points)
