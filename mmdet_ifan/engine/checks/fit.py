"""Try a detector on a small blank pair, and its trunk on the smallest image.

A wrong width in a config shows only when something is computed. A wrong
stride never fails: it pools at the wrong place.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import torch
from mmdet.datasets import BaseDetDataset
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import nn

from ...datasets.random_states import get_random_state, set_random_state
from ...models import DomainFeatures, TimmTaps
from ...models.layers import evaluating

#: Side of the images in pixels; every stride divides it.
SIDE = 64


@torch.no_grad()
def check_fit(model: Any) -> None:
    """Try each part of a detector on the output of the parts before it.

    Args:
        model (IFANDetector): The detector. Nothing of it is changed, and no
            random number is drawn.

    Raises:
        ValueError: If a part does not fit; the message names it.
    """
    with evaluating(model), torch.random.fork_rng():
        source, target = (_blank(model) for _ in range(2))
        _attempt('neck', lambda: source.feats)
        _check_strides(
            model,
            *(
                [SIDE / level.shape[-1] for level in levels]
                for levels in (source.feats, source.taps)
            ),
        )
        _attempt('rpn_head', lambda: model.rpn_head(source.feats))
        _attempt('roi_head', lambda: target.proposals)
        _attempt('roi_head', lambda: model._detection_loss(source))
        for name, alignment in model.all_alignments.items():
            place = 'neck' if alignment is model.neck else f'alignments.{name}'
            _attempt(place, partial(alignment.checked_loss, source, target))


def _blank(model: Any) -> DomainFeatures:
    """Give the features of a blank image with one object."""
    device = next(model.parameters()).device
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0]], device=device)
    labels = torch.zeros(1, dtype=torch.long, device=device)
    size = (SIDE, SIDE)
    sample = DetDataSample(
        metainfo=dict(
            img_shape=size,
            ori_shape=size,
            pad_shape=size,
            batch_input_shape=size,
            scale_factor=(1.0, 1.0),
        )
    )
    sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
    sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=labels[:0])
    return DomainFeatures(model, torch.zeros(1, 3, *size, device=device), [sample])


def _check_strides(model: Any, levels: list[float], taps: list[float]) -> None:
    """Compare the strides in the config with those of the feature maps.

    The RPN works on all levels of the neck, the RoI head on the first ones.
    """
    anchors = model.rpn_head.prior_generator.strides
    pooled = model.roi_head.bbox_roi_extractor.featmap_strides
    claimed = {
        'rpn_head.anchor_generator.strides': (
            [stride[0] for stride in anchors],
            levels,
        ),
        'roi_head.bbox_roi_extractor.featmap_strides': (pooled, levels[: len(pooled)]),
        **{
            f'alignments.{name}.featmap_strides': (alignment.featmap_strides, taps)
            for name, alignment in model.all_alignments.items()
            if hasattr(alignment, 'featmap_strides')
        },
    }
    for place, (found, expected) in claimed.items():
        if list(found) != expected:
            raise ValueError(
                f'model.{place} is {list(found)}, but the feature maps have '
                f'the strides {[int(stride) for stride in expected]}: make '
                'them agree.'
            )


def _attempt(place: str, compute: Callable[[], Any]) -> None:
    """Compute something; name its place in the config if that fails."""
    try:
        compute()
    except Exception as error:  # A wrong config may raise anything.
        text = ' '.join(str(error).split()) or type(error).__name__
        if isinstance(error, RuntimeError):
            # PyTorch's own messages do not mention the config.
            text += '. Make the widths in the config agree.'
        raise ValueError(
            f'model.{place} does not fit what comes before it: {text}'
        ) from error


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
