"""Mini City: the files of Cityscapes and Foggy Cityscapes."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cityscapesscripts.helpers.labels import id2label, name2label

from ..preparation.cityscapes_files import CAMERA, CLEAR, DISPARITY, FOGGY, LABELS
from ..preparation.fog import BETAS, add_fog
from ..utils.errors import DataError
from ..utils.image_files import PNG_FLAGS
from . import settings
from .data_sets import RenderedSet
from .render import Rendered, add_noise

FRAME = 19  # The frame of a snippet that Cityscapes annotates.


class MiniCity(RenderedSet):
    """Mini City, with the files of Cityscapes and Foggy Cityscapes.

    The kinds of `paths` are 'image', 'instances', 'polygons', 'disparity',
    'camera' and, for each beta, 'foggy_BETA'.
    """

    NAME = 'Mini City'
    LOOK = settings.CITY_LOOK
    STREAMS = {'train': 0, 'val': 1}
    DETAILS = dict(betas=BETAS)
    FOLDERS = ('leftImg8bit', 'leftImg8bit_foggy', 'gtFine', 'disparity', 'camera')
    README = """Mini City: a rendered stand-in, not Cityscapes.

Every image here was drawn by mmdet_ifan (numpy and OpenCV); no photograph,
label or calibration of Cityscapes or Foggy Cityscapes is in it. Folders and
formats are those of Cityscapes, so that the same tools read both. Scores on
it say nothing about scores on Cityscapes.
"""

    @staticmethod
    def paths(split: str, index: int) -> dict[str, str]:  # noqa: D102
        cities = settings.CITIES[split]
        city = cities[index % len(cities)]
        frame = f'{split}/{city}/{city}_{index // len(cities):06d}_{FRAME:06d}'
        return dict(
            image=CLEAR.path(frame),
            instances=LABELS.path(frame),
            polygons=f'gtFine/{frame}_gtFine_polygons.json',
            disparity=DISPARITY.path(frame),
            camera=CAMERA.path(frame),
            **{f'foggy_{beta}': kind.path(frame) for beta, kind in FOGGY.items()},
        )

    def encode(  # noqa: D102
        self, rendered: Rendered, paths: dict[str, str], rng: np.random.Generator
    ) -> dict[str, bytes]:
        camera = rendered.camera
        return {
            paths['image']: _png(rendered.image),
            paths['instances']: _png(instance_ids(rendered)),
            paths['polygons']: json_bytes(_polygons(rendered)),
            paths['disparity']: _png(disparity(rendered.depth, camera.focal)),
            paths['camera']: json_bytes(
                dict(
                    extrinsic=dict(
                        baseline=settings.BASELINE,
                        pitch=0.0,
                        roll=0.0,
                        x=0.0,
                        y=0.0,
                        yaw=0.0,
                        z=camera.elevation,
                    ),
                    intrinsic=dict(
                        fx=camera.focal, fy=camera.focal, u0=camera.u0, v0=camera.v0
                    ),
                )
            ),
            **{
                paths[f'foggy_{beta}']: _png(
                    add_noise(
                        add_fog(
                            rendered.image, rendered.depth, beta, rendered.airlight
                        ),
                        settings.FOG_NOISE,
                        rng,
                    )
                )
                for beta in BETAS
            },
        }

    def objects_in(  # noqa: D102
        self, root: Path, split: str, index: int
    ) -> list[str]:
        path = root / self.paths(split, index)['instances']
        instances = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if instances is None:
            raise DataError(f'{path} is damaged: remove it and render again.')
        codes = np.unique(instances)
        return [id2label[int(code) // 1000].name for code in codes if code >= 1000]


def instance_ids(rendered: Rendered) -> np.ndarray:
    """Make Cityscapes' instance map, uint16 of shape (H, W).

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


def disparity(depth: np.ndarray, focal: float) -> np.ndarray:
    """Make Cityscapes' disparity, uint16 p with (p - 1) / 256 px for p > 0.

    Args:
        depth (np.ndarray): Depth in m, of shape (H, W).
        focal (float): Focal length in px.

    Returns:
        np.ndarray: Of shape (H, W).
    """
    pixels = settings.BASELINE * focal / depth
    return np.clip(np.rint(pixels * 256) + 1, 1, 65535).astype(np.uint16)


def json_bytes(content: dict[str, Any]) -> bytes:
    """Encode as JSON, UTF-8."""
    return json.dumps(content).encode()


def _polygons(rendered: Rendered) -> dict[str, Any]:
    """Make Cityscapes' outlines, each in front of those before it."""
    height, width = rendered.index.shape
    objects = [
        dict(label=label, polygon=polygon.tolist())
        for label, polygon in zip(rendered.labels, rendered.polygons, strict=True)
        if len(polygon)
    ]
    return dict(imgHeight=height, imgWidth=width, objects=objects)


def _png(image: np.ndarray) -> bytes:
    """Encode as PNG."""
    _, encoded = cv2.imencode('.png', image, PNG_FLAGS)
    return encoded.tobytes()
