"""Build cars, trucks, buses and trams from extruded side profiles."""

import numpy as np

from .bodywork import (
    DARK,
    FLEET_PAINTS,
    GLASS,
    PAINTS,
    box,
    decal,
    lamps,
    on_end,
    on_side,
    on_sides,
    pick,
    prism,
    tint,
    tyres_seen_from_the_ends,
    wheels,
    window,
)
from .geometry import Colour, Face, Limb, Part, Primitive


def car(rng: np.random.Generator) -> tuple[list[Part], np.ndarray]:
    """Build a hatchback, a saloon or an SUV.

    Args:
        rng (np.random.Generator): Source of variant, size and paint.

    Returns:
        tuple[list[Part], np.ndarray]: The parts, and (length, width,
        height) in m.
    """
    variant = rng.integers(3)
    length = rng.uniform(3.8, 4.1) if variant == 0 else rng.uniform(4.3, 4.8)
    height = rng.uniform(1.65, 1.8) if variant == 2 else rng.uniform(1.4, 1.55)
    half = rng.uniform(0.85, 0.95)
    belt = 0.6 * height
    paint = pick(rng, PAINTS)
    nose, tail = length / 2, -length / 2
    body = prism(
        [
            (tail, 0.26),
            (nose, 0.26),
            (nose, 0.4 * height),
            (nose - 0.1, 0.48 * height),
            (0.22 * length, belt),
            (tail + 0.08, belt),
            (tail, 0.45 * height),
        ],
        half,
        paint,
    )
    rear_base, rear_top = {0: (0.47, 0.38), 1: (0.36, 0.2), 2: (0.48, 0.44)}[
        int(variant)
    ]
    profile = [
        (-rear_base * length, belt),
        (0.23 * length, belt),
        (0.06 * length, height),
        (-rear_top * length, height),
    ]
    cabin_half = 0.86 * half
    cabin = prism(profile, cabin_half, paint)
    primitives: list[Primitive] = [*tyres_seen_from_the_ends(length, 0.33, half), *body]
    primitives += wheels([0.3 * length, -0.29 * length], 0.33, half)
    primitives += lamps(nose, tail, (0.31 * height, 0.43 * height), half)
    for end in (nose, tail):
        primitives += [
            on_end((-half, half), (0.26, 0.38), end, DARK),
            on_end((-0.26, 0.26), (0.4, 0.5), end, (220, 225, 225)),
        ]
    # Windscreen and rear window.
    primitives += [*cabin, window(cabin[1]), window(cabin[3])]
    primitives += _side_windows(profile, cabin_half)
    return [Part(primitives)], np.array([length, 2 * half, height])


def _side_windows(profile: list[tuple[float, float]], half: float) -> list[Face]:
    """Two windows a side, split by the pillar, inside a cabin's profile."""
    (rear, low), (front, _), (front_top, high), (rear_top, _) = profile
    gap = 0.12 * (high - low)
    low, high = low + 0.5 * gap, high - gap
    middle = 0.5 * (front_top + rear)
    windows = []
    for corners in (
        [
            (rear + 0.2, low),
            (middle - 0.05, low),
            (middle - 0.05, high),
            (rear_top + 0.08, high),
        ],
        [
            (middle + 0.05, low),
            (front - 0.22, low),
            (front_top - 0.05, high),
            (middle + 0.05, high),
        ],
    ):
        shape = np.insert(np.array(corners), 1, 0.0, axis=1)
        for sign in (1, -1):
            side = shape + np.array([0, sign * half, 0])
            windows.append(decal(side, GLASS, (0, sign, 0)))
    return windows


def truck(rng: np.random.Generator) -> tuple[list[Part], np.ndarray]:
    """Build a lorry, a cab in front of a tall box; see `car`."""
    length, half = rng.uniform(6.5, 8.5), rng.uniform(1.15, 1.27)
    height, cab_height = rng.uniform(3.1, 3.7), rng.uniform(2.5, 2.8)
    nose, tail, step = length / 2, -length / 2, length / 2 - 2.0
    paint = pick(rng, FLEET_PAINTS)
    cargo = pick(
        rng,
        (
            (232, 232, 230),
            (200, 205, 205),
            (90, 120, 70),
            (150, 80, 40),
            (60, 110, 190),
        ),
    )
    rear = Part(centre=np.array([(tail + step) / 2, 0, 0]))
    load = box((tail, step - 0.25), (1.05, height), half, cargo)
    chassis = box((tail + 0.2, nose - 0.3), (0.55, 1.05), 0.8 * half, DARK)
    rear.primitives += [
        *tyres_seen_from_the_ends(length * 1.3, 0.9, half),
        *chassis,
        *load,
    ]
    accent = tint(pick(rng, FLEET_PAINTS), 0.9)
    rear.primitives += [
        *on_sides(
            (tail + 0.7, step - 1.3), (0.42 * height + 0.6, 0.8 * height), half, accent
        ),
        on_end((-0.03, 0.03), (1.1, height), tail, DARK),
        on_end((-half, half), (1.05, 1.18), tail, DARK),
        *(
            on_end((sign * 0.7 * half, sign * half), (1.05, 1.25), tail, (40, 35, 210))
            for sign in (1, -1)
        ),
    ]
    rear.primitives += wheels([tail + 1.2, tail + 2.3], 0.48, half)
    front = Part(centre=np.array([nose - 1.0, 0, 0]))
    cab = prism(
        [
            (step, 0.45),
            (nose, 0.45),
            (nose, 1.35),
            (nose - 0.15, cab_height - 0.15),
            (nose - 0.3, cab_height),
            (step, cab_height),
        ],
        0.96 * half,
        paint,
    )
    front.primitives += [
        *cab,
        window(cab[2], 0.88),
        *on_sides(
            (step + 0.7, nose - 0.35), (1.45, cab_height - 0.35), 0.96 * half, GLASS
        ),
        on_end((-0.6, 0.6), (0.75, 1.2), nose, DARK),
    ]
    front.primitives += lamps(nose, tail - 99, (0.55, 0.78), half)[::2]
    front.primitives += wheels([nose - 0.85], 0.48, half)
    return [rear, front], np.array([length, 2 * half, height])


def bus(rng: np.random.Generator) -> tuple[list[Part], np.ndarray]:
    """Build a city bus, one long body with a band of windows; see `car`."""
    length, half = rng.uniform(9.5, 12.0), rng.uniform(1.2, 1.28)
    height = rng.uniform(2.9, 3.2)
    nose, tail = length / 2, -length / 2
    paint = pick(rng, FLEET_PAINTS)
    primitives: list[Primitive] = [
        *tyres_seen_from_the_ends(length * 1.4, 0.45, half),
        *box((tail, nose), (0.35, height), half, paint),
    ]
    primitives += on_sides((tail, nose), (0.35, 0.7), half, tint(paint, 0.55))
    panes = 6
    pitch = (length - 0.8) / panes
    for i in range(panes):
        start = tail + 0.4 + i * pitch
        primitives += on_sides(
            (start, start + pitch - 0.18), (1.35, height - 0.55), half, GLASS
        )
    wide, narrow = (-0.92 * half, 0.92 * half), (-0.7 * half, 0.7 * half)
    primitives += [
        *(
            on_side((at, at + 1.2), (0.45, height - 0.5), -half, tint(GLASS, 0.75))
            for at in (nose - 1.7, -0.5, tail + 2.2)  # Doors, kerb side only.
        ),
        on_end(wide, (1.05, height - 0.55), nose, GLASS),
        on_end(narrow, (height - 0.45, height - 0.12), nose, (30, 150, 245)),
        on_end(narrow, (1.7, height - 0.5), tail, GLASS),
        on_end((-half, half), (0.35, 0.6), tail, DARK),
        on_end((-half, half), (0.35, 0.6), nose, DARK),
    ]
    primitives += lamps(nose, tail, (0.65, 0.95), half)
    primitives += wheels([nose - 2.6, tail + 2.9], 0.48, half)
    return [Part(primitives)], np.array([length, 2 * half, height])


def train(rng: np.random.Generator) -> tuple[list[Part], np.ndarray]:
    """Build a tram of two or three cars with sloped noses; see `car`."""
    cars = int(rng.integers(2, 4))
    pitch = rng.uniform(6.5, 8.0)
    length, half = cars * pitch, rng.uniform(1.2, 1.3)
    height = rng.uniform(3.3, 3.6)
    paint = pick(rng, FLEET_PAINTS)
    body = pick(rng, ((235, 235, 232), (215, 225, 230), (180, 190, 190)))
    parts = []
    for i in range(cars):
        rear = -length / 2 + i * pitch
        parts.append(
            _tram_car(
                rear,
                rear + pitch,
                half,
                height,
                body,
                paint,
                first=i == cars - 1,
                last=i == 0,
            )
        )
    return parts, np.array([length, 2 * half, height + 0.7])


def _tram_car(
    rear: float,
    front: float,
    half: float,
    height: float,
    body: Colour,
    paint: Colour,
    first: bool,
    last: bool,
) -> Part:
    """One car of a tram between two positions along it."""
    slope_front, slope_rear = 1.1 * first, 1.1 * last
    gap_front, gap_rear = 0.25 * (not first), 0.25 * (not last)
    back, nose = rear + gap_rear, front - gap_front
    part = Part(centre=np.array([(rear + front) / 2, 0, 0]))
    part.primitives += box(
        (rear, front), (0.5, height - 0.25), 0.85 * half, DARK
    )  # The bellows, seen in the gaps.
    shell = prism(
        [
            (back, 0.2),
            (nose, 0.2),
            (nose, 1.2),
            (nose - slope_front, height),
            (back + slope_rear, height),
            (back, 1.2),
        ],
        half,
        body,
    )
    part.primitives += shell
    low, high = (
        (back + slope_rear * 0.3, nose - slope_front * 0.3),
        (back + 0.75 * slope_rear, nose - 0.75 * slope_front),
    )
    part.primitives += [
        *on_sides((back, nose), (0.2, 0.55), half, DARK),
        *on_sides((back, nose), (0.6, 1.25), half, paint),
    ]
    part.primitives += [
        decal(
            np.array(
                [
                    (low[0], sign * half, 1.5),
                    (low[1], sign * half, 1.5),
                    (high[1], sign * half, height - 0.7),
                    (high[0], sign * half, height - 0.7),
                ]
            ),
            GLASS,
            (0, sign, 0),
        )
        for sign in (1, -1)
    ]
    middle = (back + nose) / 2
    for at in (middle - 1.9, middle + 0.7):
        part.primitives += [
            *on_sides((at, at + 1.2), (0.5, height - 0.55), half, tint(body, 0.8)),
            *on_sides((at + 0.15, at + 1.05), (1.0, height - 0.7), half, GLASS),
        ]
    for index, end, here, lamp in (
        (2, nose, first, (225, 250, 250)),
        (4, back, last, (40, 35, 205)),
    ):
        if here:
            part.primitives += [
                window(shell[index], 0.84),
                on_end((-half, half), (0.35, 1.2), end, paint),
                *(
                    on_end(
                        (sign * 0.5 * half, sign * 0.85 * half), (0.7, 0.95), end, lamp
                    )
                    for sign in (1, -1)
                ),
            ]
    if first:
        _pantograph(part, (rear + front) / 2, height)
    return part


def _pantograph(part: Part, forward: float, height: float) -> None:
    """The folding current collector on a tram's roof."""
    knee, top = (
        np.array([forward + 0.8, 0, height + 0.3]),
        np.array([forward, 0, height + 0.7]),
    )
    foot = np.array([forward, 0, height])
    part.primitives += [
        Limb(foot, knee, 0.06, 0.06, DARK),
        Limb(knee, top, 0.06, 0.06, DARK),
        Limb(top + [0, 0.8, 0], top - [0, 0.8, 0], 0.06, 0.06, DARK),
    ]
