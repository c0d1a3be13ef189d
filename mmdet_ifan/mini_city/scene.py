"""Decide what stands where in a scene, before any pixel is painted."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from . import people, settings, surroundings, vehicles
from .geometry import Camera, Face, Limb, Part, Primitive, place
from .look import Light, Look, draw_light
from .surroundings import Street

Builder = Callable[[np.random.Generator], tuple[list[Part], np.ndarray]]

# Parts of each placement: (Cityscapes label, builder), painted in order.
RECIPES: dict[str, tuple[tuple[str, Builder], ...]] = {
    'person': (('person', people.person),),
    'cyclist': (('bicycle', people.bicycle), ('rider', people.cyclist)),
    'motorcyclist': (('motorcycle', people.motorcycle), ('rider', people.motorcyclist)),
    'car': (('car', vehicles.car),),
    'truck': (('truck', vehicles.truck),),
    'bus': (('bus', vehicles.bus),),
    'train': (('train', vehicles.train),),
    'motorcycle': (('motorcycle', people.motorcycle),),
    'bicycle': (('bicycle', people.bicycle),),
}
SMALL = ('person', 'cyclist', 'motorcyclist', 'motorcycle', 'bicycle')


@dataclass
class Sprite:
    """One labelled thing in world coordinates.

    Args:
        label (str): Cityscapes label.
        distance (float): z in m that orders the painting, far to near.
        parts (list[Part]): Its parts.
        is_object (bool): Whether it is an instance to detect.
    """

    label: str
    distance: float
    parts: list[Part]
    is_object: bool = False


@dataclass
class Scene:
    """Everything the painter needs."""

    camera: Camera
    light: Light
    street: Street
    ground: list[Sprite] = field(default_factory=list)
    sprites: list[Sprite] = field(default_factory=list)
    look: Look = settings.CITY_LOOK


class Occupancy:
    """Ground and pixels that are taken, so that no two objects collide.

    Args:
        camera (Camera): Camera that sees them.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.footprints: list[np.ndarray] = []
        self.rectangles: list[tuple[float, np.ndarray]] = []

    def accept(self, x: float, z: float, yaw: float, size: np.ndarray) -> bool:
        """Take a place for an object if it is free and visible.

        Args:
            x (float): Position to the right in m.
            z (float): Distance in m.
            yaw (float): Heading in radians.
            size (np.ndarray): (length, width, height) in m.

        Returns:
            bool: Whether the place was taken.
        """
        half = size / 2
        corners = place(
            np.array(
                [
                    (sx * half[0], sy * half[1], up)
                    for sx in (-1, 1)
                    for sy in (-1, 1)
                    for up in (0.0, size[2])
                ]
            ),
            x,
            z,
            yaw,
        )
        if corners[:, 2].min() < 3.0:
            return False
        footprint = np.array(
            [
                *corners[:, [0, 2]].min(axis=0) - 0.2,
                *corners[:, [0, 2]].max(axis=0) + 0.2,
            ]
        )
        if any(overlap(footprint, other) > 0 for other in self.footprints):
            return False
        projected = self.camera.project(corners)
        rectangle = np.array([*projected.min(axis=0), *projected.max(axis=0)])
        frame = np.array([0, 0, self.camera.width, self.camera.height])
        if overlap(rectangle, frame) < settings.MIN_INSIDE * area(rectangle):
            return False
        if self._hides_or_is_hidden(z, rectangle):
            return False
        self.footprints.append(footprint)
        self.rectangles.append((z, rectangle))
        return True

    def _hides_or_is_hidden(self, z: float, rectangle: np.ndarray) -> bool:
        """Tell whether too much of this or of an earlier object is covered."""
        everything = [*self.rectangles, (z, rectangle)]
        return any(
            sum(overlap(far, near) for near_z, near in everything if near_z < far_z)
            > settings.MAX_COVERED * area(far)
            for far_z, far in everything
        )


def draw_scene(
    rng: np.random.Generator, height: int, width: int, look: Look = settings.CITY_LOOK
) -> Scene:
    """Draw a scene.

    Args:
        rng (np.random.Generator): The only source of randomness.
        height (int): Image height in px.
        width (int): Image width in px.
        look (Look): Decides light and traffic. Defaults to Mini City's.

    Returns:
        Scene: Its sprites are sorted from far to near.
    """
    camera = Camera(width, height, rng.uniform(*settings.ELEVATION))
    street = surroundings.draw_street(rng)
    scene = Scene(camera, draw_light(rng, look), street, look=look)
    objects, rails = _place_objects(rng, scene)
    scene.ground = [
        Sprite('sidewalk', 0, [Part(surroundings.pavement(rng))]),
        Sprite(
            'road',
            0,
            [
                Part(
                    surroundings.road(rng, street)
                    + surroundings.markings(rng, street, rails)
                )
            ],
        ),
    ]
    scene.sprites = [
        Sprite('building', z, parts) for z, parts in surroundings.houses(rng, street)
    ]
    scene.sprites += _place_clutter(rng, street) + objects
    scene.sprites.sort(key=lambda sprite: -sprite.distance)
    return scene


def _place_objects(
    rng: np.random.Generator, scene: Scene
) -> tuple[list[Sprite], list[tuple[float, bool]]]:
    """Draw placements until the scene has its number of objects."""
    low, high = settings.OBJECTS
    wanted = int(rng.integers(low, high + 1))
    if rng.random() < settings.EMPTY_SCENES:
        wanted = 0
    kinds = list(scene.look.placement_weights)
    weights = np.array(list(scene.look.placement_weights.values()))
    taken = Occupancy(scene.camera)
    sprites: list[Sprite] = []
    rails: list[tuple[float, bool]] = []
    while len(sprites) < wanted:
        kind = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
        built = [(label, *build(rng)) for label, build in RECIPES[kind]]
        # Tall things of one placement share a footprint, the vehicle's.
        size = np.maximum.reduce([size for _, _, size in built])
        for _ in range(25):
            x, z, yaw = _draw_pose(rng, kind, scene.street)
            if taken.accept(x, z, yaw, size):
                break
        else:
            wanted -= 1  # The street is full.
            continue
        sprites += [
            Sprite(label, z - 1e-3 * order, to_world(parts, x, z, yaw), True)
            for order, (label, parts, _) in enumerate(built)
        ]
        if kind == 'train':
            crosses = abs(np.cos(yaw)) < 0.5
            rails.append((z, True) if crosses else (x, False))
    return sprites, rails


def _draw_pose(
    rng: np.random.Generator, kind: str, street: Street
) -> tuple[float, float, float]:
    """Draw x in m, z in m and yaw in radians for a kind of placement."""
    near, far = settings.DISTANCES[kind]
    z = near + (far - near) * rng.random() ** settings.NEAR_BIAS
    left, right = street.left, street.right
    middle = (left + right) / 2
    sideways = float(rng.choice([-1, 1])) * np.pi / 2
    if kind in SMALL:
        yaw = rng.uniform(0, 2 * np.pi)
        if rng.random() < 0.4:
            yaw = sideways + rng.normal(0, 0.25)
        edge = street.pavement - 0.4
        x = rng.uniform(left - edge, right + edge)
        if kind == 'motorcyclist' or kind == 'cyclist':
            x = rng.uniform(left + 0.4, right - 0.4)
        reach = 0.42 * z
        return float(np.clip(x, -reach, reach)), z, yaw
    if street.crossing is not None and rng.random() < 0.45:
        lane = street.crossing + rng.uniform(-2.2, 2.2)
        # At least half of it shows between the houses at the corners.
        reach = 0.4 * lane
        x = np.clip(rng.uniform(left, right), -reach, reach)
        return float(x), lane, sideways
    oncoming = rng.random() < 0.5
    x = (left + middle) / 2 if oncoming else (right + middle) / 2
    wobble = 0.02 if kind == 'train' else 0.12
    yaw = np.pi * oncoming + rng.normal(0, wobble)
    if kind in ('car', 'truck') and rng.random() < 0.4:
        x, yaw = rng.uniform(left, right), yaw + rng.uniform(-1.2, 1.2)
    return x + rng.normal(0, 0.3), z, yaw


def _place_clutter(rng: np.random.Generator, street: Street) -> list[Sprite]:
    """Trees, lamps and signs along the kerbs, away from the crossing."""
    sprites = []
    low, high = street.gap
    for edge, sign in ((street.left, -1), (street.right, 1)):
        for z in np.arange(rng.uniform(9, 16), 60, rng.uniform(8, 14)):
            if low < z < high or rng.random() < 0.35:
                continue
            is_tree = rng.random() < 0.5
            parts = surroundings.tree(rng) if is_tree else surroundings.lamp_post(rng)
            x = edge + sign * (rng.uniform(0.8, 2.0) if is_tree else 0.5)
            yaw = -sign * np.pi / 2
            sprites.append(
                Sprite(
                    'vegetation' if is_tree else 'pole', z, to_world(parts, x, z, yaw)
                )
            )
    return sprites


def to_world(parts: list[Part], x: float, z: float, yaw: float) -> list[Part]:
    """Move parts from an object's frame into the world."""
    return [
        Part(
            [_moved(primitive, x, z, yaw) for primitive in part.primitives],
            place(part.centre[None], x, z, yaw)[0],
        )
        for part in parts
    ]


def _moved(shape: Primitive, x: float, z: float, yaw: float) -> Primitive:
    """Move one primitive from an object's frame into the world."""
    if isinstance(shape, Limb):
        start, end = place(np.stack([shape.start, shape.end]), x, z, yaw)
        return replace(shape, start=start, end=end)
    moved = replace(shape, points=place(shape.points, x, z, yaw))
    if isinstance(moved, Face) and moved.outward is not None:
        moved.outward = place(moved.outward[None], 0.0, 0.0, yaw)[0]
    return moved


def area(box: np.ndarray) -> float:
    """Area of a rectangle (x1, y1, x2, y2)."""
    return float((box[2] - box[0]) * (box[3] - box[1]))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Area shared by two rectangles (x1, y1, x2, y2)."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    return float(max(sides[0], 0) * max(sides[1], 0))
