"""The painter: a scene becomes an image, a depth map and labels.

Things are painted from far to near, each over what is behind it, into three
canvases at once: colour, depth in metres and the index of the thing.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from . import settings
from .geometry import (Camera, Colour, Face, Limb, Outline, Part, Ring,
                       cut_near, plane_depth)
from .scene import Light, Scene, Sprite

SHIFT = 4  # Binary digits after the point in OpenCV's coordinates.
FAR_AWAY = 20000.0  # px; clipped, or OpenCV's fixed point overflows.


@dataclass
class Rendered:
    """A painted scene.

    Args:
        image (np.ndarray): BGR, uint8, of shape (H, W, 3).
        depth (np.ndarray): Metres, float32, of shape (H, W).
        labels (list[str]): Cityscapes label of each thing, far to near;
            things with the same label are different instances.
        instances (list[bool]): Whether each thing is an object to detect.
        index (np.ndarray): Which thing a pixel shows, int32, (H, W).
        polygons (list[np.ndarray]): Outline (N, 2) in px of each thing as
            it would be without what stands before it; empty if unseen.
        camera (Camera): Of the image.
        airlight (np.ndarray): BGR of this scene's fog, of shape (3, ).
    """

    image: np.ndarray
    depth: np.ndarray
    labels: list[str]
    instances: list[bool]
    index: np.ndarray
    polygons: list[np.ndarray]
    camera: Camera
    airlight: np.ndarray


class Canvas:
    """Colour, depth and index at `SUPERSAMPLE` times the resolution.

    Args:
        camera (Camera): Of the final image.
        light (Light): Shades faces.
    """

    def __init__(self, camera: Camera, light: Light) -> None:
        self.camera = camera.scaled(settings.SUPERSAMPLE)
        self.light = light
        self.eye = np.array([0.0, camera.elevation, 0.0])
        self.colour = self._sky()
        self.depth = self.camera.ground_depth()
        self.index = np.zeros(self.depth.shape, dtype=np.int32)

    def _sky(self) -> np.ndarray:
        """Gradient from the zenith to the horizon, uint8 (H, W, 3)."""
        camera = self.camera
        share = np.clip(np.arange(camera.height) / camera.v0, 0, 1)[:, None]
        horizon, zenith = self.light.sky
        column = share * horizon + (1 - share) * zenith
        return np.repeat(column[:, None], camera.width,
                         axis=1).astype(np.uint8)

    @cached_property
    def _pixel_columns(self) -> np.ndarray:
        return np.arange(self.camera.width) + 0.5

    @cached_property
    def _pixel_rows(self) -> np.ndarray:
        return np.arange(self.camera.height) + 0.5

    def paint(self, parts: list[Part], index: int,
              on_ground: bool = False) -> None:
        """Paint a thing, its farther parts first.

        Args:
            parts (list[Part]): In world coordinates.
            index (int): What it writes into the index canvas.
            on_ground (bool): Whether it lies on the ground, whose depth is
                there already. Defaults to False.
        """
        def distance(part: Part) -> float:
            return -float(np.linalg.norm(part.centre - self.eye))

        for part in sorted(parts, key=distance):
            for shape in part.primitives:
                if isinstance(shape, Face):
                    self._face(shape, index, on_ground)
                elif isinstance(shape, Limb):
                    self._limb(shape, index)
                elif isinstance(shape, Ring):
                    self._ring(shape, index)
                else:
                    self._outline(shape, index)

    def shadow(self, parts: list[Part]) -> None:
        """Darken the ground under a thing."""
        points = np.concatenate([_corners(part) for part in parts])
        low, high = points[:, [0, 2]].min(axis=0), points[:, [0, 2]].max(
            axis=0)
        turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        middle, half = (low + high) / 2, (high - low) / 2 * 1.1 + 0.08
        ring = np.stack([middle[0] + half[0] * np.cos(turn), np.zeros(20),
                         middle[1] + half[1] * np.sin(turn)], axis=1)
        ring = cut_near(ring)
        pixels = self._fixed(ring)
        mask = np.zeros(self.depth.shape, dtype=np.uint8)
        cv2.fillConvexPoly(mask, pixels, 1, shift=SHIFT)
        where = mask.astype(bool)
        self.colour[where] = (self.colour[where] * 0.62).astype(np.uint8)

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        """Project (N, 3) to OpenCV's fixed-point px, int32 (N, 2).

        OpenCV's pixel centres are whole numbers, the camera's are halves.
        """
        pixels = np.clip(self.camera.project(points), -FAR_AWAY, FAR_AWAY)
        return np.round((pixels - 0.5) * (1 << SHIFT)).astype(np.int32)

    def _shade(self, colour: Colour, outward: np.ndarray) -> Colour:
        """Colour of a face whose normal is `outward`, lit by the sun."""
        lit = max(0.0, float(outward @ self.light.sun))
        factor = self.light.ambient + (1.12 - self.light.ambient) * lit
        return _scaled(colour, factor)

    def _face(self, face: Face, index: int, on_ground: bool) -> None:
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
        cv2.fillConvexPoly(self.index, pixels, index, shift=SHIFT)
        if on_ground:
            return
        if np.ptp(points[:, 2]) < 0.3:
            cv2.fillConvexPoly(self.depth, pixels,
                               float(points[:, 2].mean()), shift=SHIFT)
        else:
            self._plane(points, pixels)

    def _plane(self, points: np.ndarray, pixels: np.ndarray) -> None:
        """Write the exact depth of a slanted face."""
        low = np.maximum((pixels.min(axis=0) >> SHIFT) - 1, 0)
        high = (pixels.max(axis=0) >> SHIFT) + 3
        high = np.minimum(high, [self.camera.width, self.camera.height])
        if (high <= low).any():
            return
        rows, columns = slice(low[1], high[1]), slice(low[0], high[0])
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        cv2.fillConvexPoly(mask, pixels - (low << SHIFT), 1, shift=SHIFT)
        depth = plane_depth(points, self.camera, self._pixel_columns[columns],
                            self._pixel_rows[rows])
        np.copyto(self.depth[rows, columns], depth, where=mask.astype(bool),
                  casting='same_kind')

    def _limb(self, limb: Limb, index: int) -> None:
        ends = np.stack([limb.start, limb.end])
        if ends[:, 2].min() < 1.0:
            return
        centres = self.camera.project(ends) - 0.5
        radii = self.camera.focal / ends[:, 2] * np.array(
            [limb.start_radius, limb.end_radius])
        circle = _CIRCLE[None] * np.maximum(radii, 0.4)[:, None, None]
        points = (centres[:, None] + circle).reshape(-1, 2)
        hull = cv2.convexHull(np.round(points * (1 << SHIFT)).astype(
            np.int32))
        self._fill(hull, self._round_shade(limb.colour, 0.88), index,
                   float(ends[:, 2].mean()))
        if radii.max() < 1.5:
            return
        # The sunny side of a round thing is brighter, which gives it volume.
        offset = np.array([self.light.sun[0], -self.light.sun[1]])
        points = (centres[:, None] + 0.6 * circle
                  + 0.3 * radii[:, None, None] * offset)
        hull = cv2.convexHull(np.round(points.reshape(-1, 2)
                                       * (1 << SHIFT)).astype(np.int32))
        cv2.fillConvexPoly(self.colour, hull,
                           self._round_shade(limb.colour, 1.08), shift=SHIFT)

    def _round_shade(self, colour: Colour, factor: float) -> Colour:
        """Mean shade of a round thing."""
        return _scaled(colour, factor * (0.5 + 0.5 * self.light.ambient))

    def _ring(self, ring: Ring, index: int) -> None:
        depth = float(ring.points[:, 2].mean())
        pixels = self._fixed(ring.points)
        thickness = 2 * ring.radius * self.camera.focal / depth
        thick = max(1, int(round(thickness)))
        colour = self._round_shade(ring.colour, 1.0)
        for canvas, value in ((self.colour, colour), (self.depth, depth),
                              (self.index, index)):
            cv2.polylines(canvas, [pixels], True, value, thick, shift=SHIFT)

    def _outline(self, outline: Outline, index: int) -> None:
        cv2.fillPoly(self.index, [self._fixed(outline.points)], index,
                     shift=SHIFT)

    def _fill(self, pixels: np.ndarray, colour: Colour, index: int,
              depth: float) -> None:
        cv2.fillConvexPoly(self.colour, pixels, colour, shift=SHIFT)
        cv2.fillConvexPoly(self.index, pixels, index, shift=SHIFT)
        cv2.fillConvexPoly(self.depth, pixels, depth, shift=SHIFT)

    def sampled(self, canvas: np.ndarray) -> np.ndarray:
        """Take one sample a pixel; labels and depths must not be mixed."""
        factor = settings.SUPERSAMPLE
        return canvas[factor // 2::factor, factor // 2::factor]


_TURN = np.linspace(0, 2 * np.pi, 12, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


def _scaled(colour: Colour, factor: float) -> Colour:
    scaled = [min(255.0, channel * factor) for channel in colour]
    return scaled[0], scaled[1], scaled[2]


def _corners(part: Part) -> np.ndarray:
    """Every point (N, 3) of a part."""
    points = []
    for shape in part.primitives:
        if isinstance(shape, Limb):
            points += [shape.start[None], shape.end[None]]
        else:
            points.append(shape.points)
    return np.concatenate(points)


def render(scene: Scene, rng: np.random.Generator) -> Rendered:
    """Paint a scene.

    Args:
        scene (Scene): What stands where.
        rng (np.random.Generator): Noise, texture and airlight.

    Returns:
        Rendered: Image, depth, labels and outlines, without fog.
    """
    canvas = Canvas(scene.camera, scene.light)
    height, width = scene.camera.height, scene.camera.width
    labels, instances = ['sky'], [False]
    polygons = [np.array([(0, 0), (width - 1, 0), (width - 1, height - 1),
                          (0, height - 1)])]
    areas = [height * width]
    for sprite in scene.ground:
        _paint(canvas, sprite, len(labels), polygons, areas, True)
        labels.append(sprite.label)
        instances.append(False)
    for sprite in scene.sprites:
        if sprite.is_object:
            canvas.shadow(sprite.parts)
    for sprite in scene.sprites:
        _paint(canvas, sprite, len(labels), polygons, areas, False)
        labels.append(sprite.label)
        instances.append(sprite.is_object)
    index = canvas.sampled(canvas.index).copy()
    _give_up_the_hidden(index, labels, instances, areas)
    airlight = rng.uniform(*settings.AIRLIGHT) + rng.uniform(
        -settings.AIRLIGHT_TINT, settings.AIRLIGHT_TINT, 3)
    return Rendered(_develop(canvas, scene.light, rng),
                    canvas.sampled(canvas.depth).copy(), labels, instances,
                    index, polygons, scene.camera, airlight)


def _paint(canvas: Canvas, sprite: Sprite, index: int,
           polygons: list[np.ndarray], areas: list[int],
           on_ground: bool) -> None:
    """Paint a thing and note its outline before something hides it."""
    canvas.paint(sprite.parts, index, on_ground)
    mask = (canvas.sampled(canvas.index) == index).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL,
                                   cv2.CHAIN_APPROX_SIMPLE)
    largest = max(contours, key=cv2.contourArea, default=np.empty((0, 1, 2)))
    polygons.append(largest.reshape(-1, 2).astype(int))
    areas.append(int(mask.sum()))


def _give_up_the_hidden(index: np.ndarray, labels: list[str],
                        instances: list[bool], areas: list[int]) -> None:
    """Call objects `static` of which too little is left to recognise."""
    for i, is_object in enumerate(instances):
        if not is_object:
            continue
        seen = index == i
        rows = np.flatnonzero(seen.any(axis=1))
        least = settings.MIN_HEIGHT_PX * max(1.0, len(index) / 128)
        if (seen.sum() < settings.MIN_VISIBLE * areas[i] or not len(rows)
                or np.ptp(rows) + 1 < least):
            labels[i], instances[i] = 'static', False


def _develop(canvas: Canvas, light: Light,
             rng: np.random.Generator) -> np.ndarray:
    """Turn the colour canvas into what a camera would record, uint8."""
    factor = settings.SUPERSAMPLE
    height, width = (side // factor for side in canvas.depth.shape)
    image = cv2.resize(canvas.colour, (width, height),
                       interpolation=cv2.INTER_AREA).astype(np.float32)
    # Surfaces are never of one colour; blotches about 8 and 3 px wide.
    for cells, strength in ((8, 0.035), (3, 0.035)):
        coarse = rng.standard_normal(
            (height // cells + 2, width // cells + 2)).astype(np.float32)
        texture = cv2.resize(coarse, (width, height))
        image *= 1 + strength * texture[..., None]
    warm = light.temperature
    image *= light.exposure * np.array([1 - warm, 1, 1 + warm], np.float32)
    image = cv2.GaussianBlur(image, (0, 0), settings.BLUR * max(
        1.0, width / 256))
    return add_noise(image, settings.NOISE, rng)


def add_noise(image: np.ndarray, sigma: float,
              rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise to a float image and round it to uint8."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(np.rint(image + sigma * noise), 0, 255).astype(np.uint8)
