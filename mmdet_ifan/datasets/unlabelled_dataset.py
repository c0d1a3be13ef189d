"""Data set of a target domain: images without annotations."""

import os.path as osp
from pathlib import Path
from typing import Any

import mmengine
from mmdet.datasets import BaseDetDataset
from mmdet.registry import DATASETS

from ..utils.errors import DataError
from ..utils.image_files import IMAGE_SUFFIXES, Place, check_images, images_below
from ..utils.json_files import read_coco
from .unreadable_images import NamesUnreadableImages


@DATASETS.register_module()
class UnlabelledDataset(NamesUnreadableImages, BaseDetDataset):
    """List images and never read an annotation.

    Args:
        images (str): Path relative to ``data_root``: a folder, which is
            searched with its sub-folders; a text file with one path per
            line; or a COCO file, of which only ``images`` is read. Paths in
            a list or COCO file are relative to ``data_prefix['img']``.
        **kwargs: Arguments of mmdet's ``BaseDetDataset``, above all
            ``data_root``, ``data_prefix`` and ``pipeline``, and
            ``max_unreadable``, the number of images that training may skip
            because they cannot be loaded. Defaults to 0.

    Raises:
        FileNotFoundError: If ``images`` or one of the images does not exist.
        DataError: If there is no image, if an image is listed twice or is
            damaged, or if the list is malformed.
    """

    METAINFO: dict = dict()

    def __init__(self, images: str, **kwargs: Any) -> None:
        self.images = images
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the images.

        Returns:
            list[dict]: ``img_path`` and ``img_id`` of each image.
        """
        path = osp.join(self.data_root, self.images)
        if not osp.exists(path):
            raise FileNotFoundError(
                f'The target images {path} do not exist: correct "images" or '
                '"data_root" of the UnlabelledDataset.'
            )
        if osp.isdir(path):
            paths = [osp.join(path, name) for name in images_below(path)]
        else:
            place = Place(Path(self.data_prefix.get('img') or self.data_root or '.'), 0)
            paths = [str(place.path(name)) for name in _listed_images(path)]
        if not paths:
            raise DataError(
                f'There is no image in {path} (looked for {", ".join(IMAGE_SUFFIXES)}).'
            )
        check_images(
            paths,
            path,
            "Correct data_root or data_prefix['img'], or remove their names.",
            self.skippable,
        )
        return [
            dict(img_path=img_path, img_id=i, instances=[])
            for i, img_path in enumerate(paths)
        ]


def _listed_images(path: str) -> list[str]:
    """Read the image names in a text list or COCO file."""
    if path.lower().endswith('.json'):
        images = read_coco(path, dict(images=['file_name']))['images']
        return [image['file_name'] for image in images]
    try:
        # Editors on Windows begin a file with a byte-order mark.
        lines = mmengine.list_from_file(path, encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise DataError(
            f'{path} is not text in UTF-8 ({error}): name a '
            'folder, a text list or a COCO file.'
        ) from error
    return [line.strip() for line in lines if line.strip()]
