"""A target domain: images, and nothing but images."""
import os.path as osp
from pathlib import Path
from typing import Any

import mmengine
from mmdet.datasets import BaseDetDataset
from mmdet.registry import DATASETS

from ..utils.errors import DataError
from ..utils.image_files import IMAGE_SUFFIXES, check_images, images_below
from ..utils.image_names import Place
from ..utils.json_files import read_coco
from .unreadable_images import NamesUnreadableImages


@DATASETS.register_module()
class UnlabelledDataset(NamesUnreadableImages, BaseDetDataset):
    """Images of which no annotation is ever read.

    Args:
        images (str): Where the images are, relative to ``data_root``: a
            folder, searched with its sub-folders; a text file with one path a
            line; or a COCO file, of which only ``images`` is read. The paths
            of a list or COCO file are relative to ``data_prefix['img']``.
        **kwargs: Arguments of mmdet's ``BaseDetDataset``, above all
            ``data_root``, ``data_prefix`` and ``pipeline``, and
            ``max_unreadable``: how many images that cannot be loaded
            training skips. Defaults to 0.

    Raises:
        FileNotFoundError: If ``images`` or one of them does not exist.
        DataError: If there is no image, one is listed twice or damaged, or
            the list is malformed.
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
                f'The target images {path} do not exist: correct images or '
                'data_root of the UnlabelledDataset.')
        if osp.isdir(path):
            paths = [osp.join(path, name) for name in images_below(path)]
        else:
            place = Place(
                Path(self.data_prefix.get('img') or self.data_root or '.'), 0)
            paths = [str(place.path(name)) for name in _listed_images(path)]
        if not paths:
            raise DataError(f'There is no image in {path} (looked for '
                            f'{", ".join(IMAGE_SUFFIXES)}).')
        check_images(
            paths, path,
            "Correct data_root or data_prefix['img'], or take them out.",
            self.skippable)
        return [
            dict(img_path=img_path, img_id=i, instances=[])
            for i, img_path in enumerate(paths)
        ]


def _listed_images(path: str) -> list[str]:
    """Name the images of a text list or of a COCO file."""
    if path.lower().endswith('.json'):
        images = read_coco(path, dict(images=['file_name']))['images']
        return [image['file_name'] for image in images]
    try:
        # Windows' editors begin a file with a byte-order mark.
        lines = mmengine.list_from_file(path, encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise DataError(f'{path} is no text in UTF-8 ({error}): name a '
                        'folder, a text list or a COCO file.') from error
    return [line.strip() for line in lines if line.strip()]
