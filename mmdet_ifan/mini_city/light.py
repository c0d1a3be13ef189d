"""Sun, sky and exposure of a scene."""

from dataclasses import dataclass

import numpy as np

from .look import Look


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
    sun = np.array([np.cos(altitude) * np.cos(azimuth), np.sin(altitude),
                    np.cos(altitude) * np.sin(azimuth)])
    grey = rng.uniform(*look.overcast)
    zenith = (1 - grey) * np.array(look.zenith) + grey * 195
    horizon = 0.35 * zenith + 0.65 * np.array([232, 226, 220])
    return Light(sun, rng.uniform(*look.ambient),
                 rng.uniform(*look.exposure), rng.uniform(*look.temperature),
                 np.stack([horizon, zenith]))
