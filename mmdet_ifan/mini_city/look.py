"""Look of a rendering: light, surfaces, lens, sensor and traffic."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Colour = tuple[float, float, float]  # Blue, green, red in [0, 255].
# Brightness of the tiles of a pattern, which repeats every 8 tiles.
_TILES = np.random.default_rng(0).standard_normal((8, 8))


@dataclass(frozen=True)
class Tiles:
    """A pattern that repeats over a surface, such as bricks.

    Args:
        width (float): Width of a tile in m.
        height (float): Height of a tile in m.
        joint (float): Width of the joints in m. Defaults to 0.
        joint_depth (float): Share of brightness that joints lack, in [0, 1].
            Defaults to 0.
        variation (float): Standard deviation of the tiles' brightness,
            relative to the surface's. Defaults to 0.
        staggered (bool): Whether every other row is shifted by half a tile.
            Defaults to False.
    """

    width: float
    height: float
    joint: float = 0.0
    joint_depth: float = 0.0
    variation: float = 0.0
    staggered: bool = False

    def shade(
        self, across: np.ndarray, up: np.ndarray, pixels_per_metre: np.ndarray
    ) -> np.ndarray:
        """Compute the brightness of points on a surface.

        Args:
            across (np.ndarray): Position along the rows of tiles, in m.
            up (np.ndarray): Position across them in m, of the same shape.
            pixels_per_metre (np.ndarray): Resolution. The pattern fades
                where a tile is smaller than two pixels, or it would flicker.

        Returns:
            np.ndarray: Factors around 1, of the same shape.
        """
        row = np.floor(up / self.height)
        across = across + 0.5 * self.width * self.staggered * (row % 2)
        column = np.floor(across / self.width)
        pattern = (
            self.variation
            * _TILES[row.astype(int) % len(_TILES), column.astype(int) % len(_TILES)]
        )
        in_joint = (across - column * self.width < self.joint) | (
            up - row * self.height < self.joint
        )
        smaller = min(self.width, self.height)
        share = np.clip(pixels_per_metre * smaller / 2 - 1, 0, 1)
        return 1 + share * (pattern - self.joint_depth * in_joint)


@dataclass(frozen=True)
class Look:
    """Look of a rendering.

    Pairs of numbers are ranges that scenes draw from; colours are BGR.

    Args:
        exposure (tuple[float, float]): Factor on every pixel.
        temperature (tuple[float, float]): Warm above 0, cold below.
        altitude (tuple[float, float]): Altitude of the sun in radians.
        ambient (tuple[float, float]): Share of light that reaches a face
            turned away from the sun.
        sunlit (float): Brightness of a face that the sun meets head-on.
        sunlight (Colour): Factors of the sun's light on the channels.
        skylight (Colour): Factors of the ambient light on the channels.
        shadow (float): Share of brightness that a shadow leaves.
        casts_shadows (bool): Whether shadows fall away from the sun instead
            of lying under the objects.
        overcast (tuple[float, float]): 0 is a blue sky, 1 a grey one.
        zenith (Colour): Zenith of a blue sky.
        saturation (float): Factor on the colours' distance from grey.
        tiles (Mapping[str, Tiles]): Pattern of a surface by its label.
        blotches (tuple): (Width in px, strength relative to the colour) of
            blotches all over the image.
        blur (float): Sigma in px at a width of 256 px, proportional to the
            root of the width; 0 is off.
        sharpening (float): Weight of an unsharp mask.
        noise (float): Standard deviation of the sensor in grey levels.
        placement_weights (Mapping[str, float]): Relative frequency of each
            kind of object.
    """

    exposure: tuple[float, float]
    temperature: tuple[float, float]
    altitude: tuple[float, float]
    ambient: tuple[float, float]
    sunlit: float
    sunlight: Colour
    skylight: Colour
    shadow: float
    casts_shadows: bool
    overcast: tuple[float, float]
    zenith: Colour
    saturation: float
    blotches: tuple[tuple[int, float], ...]
    blur: float
    sharpening: float
    noise: float
    placement_weights: Mapping[str, float]
    tiles: Mapping[str, Tiles] = field(default_factory=dict)

    def tone(self, colour: Colour) -> Colour:
        """Saturate the colour of a material."""
        if self.saturation == 1:
            return colour
        grey = sum(colour) / 3
        blue, green, red = (
            min(255.0, max(0.0, grey + self.saturation * (channel - grey)))
            for channel in colour
        )
        return blue, green, red


@dataclass
class Light:
    """Sun and camera response of a scene.

    Args:
        sun (np.ndarray): Unit vector towards the sun, world axes.
        ambient (float): Share of light that reaches a face turned away.
        exposure (float): Factor on every pixel.
        temperature (float): Warm above 0, cold below.
        sky (np.ndarray): BGR at the horizon and at the zenith, (2, 3).
    """

    sun: np.ndarray
    ambient: float
    exposure: float
    temperature: float
    sky: np.ndarray


def draw_light(rng: np.random.Generator, look: Look) -> Light:
    """Draw sun, exposure and sky."""
    azimuth = rng.uniform(0, 2 * np.pi)
    altitude = rng.uniform(*look.altitude)
    sun = np.array(
        [
            np.cos(altitude) * np.cos(azimuth),
            np.sin(altitude),
            np.cos(altitude) * np.sin(azimuth),
        ]
    )
    grey = rng.uniform(*look.overcast)
    zenith = (1 - grey) * np.array(look.zenith) + grey * 195
    horizon = 0.35 * zenith + 0.65 * np.array([232, 226, 220])
    return Light(
        sun,
        rng.uniform(*look.ambient),
        rng.uniform(*look.exposure),
        rng.uniform(*look.temperature),
        np.stack([horizon, zenith]),
    )
