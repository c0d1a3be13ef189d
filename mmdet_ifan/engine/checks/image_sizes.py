"""Check that the trunk and the terms can take the smallest images."""

from typing import Any

import cv2
from mmdet.datasets import BaseDetDataset
from torch import nn

from ...datasets.random_states import get_random_state, set_random_state
from ...models import TimmTaps


def check_image_sizes(model: nn.Module, dataset: BaseDetDataset) -> None:
    """Take the smallest image of a data set through its pipeline.

    Sizes are those that a COCO file states. Of other lists they are not known
    before the images are loaded, so the first image is taken; trunk and terms
    refuse others when they see them.

    Args:
        model (nn.Module): The detector. Only trunks of timm and terms that
            need a size are checked; terms see no test image.
        dataset (BaseDetDataset): The data set.

    Raises:
        ValueError: If the image comes out smaller than the trunk's stride, or
            than a term needs.
    """
    needed = {}
    trunk = getattr(model, 'backbone', None)
    if isinstance(trunk, TimmTaps):
        needed[f'the stride of {trunk.model}'] = trunk.strides[-1]
    if not dataset.test_mode:
        for name, term in getattr(model, 'all_alignments', {}).items():
            needed[f'the smallest image of the alignment {name}'] = term.min_image_size
    what = max(needed, key=lambda key: needed[key], default=None)
    if what is None or needed[what] <= 1 or not len(dataset):
        return
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    sides = {
        min(info['height'], info['width']): info
        for info in infos
        if 'height' in info and 'width' in info
    }
    smallest = sides[min(sides)] if sides else infos[0]
    size = _size_after(dataset.pipeline, smallest)
    if size and min(size) < needed[what]:
        raise ValueError(
            f'{smallest["img_path"]} has {size[0]} x {size[1]} px behind the '
            f'pipeline, but {what} is {needed[what]} px: enlarge images with '
            'Resize, or take this one out.'
        )


def _size_after(pipeline: Any, info: dict) -> tuple[int, int] | None:
    """Give the size of an image behind a pipeline; draw nothing for good."""
    state = get_random_state()
    try:
        item = pipeline(dict(info))
    except (AssertionError, OSError, cv2.error):
        # An image that cannot be loaded is the data set's to name.
        return None
    finally:
        set_random_state(state)
    if item is None:
        return None
    inputs = item['inputs']
    # With views, all of one size.
    image = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
    return tuple(image.shape[-2:])
