"""Try a detector on a small blank pair, and its trunk on the smallest image.

A wrong width in a config shows only when something is computed. A wrong
stride never fails: it pools at the wrong place.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from mmdet.datasets import BaseDetDataset
from mmdet.datasets.transforms import RandomCrop
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import nn

from ...datasets.random_states import kept_random_state
from ...datasets.unreadable_images import UNREADABLE
from ...models import DomainFeatures, TimmTaps
from ...models.layers import evaluating
from ...translation import CycleGAN

#: Side of the images in pixels, if terms need none larger; every stride divides
#: it and its multiples.
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
        least = max(
            [1, *(term.min_image_size for term in model.all_alignments.values())]
        )
        side = math.ceil(least / SIDE) * SIDE
        source, target = (_blank(model, side) for _ in range(2))
        _attempt('neck', lambda: source.feats)
        _check_strides(
            model,
            *(
                [side / level.shape[-1] for level in levels]
                for levels in (source.feats, source.taps)
            ),
        )
        _attempt('rpn_head', lambda: model.rpn_head(source.feats))
        _attempt('roi_head', lambda: target.proposals)
        _attempt('roi_head', lambda: model.detection_loss(source))
        for name, alignment in model.all_alignments.items():
            place = 'neck' if alignment is model.neck else f'alignments.{name}'
            _attempt(place, partial(alignment.checked_loss, source, target))


def _blank(model: Any, side: int) -> DomainFeatures:
    """Give the features of a blank image with one object; it is its teacher."""
    device = next(model.parameters()).device
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0]], device=device)
    labels = torch.zeros(1, dtype=torch.long, device=device)
    size = (side, side)
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
    domain, taught = (
        DomainFeatures(model, torch.zeros(1, 3, *size, device=device), [sample])
        for _ in range(2)
    )
    domain.teacher = taught
    return domain


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
    item = None
    # An image that cannot be loaded is the data set's to name.
    with kept_random_state(), suppress(*UNREADABLE):
        item = pipeline(dict(info))
    if item is None:
        return None
    inputs = item['inputs']
    # With views, all of one size.
    image = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
    return tuple(image.shape[-2:])


def check_crops(model: CycleGAN, dataset: BaseDetDataset) -> None:
    """Check that images reach a CycleGAN at a size that it can take.

    Of the sizes that a COCO file states, the smallest and the narrowest are
    tried; of other lists the first image.

    Args:
        model (CycleGAN): The model.
        dataset (BaseDetDataset): The data set of a domain.

    Raises:
        ValueError: If a crop is larger than an image, or the generators or
            classifiers cannot take what comes out.
    """
    crops = [t for t in dataset.pipeline.transforms if isinstance(t, RandomCrop)]
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    stated = [info for info in infos if 'height' in info and 'width' in info]
    orders: tuple[Callable[[dict], float], ...] = (
        lambda info: info['height'],
        lambda info: info['width'],
        lambda info: info['height'] / info['width'],
        lambda info: info['width'] / info['height'],
    )
    for info in [min(stated, key=order) for order in orders] if stated else infos[:1]:
        size = _size_after(dataset.pipeline, info)
        if size is None:
            continue
        text = f'{info["img_path"]} has {size[0]} x {size[1]} px behind the pipeline, '
        for crop in crops:
            # Which has the width first.
            width, height = crop.crop_size
            if crop.crop_type == 'absolute' and size != (height, width):
                raise ValueError(
                    f'{text}but RandomCrop is to cut {height} x {width} px: lower its '
                    'crop_size, or enlarge images with Resize.'
                )
        if min(size) < model.min_image_size or any(s % model.divisor for s in size):
            raise ValueError(
                f'{text}but CycleGAN takes sides of at least {model.min_image_size} '
                f'px that are multiples of {model.divisor}: cut such crops by '
                'RandomCrop.'
            )
