"""Build ground, houses, trees and lamps: all that is not an object."""

from dataclasses import dataclass

import numpy as np

from .bodywork import GLASS, pick, tint
from .geometry import Colour, Face, Limb, Part, Primitive, normal_away_from

ASPHALT: tuple[Colour, ...] = ((98, 96, 94), (82, 80, 80), (112, 108, 105))
PAVING: tuple[Colour, ...] = ((140, 142, 145), (125, 130, 140), (115, 125, 138))
WALLS: tuple[Colour, ...] = (
    (165, 190, 205),
    (130, 150, 175),
    (95, 110, 150),
    (175, 175, 175),
    (150, 165, 150),
    (120, 125, 130),
    (185, 200, 215),
    (85, 95, 115),
)
LEAVES: tuple[Colour, ...] = ((50, 95, 60), (45, 80, 75), (60, 110, 85))
PAINT_WHITE: Colour = (205, 208, 210)
FAR = 120.0  # Where the street ends.


@dataclass
class Street:
    """The plan of a street along z; lengths in m.

    Args:
        left (float): x of the road's left edge, negative.
        right (float): x of the road's right edge.
        pavement (float): Width of each pavement.
        crossing (float, optional): z of a crossing street's middle.
        crossing_width (float): Width of that street. Defaults to 9.
    """

    left: float
    right: float
    pavement: float
    crossing: float | None
    crossing_width: float = 9.0

    @property
    def gap(self) -> tuple[float, float]:
        """tuple[float, float]: z where the gap between houses begins, ends."""
        if self.crossing is None:
            return FAR, FAR
        half = self.crossing_width / 2 + 2.0
        return self.crossing - half, self.crossing + half


def draw_street(rng: np.random.Generator) -> Street:
    """Draw a street's plan."""
    crossing = rng.uniform(18, 42) if rng.random() < 0.6 else None
    return Street(
        -rng.uniform(4.0, 6.5), rng.uniform(3.5, 6.0), rng.uniform(2.2, 3.6), crossing
    )


def flat(
    x: tuple[float, float], z: tuple[float, float], colour: Colour, up: float = 0.0
) -> Face:
    """Rectangle on the ground."""
    return Face(
        np.array(
            [(x[0], up, z[0]), (x[1], up, z[0]), (x[1], up, z[1]), (x[0], up, z[1])]
        ),
        colour,
        np.array([0.0, 1.0, 0.0]),
        decal=False,
    )


def pavement(rng: np.random.Generator) -> list[Primitive]:
    """Everything outside the road, and beyond the houses."""
    return [flat((-80, 80), (0.8, FAR), pick(rng, PAVING, 6))]


def road(rng: np.random.Generator, street: Street) -> list[Primitive]:
    """Carriageway and, where there is one, the crossing street."""
    colour = pick(rng, ASPHALT, 5)
    faces: list[Primitive] = [flat((street.left, street.right), (0.8, FAR), colour)]
    if street.crossing is not None:
        half = street.crossing_width / 2
        faces.append(
            flat((-80, 80), (street.crossing - half, street.crossing + half), colour)
        )
    return faces


def markings(
    rng: np.random.Generator, street: Street, rails: list[tuple[float, bool]]
) -> list[Primitive]:
    """Kerbs, dashes, zebra and rails; paint on the ground.

    Args:
        rng (np.random.Generator): Source of the dashes' shift.
        street (Street): The plan.
        rails (list): x of each track in m (z if it crosses the street), and
            whether it crosses.

    Returns:
        list[Primitive]: Decals.
    """
    faces: list[Face] = []
    low, high = street.gap
    for edge in (street.left, street.right):
        kerb = (edge - 0.12, edge + 0.12)
        for span in ((0.8, low), (high, FAR)):
            if span[1] > span[0]:
                faces.append(flat(kerb, span, (175, 178, 180)))
    middle = (street.left + street.right) / 2
    faces += [
        flat((middle - 0.07, middle + 0.07), (start, start + 3.0), PAINT_WHITE)
        for start in np.arange(rng.uniform(0.8, 6), 70, 6.0)
    ]
    if street.crossing is not None:
        faces += [
            flat((x, x + 0.5), (low - 1.5, low + 1.2), PAINT_WHITE)
            for x in np.arange(street.left + 0.4, street.right - 0.4, 1.0)
        ]
    for at, crosses in rails:
        for gauge in (-0.72, 0.72):
            line = (at + gauge - 0.05, at + gauge + 0.05)
            faces.append(
                flat((-80, 80), line, (70, 68, 66))
                if crosses
                else flat(line, (0.8, FAR), (70, 68, 66))
            )
    for face in faces:
        face.decal = True
    return list(faces)


def houses(rng: np.random.Generator, street: Street) -> list[tuple[float, list[Part]]]:
    """Rows of houses on both sides and at the end of the street.

    Returns:
        list[tuple[float, list[Part]]]: For each house, the z in m up to
        which it hides things, and its parts.
    """
    low, high = street.gap
    built = [(FAR, [Part(_far_end(rng))])]
    for edge, sign in ((street.left, -1.0), (street.right, 1.0)):
        wall = edge + sign * (street.pavement + rng.uniform(0, 1.5))
        z = rng.uniform(2.0, 6.0)
        while z < 75:
            end = z + rng.uniform(7, 15)
            if z < low < end:
                end = low
            if low <= z < high:
                z = high
                continue
            if end - z > 1.5:
                built.append((end, [Part(_house(rng, wall, sign, z, end))]))
            z = end + (rng.uniform(2, 5) if rng.random() < 0.15 else 0.0)
    return built


def _far_end(rng: np.random.Generator) -> list[Primitive]:
    """A row of houses across the end of the street, too far for windows."""
    parts: list[Primitive] = []
    x = -70.0
    while x < 70:
        width, height = rng.uniform(8, 20), rng.uniform(6, 17)
        parts.append(
            Face(
                _upright((x, x + width), (-1, height), (FAR - 1, FAR - 1)),
                tint(pick(rng, WALLS, 6), 0.85),
                np.array([0.0, 0.0, -1.0]),
            )
        )
        x += width
    return parts


def _upright(
    x: tuple[float, float], up: tuple[float, float], z: tuple[float, float]
) -> np.ndarray:
    """Upright rectangle (4, 3) from one (x, z) to another, in m."""
    return np.array(
        [
            (x[0], up[0], z[0]),
            (x[1], up[0], z[1]),
            (x[1], up[1], z[1]),
            (x[0], up[1], z[0]),
        ]
    )


def _house(
    rng: np.random.Generator, wall: float, sign: float, start: float, end: float
) -> list[Primitive]:
    """One house whose facade stands at x = `wall`, facing the street."""
    height, colour = rng.uniform(7, 17), pick(rng, WALLS, 6)
    depth = wall + sign * 12
    centre = np.array([(wall + depth) / 2, height / 2, (start + end) / 2])
    street_side = _upright((wall, wall), (0, height), (start, end))
    near_side = _upright((wall, depth), (0, height), (start, start))
    parts: list[Primitive] = [
        Face(side, colour, normal_away_from(side, centre))
        for side in (near_side, street_side)
    ]
    pane = tint(GLASS, rng.uniform(0.9, 1.9))
    outward = np.array([-sign, 0.0, 0.0])
    pitch, storey = rng.uniform(2.0, 3.2), rng.uniform(2.9, 3.4)
    width = pitch * rng.uniform(0.4, 0.65)
    parts += [
        Face(
            _upright((wall, wall), (level + 0.4, level + 2.1), (z, z + width)),
            tint(pane, rng.uniform(0.8, 1.25)),
            outward,
            decal=True,
        )
        for level in np.arange(storey, height - 2.0, storey)
        for z in np.arange(start + 0.6, end - width - 0.3, pitch)
    ]
    shop = tint(pick(rng, WALLS, 18), 0.55)
    parts.append(
        Face(
            _upright((wall, wall), (0.5, 2.5), (start + 0.5, end - 0.5)),
            shop,
            outward,
            decal=True,
        )
    )
    return parts


def tree(rng: np.random.Generator) -> list[Part]:
    """A tree in its own frame (forward, left, up)."""
    trunk_height, leaf = rng.uniform(2.2, 3.2), pick(rng, LEAVES, 8)
    parts: list[Primitive] = [
        Limb(
            np.zeros(3), np.array([0, 0, trunk_height + 0.8]), 0.17, 0.11, (50, 65, 80)
        )
    ]
    for _ in range(9):
        at = np.append(rng.normal(0, 0.75, 2), trunk_height + rng.uniform(0.7, 2.8))
        radius = rng.uniform(0.6, 1.0)
        parts.append(Limb(at, at, radius, radius, tint(leaf, rng.uniform(0.75, 1.25))))
    return [Part(parts)]


def lamp_post(rng: np.random.Generator) -> list[Part]:
    """A lamp post or a traffic sign in its own frame."""
    grey = (95.0, 95.0, 95.0)
    if rng.random() < 0.5:
        top = np.array([0, 0, 5.5])
        return [
            Part(
                [
                    Limb(np.zeros(3), top, 0.09, 0.06, grey),
                    Limb(top, top + [1.2, 0, 0.2], 0.06, 0.06, grey),
                ]
            )
        ]
    top = np.array([0, 0, 2.5])
    sign = pick(rng, ((40, 40, 200), (190, 110, 40), (60, 200, 235)))
    return [
        Part(
            [
                Limb(np.zeros(3), top, 0.05, 0.05, grey),
                Limb(top, top, 0.33, 0.33, sign),
                Limb(top, top, 0.2, 0.2, (225, 228, 228)),
            ]
        )
    ]
