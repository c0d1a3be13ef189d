"""Build persons, riders, bicycles and motorcycles from bars and rings."""

import numpy as np

from .bodywork import TYRE, pick, tint
from .geometry import Colour, Limb, Outline, Part, Primitive, Ring

Built = tuple[list[Part], np.ndarray]

SKIN: tuple[Colour, ...] = ((150, 180, 225), (110, 145, 195), (65, 95, 145))
HAIR: tuple[Colour, ...] = ((30, 35, 45), (50, 80, 120), (120, 120, 125))
SHIRTS: tuple[Colour, ...] = (
    (50, 50, 190),
    (190, 100, 40),
    (70, 150, 70),
    (220, 220, 220),
    (50, 50, 55),
    (60, 170, 220),
    (150, 70, 130),
    (110, 110, 115),
)
TROUSERS: tuple[Colour, ...] = (
    (80, 55, 40),
    (45, 45, 48),
    (90, 110, 130),
    (110, 85, 60),
)
HELMETS: tuple[Colour, ...] = (
    (230, 230, 230),
    (40, 40, 200),
    (40, 40, 42),
    (60, 190, 230),
)
SHOES: Colour = (35, 35, 40)
FRAMES: tuple[Colour, ...] = (
    (40, 40, 190),
    (190, 110, 40),
    (60, 60, 62),
    (80, 160, 70),
    (215, 215, 215),
)


def bar(
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius: float,
    colour: Colour,
    end_radius: float = 0.0,
) -> Limb:
    """Bar between two points (forward, left, up); see `Limb`."""
    return Limb(
        np.array(start, dtype=float),
        np.array(end, dtype=float),
        radius,
        end_radius or radius,
        colour,
    )


def person(rng: np.random.Generator) -> Built:
    """Build a person who stands or walks.

    Args:
        rng (np.random.Generator): Source of height, gait and clothes.

    Returns:
        tuple[list[Part], np.ndarray]: The parts, and (length, width,
        height) in m.
    """
    height = rng.uniform(1.55, 1.92)
    unit = height / 1.75
    stride = rng.uniform(0.0, 0.38) * unit
    stout = rng.uniform(0.9, 1.25)
    hip, neck = 0.92 * unit, 1.47 * unit
    skin, shirt = pick(rng, SKIN, 8), pick(rng, SHIRTS)
    trousers = pick(rng, TROUSERS)
    coat = rng.random() < 0.3
    parts: list[Primitive] = [
        *_leg(-1, stride, hip, stout, trousers),
        *_leg(1, stride, hip, stout, trousers),
        *_arm(-1, stride, neck - 0.07, stout, shirt, skin),
        *_arm(1, stride, neck - 0.07, stout, shirt, skin),
    ]
    hem = 0.62 * unit if coat else hip - 0.03
    parts += [
        bar(
            (0, 0.1 * stout * sign, hem),
            (0, 0.13 * stout * sign, neck - 0.08),
            0.11 * stout,
            shirt,
            0.1 * stout,
        )
        for sign in (-1, 1)  # Two bars: shoulders are wider than deep.
    ]
    if rng.random() < 0.3:
        bag = pick(rng, SHIRTS)
        parts.append(bar((-0.18, 0, 1.02 * unit), (-0.18, 0, 1.32 * unit), 0.14, bag))
    parts += _head(
        np.array([0.02, 0.0, height - 0.13 * unit]),
        0.115 * unit,
        skin,
        pick(rng, HAIR, 10),
    )
    return [Part(parts)], np.array([max(0.5, 2 * stride), 0.55, height])


def _leg(
    sign: int, stride: float, hip: float, stout: float, colour: Colour
) -> list[Limb]:
    """One leg of a walking person, from a hip at height `hip` in m."""
    side = 0.1 * stout * sign
    knee = (0.55 * stride * sign + 0.05 * stride, side, 0.54 * hip)
    foot = (stride * sign, side, 0.08)
    return [
        bar((0, side, hip), knee, 0.095 * stout, colour, 0.07),
        bar(knee, foot, 0.07, colour, 0.055),
        bar(foot, (foot[0] + 0.15, side, 0.05), 0.055, SHOES),
    ]


def _arm(
    sign: int,
    stride: float,
    shoulder: float,
    stout: float,
    sleeve: Colour,
    skin: Colour,
) -> list[Limb]:
    """One arm, swinging opposite to the leg of its side."""
    side, colour = 0.23 * stout * sign, tint(sleeve, 0.88)
    elbow = (-0.4 * stride * sign, side * 1.15, 0.8 * shoulder)
    hand = (-0.9 * stride * sign + 0.08, side * 1.15, 0.61 * shoulder)
    return [
        bar((0, side, shoulder), elbow, 0.06, colour, 0.05),
        bar(elbow, hand, 0.05, colour, 0.04),
        bar(hand, hand, 0.05, skin),
    ]


def _head(
    centre: np.ndarray, radius: float, skin: Colour, cover: Colour
) -> list[Primitive]:
    """Neck and head, covered by hair or a helmet above and behind."""
    neck = centre - [0, 0, 1.6 * radius]
    crown = centre + [-0.25 * radius, 0, 0.35 * radius]
    chin = centre + [0.25 * radius, 0, -0.25 * radius]
    return [
        Limb(neck, centre, 0.5 * radius, 0.5 * radius, skin),
        Limb(crown, crown, 0.95 * radius, 0.95 * radius, cover),
        Limb(chin, chin, 0.8 * radius, 0.8 * radius, skin),
    ]


def _rider(
    rng: np.random.Generator,
    seat: tuple[float, float],
    grip: tuple[float, float],
    peg: tuple[float, float],
    lean: float,
    helmet_radius: float,
) -> Built:
    """A seated person; `seat`, `grip`, `peg` are (forward, up) in m."""
    skin, shirt = pick(rng, SKIN, 8), pick(rng, SHIRTS)
    trousers = pick(rng, TROUSERS)
    size = rng.uniform(0.93, 1.07)
    hip = (seat[0], 0.0, seat[1] + 0.08)
    neck = np.array(
        [hip[0] + 0.52 * size * np.sin(lean), 0.0, hip[2] + 0.52 * size * np.cos(lean)]
    )
    swing = rng.uniform(0.03, 0.16)
    parts: list[Primitive] = []
    for sign in (-1, 1):
        side = 0.13 * sign
        foot = (peg[0] + swing * sign, side, peg[1] + swing * sign)
        knee = (
            seat[0] + 0.42 + 0.4 * swing * sign,
            1.3 * side,
            (seat[1] + peg[1]) / 2 + 0.13 + 0.6 * swing * sign,
        )
        parts += [
            bar((hip[0], side, hip[2]), knee, 0.1, trousers, 0.075),
            bar(knee, foot, 0.075, trousers, 0.055),
            bar(foot, (foot[0] + 0.14, side, foot[2] - 0.03), 0.055, SHOES),
        ]
    parts += [
        bar(
            (hip[0], 0.09 * sign, hip[2]),
            (neck[0], 0.13 * sign, neck[2] - 0.06),
            0.12,
            shirt,
            0.1,
        )
        for sign in (-1, 1)
    ]
    for sign in (-1, 1):
        shoulder = (neck[0], 0.21 * sign, neck[2] - 0.08)
        hand = (grip[0], 0.27 * sign, grip[1])
        elbow = (
            (shoulder[0] + hand[0]) / 2 - 0.04,
            0.3 * sign,
            (shoulder[2] + hand[2]) / 2 - 0.08,
        )
        parts += [
            bar(shoulder, elbow, 0.06, tint(shirt, 0.88), 0.05),
            bar(elbow, hand, 0.05, tint(shirt, 0.88), 0.045),
            bar(hand, hand, 0.05, skin),
        ]
    if rng.random() < 0.3:
        middle = (np.array(hip) + neck) / 2 - [0.2, 0, 0]
        parts.append(Limb(middle, middle + [0, 0, 0.22], 0.14, 0.14, pick(rng, SHIRTS)))
    head = neck + [0.07, 0.0, 0.18]
    parts += _head(head, helmet_radius, skin, pick(rng, HELMETS))
    top = float(head[2]) + 1.3 * helmet_radius
    return [Part(parts)], np.array([1.0, 0.6, top])


def cyclist(rng: np.random.Generator) -> Built:
    """Build the rider of a `bicycle`; see `person`."""
    return _rider(
        rng,
        seat=(-0.22, 0.93),
        grip=(0.4, 1.0),
        peg=(0.05, 0.3),
        lean=rng.uniform(0.15, 0.55),
        helmet_radius=0.125,
    )


def motorcyclist(rng: np.random.Generator) -> Built:
    """Build the rider of a `motorcycle`; see `person`."""
    return _rider(
        rng,
        seat=(-0.3, 0.78),
        grip=(0.42, 0.98),
        peg=(0.0, 0.35),
        lean=rng.uniform(0.05, 0.45),
        helmet_radius=0.16,
    )


def _wheel(forward: float, radius: float) -> np.ndarray:
    """Circle (16, 3) standing on the ground in the plane of travel."""
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    return np.stack(
        [forward + radius * np.cos(turn), np.zeros(16), radius + radius * np.sin(turn)],
        axis=1,
    )


def bicycle(rng: np.random.Generator) -> Built:
    """Build a bicycle: two thin rings and a diamond frame; see `person`."""
    colour, radius = pick(rng, FRAMES), rng.uniform(0.32, 0.36)
    rear, front = -0.53, 0.53
    axle, saddle = (rear, 0.0, radius), (-0.22, 0.0, 0.92)
    crank, head = (-0.06, 0.0, 0.3), (0.36, 0.0, 0.85)
    thin = 0.028
    parts: list[Primitive] = []
    for forward in (rear, front):
        wheel = _wheel(forward, radius - 0.03)
        parts += [
            Outline(wheel),
            Ring(wheel, 0.032, TYRE),
            *(
                Limb(wheel[turn], wheel[turn + 8], 0.008, 0.008, (150, 150, 150))
                for turn in (0, 4)  # Two crossed pairs of spokes.
            ),
        ]
    parts += [
        Outline(np.array([axle, crank, head, saddle])),
        *(
            bar(start, end, thin, colour)
            for start, end in (
                (axle, crank),
                (axle, saddle),
                (crank, saddle),
                (crank, head),
                (saddle, head),
            )
        ),
        bar((front, 0, radius), (0.33, 0, 0.98), thin, tint(colour, 0.8)),
        bar((0.36, -0.28, 1.0), (0.36, 0.28, 1.0), 0.028, TYRE),
        bar((-0.34, 0, 0.95), (-0.12, 0, 0.95), 0.055, (40, 40, 45)),
        bar((-0.06, -0.12, 0.18), (-0.06, 0.12, 0.42), 0.03, TYRE),
    ]
    if rng.random() < 0.4:
        parts.append(bar((0.58, 0, 0.82), (0.66, 0, 0.82), 0.14, (60, 90, 120)))
    return [Part(parts)], np.array([1.75, 0.58, 1.03])


def motorcycle(rng: np.random.Generator) -> Built:
    """Build a motorcycle: fat wheels, tank, engine, lamp; see `person`."""
    colour, radius = pick(rng, FRAMES, 20), 0.31
    metal, black = (160.0, 160.0, 165.0), (38.0, 38.0, 40.0)
    rear, front = -0.68, 0.72
    parts: list[Primitive] = []
    for forward in (rear, front):
        wheel = _wheel(forward, radius - 0.07)
        hub = (forward, 0.0, radius)
        parts += [Outline(wheel), bar(hub, hub, 0.1, metal), Ring(wheel, 0.075, black)]
    parts += [
        bar((rear, 0.06, radius), (-0.1, 0.06, 0.42), 0.05, black),
        bar((-0.2, 0, 0.42), (0.2, 0, 0.45), 0.2, (75, 75, 80)),
        bar((-0.05, -0.17, 0.28), (-0.8, -0.2, 0.36), 0.055, metal, 0.075),
        bar((0.45, 0.08, 0.95), (front, 0.08, radius), 0.045, metal),
        bar((0.45, -0.08, 0.95), (front, -0.08, radius), 0.045, metal),
        bar((front - 0.15, 0, 0.63), (front + 0.12, 0, 0.62), 0.07, colour),
        bar((-0.7, 0, 0.82), (-0.1, 0, 0.74), 0.1, black, 0.12),
        bar((-0.85, 0, 0.8), (-0.6, 0, 0.74), 0.07, colour, 0.1),
        bar((-0.02, 0, 0.82), (0.32, 0, 0.86), 0.16, colour, 0.14),
        bar((0.38, -0.38, 1.03), (0.38, 0.38, 1.03), 0.035, black),
        bar((0.52, 0, 0.9), (0.6, 0, 0.9), 0.11, (215, 245, 250)),
        bar((-0.92, 0, 0.78), (-0.94, 0, 0.78), 0.06, (40, 35, 210)),
        *(
            bar((0.38, 0.3 * sign, 1.03), (0.36, 0.36 * sign, 1.2), 0.045, black)
            for sign in (-1, 1)
        ),
    ]
    return [Part(parts)], np.array([2.05, 0.8, 1.2])
