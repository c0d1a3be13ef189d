"""Build the panels, wheels and lamps of vehicles."""

import numpy as np

from .geometry import Colour, Face, normal_away_from

GLASS = (70.0, 58.0, 50.0)
TYRE = (32.0, 32.0, 34.0)
RIM = (150.0, 150.0, 150.0)
DARK = (45.0, 45.0, 48.0)
PAINTS: tuple[Colour, ...] = (
    (228, 228, 226),
    (165, 165, 165),
    (50, 48, 48),
    (40, 40, 185),
    (165, 85, 35),
    (120, 60, 30),
    (70, 110, 60),
    (60, 145, 205),
    (150, 190, 210),
    (90, 90, 95),
)
FLEET_PAINTS: tuple[Colour, ...] = (
    (45, 45, 200),
    (50, 180, 225),
    (185, 110, 40),
    (80, 150, 60),
    (225, 225, 225),
    (200, 160, 60),
)


def pick(
    rng: np.random.Generator, colours: tuple[Colour, ...], spread: float = 14.0
) -> Colour:
    """Draw one of `colours` and vary it a little."""
    base = np.array(colours[rng.integers(len(colours))], dtype=float)
    varied = np.clip(base + rng.normal(0, spread, 3), 5, 250)
    return float(varied[0]), float(varied[1]), float(varied[2])


def tint(colour: Colour, factor: float) -> Colour:
    """Scale a colour's brightness."""
    scaled = [min(255.0, channel * factor) for channel in colour]
    return scaled[0], scaled[1], scaled[2]


def end_quad(
    left: tuple[float, float], up: tuple[float, float], forward: float
) -> np.ndarray:
    """Rectangle (4, 3) in m on a vehicle's front or rear at `forward`."""
    return np.array(
        [
            (forward, left[0], up[0]),
            (forward, left[1], up[0]),
            (forward, left[1], up[1]),
            (forward, left[0], up[1]),
        ]
    )


def on_end(
    left: tuple[float, float], up: tuple[float, float], forward: float, colour: Colour
) -> Face:
    """Painted rectangle on the front (`forward` > 0) or the rear, in m."""
    return decal(end_quad(left, up, forward), colour, (np.sign(forward), 0, 0))


def on_side(
    forward: tuple[float, float], up: tuple[float, float], left: float, colour: Colour
) -> Face:
    """Painted rectangle on the left (`left` > 0) or right side, in m."""
    (rear, front), (low, high) = forward, up
    points = np.array(
        [(rear, left, low), (front, left, low), (front, left, high), (rear, left, high)]
    )
    return decal(points, colour, (0, np.sign(left), 0))


def on_sides(
    forward: tuple[float, float], up: tuple[float, float], half: float, colour: Colour
) -> list[Face]:
    """Painted rectangles on both sides of a body of width 2 * `half` m."""
    return [on_side(forward, up, sign * half, colour) for sign in (1, -1)]


def window(face: Face, factor: float = 0.86) -> Face:
    """Glass on a face, smaller by `factor`."""
    centre = face.points.mean(axis=0)
    return Face(
        centre + (face.points - centre) * factor, GLASS, face.outward, decal=True
    )


def prism(
    profile: list[tuple[float, float]], half_width: float, colour: Colour
) -> list[Face]:
    """Extrude a convex side profile.

    Args:
        profile (list): Corners (forward, up) in m, in order.
        half_width (float): Half of the extrusion, in m.
        colour (Colour): Colour of every face.

    Returns:
        list[Face]: A strip for each side of the profile in its order, then
        the left and the right side.
    """
    corners = np.array(profile, dtype=float)
    left = np.insert(corners, 1, half_width, axis=1)
    right = np.insert(corners, 1, -half_width, axis=1)
    centre = np.concatenate([left, right]).mean(axis=0)
    # Each corner is joined to the next one.
    after = np.roll(left, -1, axis=0), np.roll(right, -1, axis=0)
    shapes = [*np.stack([left, *after, right], axis=1), left, right]
    return [Face(shape, colour, normal_away_from(shape, centre)) for shape in shapes]


def box(
    length: tuple[float, float],
    height: tuple[float, float],
    half_width: float,
    colour: Colour,
) -> list[Face]:
    """A cuboid as a `prism`: bottom, front, top, rear, left, right."""
    (rear, front), (low, high) = length, height
    return prism(
        [(rear, low), (front, low), (front, high), (rear, high)], half_width, colour
    )


def decal(
    points: np.ndarray, colour: Colour, outward: tuple[float, float, float]
) -> Face:
    """Paint on a face that looks along `outward` (forward, left, up)."""
    return Face(points, colour, np.array(outward, dtype=float), decal=True)


def wheels(positions: list[float], radius: float, half_width: float) -> list[Face]:
    """Wheels on both sides, no decals since they reach below the body."""
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    return [
        Face(
            np.stack(
                [
                    position + share * radius * np.cos(turn),
                    np.full(14, sign * half_width),
                    radius + share * radius * np.sin(turn),
                ],
                1,
            ),
            colour,
            np.array([0.0, sign, 0.0]),
            decal=share < 1,
        )
        for sign in (1.0, -1.0)
        for position in positions
        for share, colour in ((1.0, TYRE), (0.55, RIM))
    ]


def lamps(
    front: float, rear: float, up: tuple[float, float], half_width: float
) -> list[Face]:
    """White lamps in front and red ones behind, left and right."""
    return [
        on_end((sign * half_width * 0.58, sign * half_width * 0.94), up, end, colour)
        for sign in (1, -1)
        for end, colour in ((front, (215, 245, 250)), (rear, (40, 35, 205)))
    ]


def tyres_seen_from_the_ends(
    length: float, radius: float, half_width: float
) -> list[Face]:
    """Front and rear wheels as seen under the bumpers."""
    return [
        Face(
            end_quad(
                (sign * half_width * 0.62, sign * half_width * 0.97),
                (0, radius),
                forward,
            ),
            TYRE,
            np.array([np.sign(forward), 0.0, 0.0]),
        )
        for sign in (1, -1)
        for forward in (length * 0.33, -length * 0.33)
    ]
