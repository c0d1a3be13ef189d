"""Paint a scene: image, depth map and labels.

Things are painted from far to near, each over what is behind it, into three
canvases at once: colour, depth in metres and the index of the thing.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from . import settings
from .canvas import Canvas
from .geometry import Camera
from .scene import Scene, Sprite


@dataclass
class Rendered:
    """A painted scene.

    Args:
        image (np.ndarray): BGR, uint8, of shape (H, W, 3).
        depth (np.ndarray): In m, float32, of shape (H, W).
        labels (list[str]): Cityscapes label of each thing, far to near;
            things with the same label are different instances.
        instances (list[bool]): Whether each thing is an object to detect.
        index (np.ndarray): Index of the thing that a pixel shows, int32, of
            shape (H, W).
        polygons (list[np.ndarray]): Outline (N, 2) in px of each thing
            before nearer ones hide it; empty if unseen.
        camera (Camera): Camera of the image.
        airlight (np.ndarray): Colour of the fog, BGR, of shape (3, ).
    """

    image: np.ndarray
    depth: np.ndarray
    labels: list[str]
    instances: list[bool]
    index: np.ndarray
    polygons: list[np.ndarray]
    camera: Camera
    airlight: np.ndarray


def render(scene: Scene, rng: np.random.Generator) -> Rendered:
    """Paint a scene.

    Args:
        scene (Scene): The scene.
        rng (np.random.Generator): Source of noise, texture and airlight.

    Returns:
        Rendered: Image, depth, labels and outlines, without fog.
    """
    canvas = Canvas(scene.camera, scene.light, scene.look)
    height, width = scene.camera.height, scene.camera.width
    labels, instances = ['sky'], [False]
    polygons = [
        np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)])
    ]
    areas = [height * width]
    for sprite in scene.ground:
        _paint(canvas, sprite, len(labels), polygons, areas, True)
        labels.append(sprite.label)
        instances.append(False)
    for sprite in scene.sprites:
        if sprite.is_object or (
            scene.look.casts_shadows and sprite.label != 'building'
        ):
            canvas.shadow(sprite.parts)
    for sprite in scene.sprites:
        _paint(canvas, sprite, len(labels), polygons, areas, False)
        labels.append(sprite.label)
        instances.append(sprite.is_object)
    index = canvas.sampled(canvas.index).copy()
    _give_up_the_hidden(index, labels, instances, areas)
    airlight = rng.uniform(*settings.AIRLIGHT) + rng.uniform(
        -settings.AIRLIGHT_TINT, settings.AIRLIGHT_TINT, 3
    )
    return Rendered(
        _develop(canvas, rng),
        canvas.sampled(canvas.depth).copy(),
        labels,
        instances,
        index,
        polygons,
        scene.camera,
        airlight,
    )


def _paint(
    canvas: Canvas,
    sprite: Sprite,
    index: int,
    polygons: list[np.ndarray],
    areas: list[int],
    on_ground: bool,
) -> None:
    """Paint a thing and note its outline before something hides it."""
    canvas.paint(sprite.parts, index, on_ground, canvas.look.tiles.get(sprite.label))
    mask = (canvas.sampled(canvas.index) == index).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(contours, key=cv2.contourArea, default=np.empty((0, 1, 2)))
    polygons.append(largest.reshape(-1, 2).astype(int))
    areas.append(int(mask.sum()))


def _give_up_the_hidden(
    index: np.ndarray, labels: list[str], instances: list[bool], areas: list[int]
) -> None:
    """Label objects as `static` if too little of them is visible."""
    for i, is_object in enumerate(instances):
        if not is_object:
            continue
        seen = index == i
        rows, columns = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
        least = settings.MIN_SIDE_PX * max(1.0, len(index) / 128)
        if (
            seen.sum() < max(1, settings.MIN_VISIBLE * areas[i])
            or max(np.ptp(rows), np.ptp(columns)) + 1 < least
        ):
            labels[i], instances[i] = 'static', False


def _develop(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Turn the colour canvas into the image of a camera, uint8."""
    light, look = canvas.light, canvas.look
    factor = settings.SUPERSAMPLE
    height, width = (side // factor for side in canvas.depth.shape)
    image = cv2.resize(
        canvas.colour, (width, height), interpolation=cv2.INTER_AREA
    ).astype(float)
    # No real surface has a single colour.
    for cells, strength in look.blotches:
        coarse = rng.standard_normal((height // cells + 2, width // cells + 2))
        texture = cv2.resize(coarse, (width, height))
        image *= 1 + strength * texture[..., None]
    warm = light.temperature
    image *= light.exposure * np.array([1 - warm, 1, 1 + warm])
    finer = max(1.0, width / 256) ** 0.5
    if look.blur:
        image = cv2.GaussianBlur(image, (0, 0), look.blur * finer)
    if look.sharpening:
        image += look.sharpening * (image - cv2.GaussianBlur(image, (0, 0), finer))
    return add_noise(image, look.noise, rng)


def add_noise(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise to a float image and round it to uint8."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(np.rint(image + sigma * noise), 0, 255).astype(np.uint8)
