"""How a rendering looks: light, surfaces, lens and sensor, and traffic."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Colour = tuple[float, float, float]  # Blue, green, red in [0, 255].
# Brightness of the tiles of a pattern, which repeats after so many of them.
_TILES = np.random.default_rng(0).standard_normal((8, 8))


@dataclass(frozen=True)
class Tiles:
    """A pattern that repeats over a surface, such as bricks.

    Args:
        width (float): Of a tile, in m.
        height (float): Of a tile, in m.
        joint (float): Width of the joints in m. Defaults to 0.
        joint_depth (float): By how much joints are darker, in [0, 1].
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

    def shade(self, across: np.ndarray, up: np.ndarray,
              pixels_per_metre: np.ndarray) -> np.ndarray:
        """Brightness of points on a surface.

        Args:
            across (np.ndarray): In m, along the rows of tiles.
            up (np.ndarray): In m, of the same shape.
            pixels_per_metre (np.ndarray): Where a tile is smaller than a
                pixel or two, the pattern fades, or it would flicker.

        Returns:
            np.ndarray: Factors around 1, of the same shape.
        """
        row = np.floor(up / self.height)
        across = across + 0.5 * self.width * self.staggered * (row % 2)
        column = np.floor(across / self.width)
        pattern = self.variation * _TILES[row.astype(int) % len(_TILES),
                                          column.astype(int) % len(_TILES)]
        in_joint = ((across - column * self.width < self.joint)
                    | (up - row * self.height < self.joint))
        smaller = min(self.width, self.height)
        share = np.clip(pixels_per_metre * smaller / 2 - 1, 0, 1)
        return 1 + share * (pattern - self.joint_depth * in_joint)


@dataclass(frozen=True)
class Look:
    """How a rendering looks.

    Pairs of numbers are ranges that a scene draws from; colours are BGR.

    Args:
        exposure (tuple[float, float]): Factor on every pixel.
        temperature (tuple[float, float]): Blue minus, red plus.
        altitude (tuple[float, float]): Of the sun, in radians.
        ambient (tuple[float, float]): Share of light that reaches a face
            turned away from the sun.
        sunlit (float): Brightness of a face that the sun meets head-on.
        sunlight (Colour): Factors, the colour of the sun.
        skylight (Colour): Factors, the colour of the ambient light.
        shadow (float): Brightness that a shadow leaves to the ground.
        casts_shadows (bool): Whether shadows fall away from the sun; if not,
            they lie under the objects.
        overcast (tuple[float, float]): 0 is a blue sky, 1 a grey one.
        zenith (Colour): Of a blue sky.
        saturation (float): Factor on the colours' distance from grey.
        tiles (Mapping[str, Tiles]): Pattern of a surface by its label.
        blotches (tuple): (Width in px, strength relative to the colour) of
            blotches all over the image.
        blur (float): Sigma in px at 256 px width; grows with its root. 0 is
            none.
        sharpening (float): Weight of what an unsharp mask adds.
        noise (float): Standard deviation of the sensor, grey levels.
        placement_weights (Mapping[str, float]): Relative frequency of what
            is placed.
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
            for channel in colour)
        return blue, green, red
