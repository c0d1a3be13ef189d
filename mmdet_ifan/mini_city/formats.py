"""Names and formats of the files of Cityscapes and Foggy Cityscapes."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cityscapesscripts.helpers.labels import id2label, name2label

from ..preparation.fog import BETAS, add_fog
from ..utils.errors import DataError
from ..utils.image_files import PNG_FLAGS
from . import settings
from .render import Rendered, add_noise

FRAME = 19  # The frame of a snippet that Cityscapes annotates.


def scene_paths(split: str, index: int) -> dict[str, str]:
    """Path under the root of each file of a scene, by kind.

    Args:
        split (str): 'train' or 'val'.
        index (int): Number of the scene in its split, from 0.

    Returns:
        dict[str, str]: Keys are 'image', 'instances', 'polygons',
        'disparity', 'camera' and, for each beta, 'foggy_BETA'.
    """
    cities = settings.CITIES[split]
    city = cities[index % len(cities)]
    stem = f'{city}_{index // len(cities):06d}_{FRAME:06d}'
    paths = dict(
        image=f'leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png',
        instances=f'gtFine/{split}/{city}/{stem}_gtFine_instanceIds.png',
        polygons=f'gtFine/{split}/{city}/{stem}_gtFine_polygons.json',
        disparity=f'disparity/{split}/{city}/{stem}_disparity.png',
        camera=f'camera/{split}/{city}/{stem}_camera.json')
    for beta in BETAS:
        paths[f'foggy_{beta}'] = (
            f'leftImg8bit_foggy/{split}/{city}/{stem}'
            f'_leftImg8bit_foggy_beta_{beta}.png')
    return paths


def encode(rendered: Rendered, paths: dict[str, str],
           rng: np.random.Generator) -> dict[str, bytes]:
    """Encode a scene in the formats of Cityscapes.

    Args:
        rendered (Rendered): The scene.
        paths (dict[str, str]): From `scene_paths`.
        rng (np.random.Generator): Noise of the foggy images.

    Returns:
        dict[str, bytes]: Content of each file by path.
    """
    camera = rendered.camera
    files = {
        paths['image']: _png(rendered.image),
        paths['instances']: _png(instance_ids(rendered)),
        paths['polygons']: json_bytes(polygons(rendered)),
        paths['disparity']: _png(disparity(rendered.depth, camera.focal)),
        paths['camera']: json_bytes(dict(
            extrinsic=dict(baseline=settings.BASELINE, pitch=0.0, roll=0.0,
                           x=0.0, y=0.0, yaw=0.0, z=camera.elevation),
            intrinsic=dict(fx=camera.focal, fy=camera.focal, u0=camera.u0,
                           v0=camera.v0)))}
    for beta in BETAS:
        foggy = add_fog(rendered.image, rendered.depth, beta,
                        rendered.airlight)
        files[paths[f'foggy_{beta}']] = _png(
            add_noise(foggy, settings.FOG_NOISE, rng))
    return files


def instance_ids(rendered: Rendered) -> np.ndarray:
    """Cityscapes' instance map, uint16 of shape (H, W).

    A pixel of an object is its label id * 1000 + its number among the
    image's objects of that label; any other pixel is its label id.
    """
    numbers: Counter[str] = Counter()
    codes = np.zeros(len(rendered.labels), dtype=np.uint16)
    for i, label in enumerate(rendered.labels):
        codes[i] = name2label[label].id
        if rendered.instances[i]:
            codes[i] = name2label[label].id * 1000 + numbers[label]
            numbers[label] += 1
    return codes[rendered.index]


def polygons(rendered: Rendered) -> dict[str, Any]:
    """Cityscapes' outlines, each over those before it."""
    height, width = rendered.index.shape
    drawn = zip(rendered.labels, rendered.polygons, strict=True)
    objects = [dict(label=label, polygon=polygon.tolist())
               for label, polygon in drawn if len(polygon)]
    return dict(imgHeight=height, imgWidth=width, objects=objects)


def disparity(depth: np.ndarray, focal: float) -> np.ndarray:
    """Cityscapes' disparity, uint16 p with (p - 1) / 256 px for p > 0.

    Args:
        depth (np.ndarray): In m, of shape (H, W).
        focal (float): In px.

    Returns:
        np.ndarray: Of shape (H, W).
    """
    pixels = settings.BASELINE * focal / depth
    return np.clip(np.rint(pixels * 256) + 1, 1, 65535).astype(np.uint16)


def objects_in(path: Path) -> list[str]:
    """Label of each object in an instance map.

    Args:
        path (Path): The file.

    Returns:
        list[str]: Cityscapes' names.

    Raises:
        DataError: If it is damaged.
    """
    instances = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if instances is None:
        raise DataError(f'{path} is damaged: remove it and render again.')
    codes = np.unique(instances)
    return [id2label[int(code) // 1000].name
            for code in codes if code >= 1000]


def _png(image: np.ndarray) -> bytes:
    _, encoded = cv2.imencode('.png', image, PNG_FLAGS)
    return encoded.tobytes()


def json_bytes(content: dict[str, Any]) -> bytes:
    """Encode as JSON, UTF-8."""
    return json.dumps(content).encode()
