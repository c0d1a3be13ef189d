"""COCO boxes of a domain, checked against the configured classes."""
import os.path as osp
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmdet.registry import DATASETS


class _CategoriesByName(COCO):
    """COCO whose category ids follow the order of the names asked for.

    The stock class gives them in the file's order and leaves unknown names
    out, so that labels are silently shifted.
    """

    def __init__(self, annotation_file: str) -> None:
        super().__init__(annotation_file)
        self.annotation_file = annotation_file

    def get_cat_ids(self, cat_names: tuple[str, ...]) -> list[int]:
        """Give the ids of the named categories, in the names' order."""
        ids = {cat['name']: cat['id'] for cat in self.dataset['categories']}
        missing = [name for name in cat_names if name not in ids]
        if missing:
            raise ValueError(
                f'{self.annotation_file} lacks the categories '
                f'{", ".join(missing)}; it has {", ".join(ids)}. Correct '
                "metainfo['classes'] in the config or the file.")
        return [ids[name] for name in cat_names]


@DATASETS.register_module()
class DomainCocoDataset(CocoDataset):
    """mmdet's ``CocoDataset`` that refuses what cannot fit, before training.

    Args:
        data_prefix (dict[str, str], optional): ``img``: the folder below
            ``data_root`` that the file's names start from. Defaults to None,
            ``data_root`` itself.
        **kwargs: Further arguments of ``CocoDataset``.

    Raises:
        FileNotFoundError: If the annotation file or its first image does not
            exist.
        ValueError: If the file lacks one of the configured classes, has no
            images, or ``filter_cfg`` leaves none.
    """

    COCOAPI = _CategoriesByName

    def __init__(self,
                 data_prefix: dict[str, str] | None = None,
                 **kwargs: Any) -> None:
        super().__init__(data_prefix=data_prefix or dict(img=''), **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the file.

        Returns:
            list[dict]: mmdet's data info of each image.
        """
        if not osp.exists(self.ann_file):
            raise FileNotFoundError(
                f'The annotation file {self.ann_file} does not exist: correct '
                'data_root or ann_file, or prepare the data set (see '
                'tools/prepare).')
        data_list = super().load_data_list()
        if not data_list:
            raise ValueError(f'{self.ann_file} names no image.')
        first = data_list[0]['img_path']
        if not osp.exists(first):
            raise FileNotFoundError(
                f'{self.ann_file} names the image {first}, which does not '
                "exist: correct data_root or data_prefix['img'].")
        return data_list

    def filter_data(self) -> list[dict]:
        """Drop images as ``filter_cfg`` says.

        Returns:
            list[dict]: mmdet's data info of the images that are left.

        Raises:
            ValueError: If none is left.
        """
        kept = super().filter_data()
        if not kept:
            raise ValueError(
                f'{self.ann_file} has no image with a box of the classes '
                f'{", ".join(self.metainfo["classes"])}: nothing to learn '
                "from. Correct ann_file or metainfo['classes'].")
        return kept
