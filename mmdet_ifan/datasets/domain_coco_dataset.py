"""COCO boxes of one domain, checked against the configured classes."""

import os.path as osp
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmdet.registry import DATASETS
from mmengine.logging import print_log

from ..utils.errors import DataError, name_some, repeated, warn
from ..utils.image_files import Place, check_images
from ..utils.json_files import PREPARE, read_coco
from ..utils.values import FLAGS, is_ignored, is_region
from .unreadable_images import NamesUnreadableImages

#: What training and testing use of a COCO file.
NEEDED = dict(
    images=('id', 'file_name', 'height', 'width'),
    categories=('id', 'name'),
    annotations=('id', 'image_id', 'category_id', 'bbox', 'area'),
)


class _CheckedCOCO(COCO):
    """COCO without clashing ids, whose category ids follow the given names.

    The stock class returns the ids in the file's order and drops unknown
    names, which silently shifts the labels. Of two entries with the same id
    it keeps the last.
    """

    def __init__(self, annotation_file: str) -> None:
        super().__init__()
        self.annotation_file = annotation_file
        self.dataset = read_coco(annotation_file, NEEDED)
        self._unify_flags()
        self.createIndex()
        self.img_ann_map, self.cat_img_map = self.imgToAnns, self.catToImgs
        for part, key in (
            ('images', 'id'),
            ('annotations', 'id'),
            ('categories', 'id'),
            ('categories', 'name'),
        ):
            twice = repeated(entry[key] for entry in self.dataset[part])
            if twice:
                raise DataError(
                    f'In {annotation_file} several {part} share the same '
                    f'{key}: {name_some(twice)}. Give each a unique {key}.'
                )
        unknown = sorted(
            {ann['category_id'] for ann in self.anns.values()} - set(self.cats), key=str
        )
        if unknown:
            raise DataError(
                f'{annotation_file} has annotations of categories that it '
                f'does not list: ids {name_some(unknown)}. Add them to its '
                'categories.'
            )
        stray = [
            ann['image_id']
            for ann in self.anns.values()
            if ann['image_id'] not in self.imgs
        ]
        if stray:
            warn(
                f'{annotation_file} has {len(stray)} annotations of images '
                f'that it does not list, such as {stray[0]!r}. These boxes '
                'are not used; correct their image_id if they should be.'
            )

    def _unify_flags(self) -> None:
        """Turn every flag that means ignored into 'iscrowd'.

        The stock class takes any text, even '0', for yes. It drops boxes
        marked with 'ignore', which are then trained on as background.
        """
        for ann in self.dataset['annotations']:
            try:
                ignored = is_ignored(ann)
            except ValueError as error:
                raise DataError(
                    f'{self.annotation_file} has annotation '
                    f'{ann["id"]} {error}. {PREPARE}'
                ) from error
            for key in FLAGS:
                ann.pop(key, None)
            ann['iscrowd'] = int(ignored)

    def get_cat_ids(self, cat_names: tuple[str, ...]) -> list[int]:
        """Give the ids of the named categories, in the order of the names."""
        ids = {cat['name']: cat['id'] for cat in self.dataset['categories']}
        missing = [name for name in cat_names if name not in ids]
        if missing:
            raise DataError(
                f'{self.annotation_file} lacks the categories '
                f'{name_some(missing)}; it has {name_some(ids, 20)}. Correct '
                "metainfo['classes'] in the config, or the file: a class has "
                'the same name in the files of both domains.'
            )
        return [ids[name] for name in cat_names]


@DATASETS.register_module()
class DomainCocoDataset(NamesUnreadableImages, CocoDataset):
    """Check a COCO file before training; otherwise mmdet's ``CocoDataset``.

    Boxes of a region such as ``DontCare`` are ignored for every class,
    unless that name is one of the classes.

    Args:
        data_prefix (dict[str, str], optional): ``img`` is the folder below
            ``data_root`` that the file names are relative to. Defaults to
            None, which means ``data_root`` itself.
        ignore_crowds (bool): Whether crowds and other ignored boxes count
            neither as objects nor as background. False makes them background,
            as in the code that the literature runs. Defaults to True.
        **kwargs: Further arguments of ``CocoDataset``, and
            ``max_unreadable``, the number of images that training may skip
            because they cannot be loaded. Defaults to 0.

    Raises:
        FileNotFoundError: If the annotation file or an image does not exist.
        DataError: If the file is not a COCO file, has no images, lists an
            image twice or a damaged one, has clashing ids or category names
            or lacks a configured class, or if ``filter_cfg`` leaves no image.
    """

    COCOAPI = _CheckedCOCO
    #: What to do if images are missing.
    MISSING = "Correct data_root or data_prefix['img'], or add them."

    def __init__(
        self,
        data_prefix: dict[str, str] | None = None,
        ignore_crowds: bool = True,
        **kwargs: Any,
    ) -> None:
        self.ignore_crowds = ignore_crowds
        super().__init__(data_prefix=data_prefix or dict(img=''), **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the file.

        Returns:
            list[dict]: mmdet's data info of each image.
        """
        if not osp.exists(self.ann_file):
            raise FileNotFoundError(
                f'The annotation file {self.ann_file} does not exist: correct '
                'data_root or ann_file, or prepare the data set with '
                'tools/prepare.'
            )
        self._unusable = self._background = 0
        data_list = super().load_data_list()
        if not data_list:
            raise DataError(
                f'{self.ann_file} names no image: correct '
                'ann_file, or prepare the data set again.'
            )
        check_images(
            [info['img_path'] for info in data_list],
            self.ann_file,
            self.MISSING,
            self.skippable,
        )
        if self._unusable:
            warn(
                f'{self.ann_file} has {self._unusable} boxes without area, '
                'outside their image or with a side below 1 px. They are not '
                'used.'
            )
        if self._background:
            print_log(
                f'{self._background} ignored boxes of {self.ann_file} are '
                'background, as ignore_crowds=False says.',
                logger='current',
            )
        return data_list

    def parse_data_info(self, raw_data_info: dict) -> dict:
        """Read the boxes of an image.

        Args:
            raw_data_info (dict): An image and its annotations in the file.

        Returns:
            dict: mmdet's data info.
        """
        annotations = []
        for ann in raw_data_info['raw_ann_info']:
            number = ann['category_id']
            if number in self.cat_ids:
                annotations.append(ann)
            elif is_region(self.coco.cats[number]['name']):
                annotations += [
                    dict(ann, category_id=each, iscrowd=1) for each in self.cat_ids
                ]
        if not self.ignore_crowds:
            objects = [ann for ann in annotations if not ann['iscrowd']]
            self._background += len(annotations) - len(objects)
            annotations = objects
        info = super().parse_data_info(dict(raw_data_info, raw_ann_info=annotations))
        self._unusable += len(annotations) - len(info['instances'])
        if not osp.isfile(info['img_path']):
            place = Place(Path(self.data_prefix['img']), 0)
            info['img_path'] = str(
                place.path(raw_data_info['raw_img_info']['file_name'])
            )
        return info

    def filter_data(self) -> list[dict]:
        """Drop images as ``filter_cfg`` says, and log how many.

        Returns:
            list[dict]: mmdet's data info of the remaining images.

        Raises:
            DataError: If no image remains.
        """
        kept = super().filter_data()
        if not kept:
            raise DataError(
                f'{self.ann_file} has no image with a box of the classes '
                f'{", ".join(self.metainfo["classes"])}: nothing to learn '
                "from. Correct ann_file or metainfo['classes']."
            )
        ignored = sum(
            all(each['ignore_flag'] for each in info['instances'])
            for info in kept
            if info['instances']
        )
        for number, what in (
            (
                len(self.data_list) - len(kept),
                'are left out of training: no box of the classes, or too small',
            ),
            (
                0 if self.test_mode else ignored,
                'have only ignored boxes: all else in them is background',
            ),
        ):
            if number:
                print_log(
                    f'{number} of the {len(self.data_list)} images of '
                    f'{self.ann_file} {what}.',
                    logger='current',
                )
        return kept
