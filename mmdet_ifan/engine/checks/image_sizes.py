"""Check that a trunk of timm can take the smallest images."""

from typing import Any

import cv2
from mmdet.datasets import BaseDetDataset
from torch import nn

from ...datasets.random_states import get_random_state, set_random_state
from ...models import TimmTaps


def check_image_sizes(model: nn.Module, dataset: BaseDetDataset) -> None:
    """Take the smallest image of a data set through its pipeline.

    Sizes are those that a COCO file states. Of other lists they are not known
    before the images are loaded: there :class:`TimmTaps` itself refuses.

    Args:
        model (nn.Module): The detector. Only a trunk of timm is checked.
        dataset (BaseDetDataset): The data set.

    Raises:
        ValueError: If the image comes out smaller than the trunk's stride.
    """
    trunk = getattr(model, 'backbone', None)
    if not isinstance(trunk, TimmTaps):
        return
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    sides = {
        min(info['height'], info['width']): info
        for info in infos
        if 'height' in info and 'width' in info
    }
    if not sides:
        return
    smallest = sides[min(sides)]
    size = _size_after(dataset.pipeline, smallest)
    if size and min(size) < trunk.strides[-1]:
        raise ValueError(
            f'{smallest["img_path"]} has {size[0]} x {size[1]} px behind the '
            f'pipeline, but the stride of {trunk.model} is '
            f'{trunk.strides[-1]} px: enlarge images with Resize, or take '
            'this one out.'
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
    return None if item is None else tuple(item['inputs'].shape[-2:])
