"""Mini Sim: the files of SIM10K, which are those of VOC 2012."""

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import cv2
import numpy as np

from ..preparation.cityscapes_files import CATEGORIES, boxes_from_instances
from ..utils.errors import DataError
from . import settings
from .city import instance_ids
from .data_sets import RenderedSet
from .render import Rendered

FOLDER = 'VOC2012'
#: SIM10K's names by Cityscapes' names; it has one word for all people.
NAMES = {'car': 'car', 'motorcycle': 'motorbike', 'person': 'person', 'rider': 'person'}
# A box of one pixel cannot be told from a stray click.
MIN_SIDE = 2
JPEG_FLAGS = [cv2.IMWRITE_JPEG_QUALITY, 95]


class MiniSim(RenderedSet):
    """Mini Sim: Mini City as a game would show it, with SIM10K's files.

    The kinds of `paths` are 'image' and 'annotation'.
    """

    NAME = 'Mini Sim'
    LOOK = settings.SIM_LOOK
    STREAMS = {'train': 2, 'val': 3}
    FOLDERS = (FOLDER,)
    VERSION = f'{settings.RENDERER_VERSION}-sim-{settings.SIM_VERSION}'
    README = """Mini Sim: a rendered stand-in, not SIM10K.

Every image here was drawn by mmdet_ifan (numpy and OpenCV); no frame of a
game and no label of SIM10K is in it. Folders and formats are those of SIM10K,
so that the same tools read both. Scores on it say nothing about scores on
SIM10K or Cityscapes.
"""

    def side_files(self) -> dict[str, bytes]:  # noqa: D102
        files = super().side_files()
        for split in settings.SPLITS:
            stems = ''.join(
                f'{split}_{index:06d}\n' for index in range(getattr(self, split))
            )
            files[f'{FOLDER}/ImageSets/Main/{split}.txt'] = stems.encode()
        return files

    @staticmethod
    def paths(split: str, index: int) -> dict[str, str]:  # noqa: D102
        stem = f'{split}_{index:06d}'  # Both splits share a folder.
        return dict(
            image=f'{FOLDER}/JPEGImages/{stem}.jpg',
            annotation=f'{FOLDER}/Annotations/{stem}.xml',
        )

    def encode(  # noqa: D102
        self, rendered: Rendered, paths: dict[str, str], rng: np.random.Generator
    ) -> dict[str, bytes]:
        _, image = cv2.imencode('.jpg', rendered.image, JPEG_FLAGS)
        tree = annotation(instance_ids(rendered), Path(paths['image']).name)
        ElementTree.indent(tree)
        return {
            paths['image']: image.tobytes(),
            paths['annotation']: ElementTree.tostring(tree),
        }

    def objects_in(  # noqa: D102
        self, root: Path, split: str, index: int
    ) -> list[str]:
        path = root / self.paths(split, index)['annotation']
        try:
            names = [
                entry.findtext('name', '')
                for entry in ElementTree.parse(path).iter('object')
            ]
        except (ElementTree.ParseError, LookupError) as error:
            raise DataError(
                f'{path} is damaged: remove it and render again.'
            ) from error
        # As in the COCO files made from it.
        return ['motorcycle' if name == 'motorbike' else name for name in names]


def annotation(instances: np.ndarray, filename: str) -> Element:
    """Write the boxes of an instance map as VOC does.

    Args:
        instances (np.ndarray): Cityscapes' instance map of shape (H, W).
        filename (str): Name of the image.

    Returns:
        Element: Pixels are counted from 1, and a box includes its last row
        and column.
    """
    height, width = instances.shape
    root = Element('annotation')
    _add(root, folder=FOLDER, filename=filename)
    _add(SubElement(root, 'size'), width=width, height=height, depth=3)
    for box in boxes_from_instances(instances):
        name = NAMES.get(CATEGORIES[box['category_id']])
        x, y, w, h = box['bbox']
        if name is None or min(w, h) < MIN_SIDE:
            continue
        is_cut = x == 0 or y == 0 or x + w == width or y + h == height
        entry = SubElement(root, 'object')
        _add(entry, name=name, pose='Unspecified', truncated=int(is_cut), difficult=0)
        _add(
            SubElement(entry, 'bndbox'), xmin=x + 1, ymin=y + 1, xmax=x + w, ymax=y + h
        )
    return root


def _add(parent: Element, **fields: str | int) -> None:
    """Add elements that hold one value each."""
    for name, value in fields.items():
        SubElement(parent, name).text = str(value)
