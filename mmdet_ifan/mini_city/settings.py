"""All numbers that decide how Mini City and Mini Sim look.

Lengths are in m, angles in radians, colours BGR in [0, 255]. Raise
`RENDERER_VERSION` with every change, or an old rendering on disk passes for
a new one.
"""

from .look import Look, Tiles

RENDERER_VERSION = '1.2'
SIM_VERSION = '1.0'  # Version of what only Mini Sim has.

# --- What is on disk -------------------------------------------------------
# Invented, so that nobody mistakes a file for a real Cityscapes frame.
CITIES = {'train': ('brunnhafen', 'lindmoor'), 'val': ('grauwinkel', 'tannrode')}
SPLITS = ('train', 'val')

# --- Camera (close to that of Cityscapes) ----------------------------------
FOCAL_PER_WIDTH = 1.1  # Cityscapes: 2262.5 px at 2048 px.
HORIZON = 0.43  # Principal row over the image's height.
ELEVATION = (1.35, 1.75)  # Height of the camera over the road.
BASELINE = 0.209313  # Stereo baseline of Cityscapes.
SKY_DEPTH = 1000.0  # Stands for infinity in the depth map.
SUPERSAMPLE = 2  # Samples a pixel, per axis.

# --- What stands where -----------------------------------------------------
OBJECTS = (3, 8)  # Instances a scene, both ends included.
EMPTY_SCENES = 0.02  # Share of scenes without any object.
# Distance of the object's centre, (nearest, farthest).
DISTANCES = {
    'person': (6.5, 36.0),
    'cyclist': (6.5, 34.0),
    'motorcyclist': (6.5, 34.0),
    'car': (8.5, 45.0),
    'truck': (13.0, 45.0),
    'bus': (15.0, 45.0),
    'train': (18.0, 45.0),
    'motorcycle': (6.5, 30.0),
    'bicycle': (6.5, 30.0),
}
NEAR_BIAS = 1.0  # Distance = near + (far - near) * u**NEAR_BIAS.
MAX_COVERED = 0.5  # Of an object's rectangle by nearer ones, when placing.
MIN_INSIDE = 0.6  # Of an object's rectangle inside the image.
MIN_VISIBLE = 0.1  # Of an object's pixels, or it is labelled `static`.
MIN_SIDE_PX = 5  # Longer side at 128 rows; smaller remains are `static`.

# --- Fog -------------------------------------------------------------------
AIRLIGHT = (195.0, 225.0)  # Grey of the atmosphere, drawn per scene.
AIRLIGHT_TINT = 4.0  # Largest difference of a channel from that grey.
FOG_NOISE = 2.0  # Added after the fog, as a sensor would.

# --- Looks -----------------------------------------------------------------
CITY_LOOK = Look(
    exposure=(0.78, 1.15),
    temperature=(-0.08, 0.08),
    altitude=(0.4, 1.2),
    ambient=(0.5, 0.8),
    sunlit=1.12,
    sunlight=(1.0, 1.0, 1.0),
    skylight=(1.0, 1.0, 1.0),
    shadow=0.6,
    casts_shadows=False,
    overcast=(0.0, 1.0),
    zenith=(215.0, 165.0, 115.0),
    saturation=1.0,
    blotches=((8, 0.03), (3, 0.025)),
    blur=0.45,
    sharpening=0.0,
    noise=3.0,
    placement_weights={
        'person': 1.15,
        'cyclist': 0.45,
        'motorcyclist': 0.45,
        'car': 1.20,
        'truck': 1.05,
        'bus': 1.10,
        'train': 1.35,
        'motorcycle': 0.35,
        'bicycle': 0.40,
    },
)
# The game: vivid paint, a low sun from a blue sky, hard shadows, tiled
# surfaces, a lens without blur and a sensor without noise; mostly cars.
SIM_LOOK = Look(
    exposure=(0.95, 1.1),
    temperature=(-0.03, 0.05),
    altitude=(0.5, 0.9),
    ambient=(0.3, 0.42),
    sunlit=1.3,
    sunlight=(0.86, 0.98, 1.08),
    skylight=(1.3, 1.05, 0.85),
    shadow=0.45,
    casts_shadows=True,
    overcast=(0.0, 0.1),
    zenith=(235.0, 140.0, 50.0),
    saturation=1.9,
    blotches=(),
    blur=0.0,
    sharpening=0.6,
    noise=0.0,
    placement_weights={
        'person': 1.0,
        'cyclist': 0.3,
        'motorcyclist': 0.6,
        'car': 4.5,
        'truck': 0.5,
        'bus': 0.5,
        'train': 0.2,
        'motorcycle': 0.4,
        'bicycle': 0.2,
    },
    tiles={
        'road': Tiles(0.35, 0.35, variation=0.07),
        'sidewalk': Tiles(0.8, 0.8, joint=0.08, joint_depth=0.3, variation=0.06),
        'building': Tiles(
            0.9, 0.45, joint=0.09, joint_depth=0.28, variation=0.09, staggered=True
        ),
    },
)
