"""A labelled source and an unlabelled target, image by image."""
import logging
from collections import Counter
from typing import Any

from mmdet.datasets import BaseDetDataset
from mmdet.registry import DATASETS
from mmdet.utils import ConfigType
from mmengine.dataset import Compose
from mmengine.logging import print_log
from torch.utils.data import Dataset

from ..utils.errors import DataError
from .unlabelled_dataset import UnlabelledDataset


@DATASETS.register_module()
class PairedDomainDataset(Dataset):
    """Pairs of a source and a target item for ``MultiBranchDataPreprocessor``.

    Like mmdet's semi-supervised data, an item has a branch per part:
    ``{'inputs': {'source': …, 'target': …}, 'data_samples': {…}}``. Which
    source goes with which target is
    :class:`~mmdet_ifan.datasets.PairedDomainSampler`'s to draw.

    Args:
        source (dict or BaseDetDataset): The labelled data set; its
            ``metainfo`` is the pair's.
        target (dict or UnlabelledDataset): The unlabelled one.
        augmentation (list[dict], optional): Transforms of both domains,
            before the last of each pipeline, which packs. Defaults to None.

    Raises:
        TypeError: If the target's class could read annotations.
        DataError: If source has no box, or its pipeline loads none. Classes
            without one are warned of.
    """

    def __init__(self, source: ConfigType | BaseDetDataset,
                 target: ConfigType | UnlabelledDataset,
                 augmentation: list[ConfigType] | None = None) -> None:
        self.source, self.target = (
            DATASETS.build(part) if isinstance(part, dict) else part
            for part in (source, target))
        if not isinstance(self.target, UnlabelledDataset):
            raise TypeError(
                'The target of PairedDomainDataset must be an '
                'UnlabelledDataset, so that no target label can leak, but is '
                f'a {type(self.target).__name__}.')
        if not any(
                getattr(transform, 'with_bbox', False)
                for transform in self.source.pipeline.transforms):
            raise DataError(
                "No transform of source's pipeline loads its boxes: put "
                "dict(type='LoadAnnotations', with_bbox=True) behind the one "
                'that loads the image.')
        for part in (self.source, self.target):
            part.pipeline.transforms[-1:-1] = Compose(augmentation).transforms
        self.full_init()

    @property
    def metainfo(self) -> dict:
        """dict: Classes and palette, those of source."""
        return self.source.metainfo

    def full_init(self) -> None:
        """Load both lists and check what source can teach."""
        self.source.full_init()
        self.target.full_init()
        counts = self.count_boxes()
        absent = [
            name for label, name in enumerate(self.metainfo['classes'])
            if not counts[label]
        ]
        source = getattr(self.source, 'ann_file', '') or 'The source'
        if not counts:
            raise DataError(
                f'{source} has no image with a box of the classes '
                f'{", ".join(absent)}: nothing to learn from. Correct '
                "ann_file or metainfo['classes'].")
        if absent:
            print_log(
                f'{source} has no box of {", ".join(absent)}, which the '
                'detector therefore cannot learn. Correct ann_file, or take '
                "these classes out of metainfo['classes'].",
                logger='current',
                level=logging.WARNING)

    def count_boxes(self) -> Counter[int]:
        """Count source's boxes of each class, those marked crowd left out."""
        return Counter(
            instance['bbox_label'] for i in range(len(self.source))
            for instance in self.source.get_data_info(i)['instances']
            if not instance['ignore_flag'])

    def get_data_info(self, pair: tuple[int, int]) -> dict[str, dict]:
        """Tell what is known of a pair without loading its images.

        Args:
            pair (tuple[int, int]): Source and target index.

        Returns:
            dict[str, dict]: mmdet's data info of ``source`` and ``target``.
        """
        source, target = pair
        return dict(
            source=self.source.get_data_info(source),
            target=self.target.get_data_info(target))

    def __len__(self) -> int:
        """Number of source images: an epoch is one pass through them."""
        return len(self.source)

    def __getitem__(self, pair: tuple[int, int]) -> dict[str, dict[str, Any]]:
        """Load a pair through the two pipelines.

        Args:
            pair (tuple[int, int]): Source and target index.

        Returns:
            dict[str, dict]: ``inputs`` and ``data_samples``, each with the
            branches ``source`` and ``target``.

        Raises:
            TypeError: If the index is no pair.
        """
        if not isinstance(pair, tuple):
            raise TypeError(
                'PairedDomainDataset is indexed by (source, target) pairs, '
                f'but got {pair!r}: set sampler=dict(type='
                "'PairedDomainSampler') in the data loader.")
        source, target = self.source[pair[0]], self.target[pair[1]]
        return {
            key: dict(source=source[key], target=target[key])
            for key in source
        }
