"""Pairs of a labelled source and an unlabelled target image."""

from collections import Counter
from typing import Any

from mmdet.datasets import BaseDetDataset
from mmdet.datasets.transforms import MultiBranch
from mmdet.registry import DATASETS
from mmdet.utils import ConfigType
from mmengine.dataset import Compose
from torch.utils.data import Dataset

from ..utils.errors import DataError, warn
from .unlabelled_dataset import UnlabelledDataset


@DATASETS.register_module()
class PairedDomainDataset(Dataset):
    """Pair source and target items for ``MultiBranchDataPreprocessor``.

    An item has one branch per domain, as in mmdet's semi-supervised data:
    ``{'inputs': {'source': …, 'target': …}, 'data_samples': {…}}``.
    :class:`~mmdet_ifan.datasets.PairedDomainSampler` draws the pairs. A class
    without a source box gets a warning.

    A pipeline that ends with mmdet's ``MultiBranch`` adds views of its
    domain's images, for terms with a teacher. Whatever moves pixels stands
    before it, so boxes of one view are boxes of the other::

        target=dict(
            type='UnlabelledDataset',
            pipeline=[
                load, resize, flip,
                dict(
                    type='MultiBranch',
                    branch_field=['target', 'target_teacher'],
                    target=[colour, pack],
                    target_teacher=[colour, pack])])

    Args:
        source (dict or BaseDetDataset): Labelled data set; the pair has its
            ``metainfo``.
        target (dict or UnlabelledDataset): Unlabelled data set.
        augmentation (list[dict], optional): Transforms that are inserted
            before the last one, which packs, in both pipelines. Defaults to
            None.

    Raises:
        TypeError: If the target's class could read annotations.
        DataError: If source has no box, or its pipeline loads none, or if
            branches of a pipeline are not named after their domain.
    """

    def __init__(
        self,
        source: ConfigType | BaseDetDataset,
        target: ConfigType | UnlabelledDataset,
        augmentation: list[ConfigType] | None = None,
    ) -> None:
        self.source, self.target = (
            DATASETS.build(part) if isinstance(part, dict) else part
            for part in (source, target)
        )
        if not isinstance(self.target, UnlabelledDataset):
            raise TypeError(
                'The target of PairedDomainDataset must be an '
                'UnlabelledDataset, so that no target label can leak, but is '
                f'a {type(self.target).__name__}.'
            )
        if not any(
            getattr(transform, 'with_bbox', False)
            for transform in self.source.pipeline.transforms
        ):
            raise DataError(
                "No transform of source's pipeline loads its boxes: put "
                "dict(type='LoadAnnotations', with_bbox=True) behind the one "
                'that loads the image.'
            )
        for domain, part in (('source', self.source), ('target', self.target)):
            _check_branches(domain, part.pipeline.transforms)
            part.pipeline.transforms[-1:-1] = Compose(augmentation).transforms
        self.full_init()

    @property
    def metainfo(self) -> dict:
        """dict: Classes and palette, those of source."""
        return self.source.metainfo

    @property
    def branches(self) -> tuple[str, ...]:
        """tuple[str]: Branches of an item: the domains, and views of them."""
        names: list[str] = []
        for domain, part in (('source', self.source), ('target', self.target)):
            last = part.pipeline.transforms[-1]
            names += last.branch_field if isinstance(last, MultiBranch) else [domain]
        return tuple(names)

    def full_init(self) -> None:
        """Load both lists and check that source has boxes of each class."""
        self.source.full_init()
        self.target.full_init()
        counts = self.count_boxes()
        absent = [
            name
            for label, name in enumerate(self.metainfo['classes'])
            if not counts[label]
        ]
        source = getattr(self.source, 'ann_file', '') or 'The source'
        if not counts:
            raise DataError(
                f'{source} has no image with a box of the classes '
                f'{", ".join(absent)}: nothing to learn from. Correct '
                "ann_file or metainfo['classes']."
            )
        if absent:
            warn(
                f'{source} has no box of {", ".join(absent)}, so the detector '
                'cannot learn them. Correct ann_file, or remove these classes '
                "from metainfo['classes']."
            )

    def count_boxes(self) -> Counter[int]:
        """Count the source boxes of each class, without ignored ones."""
        return Counter(
            instance['bbox_label']
            for i in range(len(self.source))
            for instance in self.source.get_data_info(i)['instances']
            if not instance['ignore_flag']
        )

    def get_data_info(self, pair: tuple[int, int]) -> dict[str, dict]:
        """Give the data info of a pair without loading its images.

        Args:
            pair (tuple[int, int]): Source and target index.

        Returns:
            dict[str, dict]: mmdet's data info of ``source`` and ``target``.
        """
        source, target = pair
        return dict(
            source=self.source.get_data_info(source),
            target=self.target.get_data_info(target),
        )

    def __len__(self) -> int:
        """Count the source images; an epoch is one pass through them."""
        return len(self.source)

    def __getitem__(self, pair: tuple[int, int]) -> dict[str, dict[str, Any]]:
        """Load a pair through the two pipelines.

        Args:
            pair (tuple[int, int]): Source and target index.

        Returns:
            dict[str, dict]: ``inputs`` and ``data_samples``, each with the
            branches ``source`` and ``target``, and those of their views.

        Raises:
            TypeError: If the index is not a pair.
        """
        if not isinstance(pair, tuple):
            raise TypeError(
                'PairedDomainDataset is indexed by (source, target) pairs, '
                f'but got {pair!r}: set sampler=dict(type='
                "'PairedDomainSampler') in the data loader."
            )
        source, target = self.source[pair[0]], self.target[pair[1]]
        return {
            key: {
                **_branches('source', source[key]),
                **_branches('target', target[key]),
            }
            for key in source
        }


def _branches(domain: str, part: Any) -> dict[str, Any]:
    """Give a domain's part of an item by branch: several if it has views."""
    return part if isinstance(part, dict) else {domain: part}


def _check_branches(domain: str, transforms: list) -> None:
    """Check that the branches of a pipeline are its domain and views of it."""
    last = transforms[-1] if transforms else None
    if not isinstance(last, MultiBranch):
        return
    names = set(last.branch_field)
    if (
        domain not in names
        or names != set(last.branch_pipelines)
        or any(name != domain and not name.startswith(f'{domain}_') for name in names)
    ):
        raise DataError(
            f'MultiBranch of the {domain} pipeline has the branch_field '
            f'{list(last.branch_field)} and pipelines for '
            f'{list(last.branch_pipelines)}: give both {domain} and views of it, '
            f'such as {domain}_teacher.'
        )
