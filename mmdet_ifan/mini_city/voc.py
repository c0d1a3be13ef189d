"""Names and formats of the files of SIM10K, which are those of VOC 2012."""

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import cv2
import numpy as np

from ..preparation.instances import CATEGORIES, boxes_from_instances
from ..utils.errors import DataError
from .formats import instance_ids
from .render import Rendered

FOLDER = 'VOC2012'
# What SIM10K labels, by Cityscapes' name; it has one word for all people.
NAMES = {'car': 'car', 'motorcycle': 'motorbike', 'person': 'person',
         'rider': 'person'}
# As the converters name them again.
CONVERTED = {'motorbike': 'motorcycle'}
# A box of one pixel cannot be told from a stray click.
MIN_SIDE = 2
JPEG_FLAGS = [cv2.IMWRITE_JPEG_QUALITY, 95]


def scene_paths(split: str, index: int) -> dict[str, str]:
    """Path under the root of each file of a scene, by kind.

    Args:
        split (str): 'train' or 'val'.
        index (int): Number of the scene in its split, from 0.

    Returns:
        dict[str, str]: Keys are 'image' and 'annotation'.
    """
    stem = _stem(split, index)
    return dict(image=f'{FOLDER}/JPEGImages/{stem}.jpg',
                annotation=f'{FOLDER}/Annotations/{stem}.xml')


def list_file(split: str, scenes: int) -> dict[str, bytes]:
    """Content of the list of a split's images, by its path."""
    stems = [f'{_stem(split, index)}\n' for index in range(scenes)]
    return {f'{FOLDER}/ImageSets/Main/{split}.txt': ''.join(stems).encode()}


def _stem(split: str, index: int) -> str:
    """Name of a scene; both splits share a folder."""
    return f'{split}_{index:06d}'


def encode(rendered: Rendered, paths: dict[str, str]) -> dict[str, bytes]:
    """Encode a scene in the formats of SIM10K.

    Args:
        rendered (Rendered): The scene.
        paths (dict[str, str]): From `scene_paths`.

    Returns:
        dict[str, bytes]: Content of each file by path.
    """
    _, image = cv2.imencode('.jpg', rendered.image, JPEG_FLAGS)
    tree = annotation(instance_ids(rendered), Path(paths['image']).name)
    ElementTree.indent(tree)
    return {paths['image']: image.tobytes(),
            paths['annotation']: ElementTree.tostring(tree)}


def annotation(instances: np.ndarray, filename: str) -> Element:
    """Write the boxes of an instance map as VOC does.

    Args:
        instances (np.ndarray): Cityscapes' instance map of shape (H, W).
        filename (str): Of the image.

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
        _add(entry, name=name, pose='Unspecified', truncated=int(is_cut),
             difficult=0)
        _add(SubElement(entry, 'bndbox'), xmin=x + 1, ymin=y + 1,
             xmax=x + w, ymax=y + h)
    return root


def _add(parent: Element, **fields: str | int) -> None:
    """Add elements that hold one value each."""
    for name, value in fields.items():
        SubElement(parent, name).text = str(value)


def objects_in(path: Path) -> list[str]:
    """Category of each object in an annotation file.

    Args:
        path (Path): The file.

    Returns:
        list[str]: With 'motorcycle' for SIM10K's 'motorbike', as in the COCO
        files made from it.

    Raises:
        DataError: If it is damaged.
    """
    try:
        names = [entry.findtext('name', '')
                 for entry in ElementTree.parse(path).iter('object')]
    except (ElementTree.ParseError, LookupError) as error:
        raise DataError(
            f'{path} is damaged: remove it and render again.') from error
    return [CONVERTED.get(name, name) for name in names]
