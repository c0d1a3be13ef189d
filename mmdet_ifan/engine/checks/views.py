"""Check that a domain's views show the same places, in other pixels."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.datasets import BaseDetDataset
from mmdet.datasets.transforms import MultiBranch

from ...datasets.random_states import kept_random_state
from ...datasets.unreadable_images import UNREADABLE

#: Images to try: a flip with probability 0.5 is missed once in 256 times.
IMAGES = 8


def check_views(dataset: BaseDetDataset) -> None:
    """Take images through a pipeline and compare the geometry of its branches.

    Args:
        dataset (BaseDetDataset): Data set of a domain. Nothing is drawn for
            good.

    Raises:
        ValueError: If a transform of a branch moves pixels.
    """
    # An image that cannot be loaded is the data set's to name.
    with kept_random_state(), suppress(*UNREADABLE):
        for results in _before_branches(dataset):
            _check_image(results, dataset.pipeline.transforms[-1].branch_pipelines)


def look_alike(dataset: BaseDetDataset, views: Iterable[str]) -> bool:
    """Take images through a pipeline and compare the pixels of its branches.

    Args:
        dataset (BaseDetDataset): Data set of a domain. Nothing is drawn for
            good.
        views (Iterable[str]): The branches to compare.

    Returns:
        bool: Whether they show the same pixels in every image.
    """
    alike = False
    with kept_random_state(), suppress(*UNREADABLE):
        for results in _before_branches(dataset):
            branches = dataset.pipeline.transforms[-1](results)
            if branches is None:
                continue
            first, *others = (branches['inputs'][view] for view in views)
            alike = all(torch.equal(first, other) for other in others)
            if not alike:
                break
    return alike


def _before_branches(dataset: BaseDetDataset) -> Iterator[dict]:
    """Give images as they come to the branches, if there are branches."""
    transforms = dataset.pipeline.transforms
    if not transforms or not isinstance(transforms[-1], MultiBranch):
        return
    for i in range(IMAGES):
        results: Any = dict(dataset.get_data_info(i % len(dataset)))
        for transform in transforms[:-1]:
            results = transform(results)
            if results is None:
                break
        else:
            yield results


def _check_image(results: dict, branches: Mapping[str, Compose]) -> None:
    """Follow one image into every branch."""
    size, place = _geometry(results)
    for branch, pipeline in branches.items():
        seen = copy.deepcopy(results)
        # The last one packs.
        for transform in pipeline.transforms[:-1]:
            seen = transform(seen)
            if seen is None:
                break
            other_size, other_place = _geometry(seen)
            if other_size != size or not np.allclose(other_place, place):
                raise ValueError(
                    f'{type(transform).__name__} in the branch {branch} moves '
                    'pixels, so boxes of one view would not fit the other: put '
                    'it before MultiBranch.'
                )


def _geometry(results: dict) -> tuple[tuple[int, int], np.ndarray]:
    """Give an image's size, and mmdet's matrix from the disk to its pixels."""
    return results['img'].shape[:2], results.get('homography_matrix', np.eye(3))
