"""Every number that decides how Mini City looks and how hard it is.

Lengths are metres, angles radians, colours BGR in [0, 255]. Change a number
here and raise `RENDERER_VERSION`, or an old render on disk passes for a new
one.
"""

RENDERER_VERSION = '1.2'

# --- What is on disk -------------------------------------------------------
# Invented, so that nobody mistakes a file for a real Cityscapes frame.
CITIES = {
    'train': ('brunnhafen', 'lindmoor'),
    'val': ('grauwinkel', 'tannrode'),
}
SPLITS = ('train', 'val')  # The position is the split's part of the seed.
BETAS = (0.005, 0.01, 0.02)  # 1/m, the levels of Foggy Cityscapes.

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
# Relative frequency of what is placed; the two riders bring their vehicle.
PLACEMENT_WEIGHTS = {
    'person': 1.15,
    'cyclist': 0.45,
    'motorcyclist': 0.45,
    'car': 1.20,
    'truck': 1.05,
    'bus': 1.10,
    'train': 1.35,
    'motorcycle': 0.35,
    'bicycle': 0.40,
}
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

# --- Light and sensor ------------------------------------------------------
EXPOSURE = (0.78, 1.15)
TEMPERATURE = (-0.08, 0.08)  # Blue minus, red plus.
BLUR = 0.45  # Sigma in px at 256 px width; grows with its root.
# (Width in px, strength relative to the colour) of blotches on surfaces.
TEXTURE = ((8, 0.03), (3, 0.025))
NOISE = 3.0  # Standard deviation of the sensor, grey levels.

# --- Fog -------------------------------------------------------------------
AIRLIGHT = (195.0, 225.0)  # Grey of the atmosphere, drawn per scene.
AIRLIGHT_TINT = 4.0  # Largest difference of a channel from that grey.
FOG_NOISE = 2.0  # Added after the fog, as a sensor would.
