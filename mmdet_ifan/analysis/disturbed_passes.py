"""Detect as usual, with disturbed weights and with dropout on feature maps.

All candidates of a pool meet the same disturbance: each random number comes
from a generator of its own for the seed, the repeat and the weight, or the
image and the stage, whatever the order of the images.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmdet.models import FasterRCNN
from mmdet.models.layers import multiclass_nms
from mmdet.structures import DetDataSample
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from torch.utils.data import Subset
from tqdm import tqdm

from ..engine.checks.checkpoint import unused_prefixes
from ..models import DomainFeatures
from ..utils.errors import DataError
from .label_free_scores import Distributions, Prototypes, log_softmax


def generator(*of: object) -> torch.Generator:
    """Make the generator that belongs to some names and numbers."""
    digest = hashlib.sha256('/'.join(map(str, of)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], 'big'))


@torch.no_grad()
def detect_with_distributions(
    model: FasterRCNN,
    dataset: Subset,
    title: str = 'detect',
    prototypes: Prototypes | None = None,
) -> Iterator[tuple[Distributions, DetDataSample]]:
    """Detect as at test time, but keep each detection's distribution.

    Args:
        model (FasterRCNN): A Faster R-CNN in testing mode.
        dataset (Subset): Images; they are taken one by one, so none depends
            on others.
        title (str): Title of the progress bar. Defaults to 'detect'.
        prototypes (Prototypes, optional): Gets the pooled feature and the
            distribution of all proposals, whatever their scores. Defaults to
            None.

    Yields:
        tuple[Distributions, DetDataSample]: The detections of each image, in
        pixels of the network's input, and the sample of the data set.
    """
    init_default_scope('mmdet')
    head, cfg = model.roi_head.bbox_head, model.test_cfg.rcnn
    for i in tqdm(range(len(dataset)), title, leave=False, disable=None):
        batch = model.data_preprocessor(pseudo_collate([dataset[i]]), False)
        domain = DomainFeatures(model, batch['inputs'], batch['data_samples'])
        domain.feats = model.extract_feat(batch['inputs'])
        found = domain.proposals
        # Without a configuration it decodes and does not suppress: after
        # suppression mmdet knows the scores, but not of which proposal.
        (raw,) = head.predict_by_feat(
            rois=(found.rois,),
            cls_scores=(found.cls_score,),
            bbox_preds=(found.bbox_pred,),
            batch_img_metas=[domain.data_samples[0].metainfo],
            rcnn_test_cfg=None,
        )
        kept, labels, indices = multiclass_nms(
            raw.bboxes,
            raw.scores,
            cfg.score_thr,
            cfg.nms,
            cfg.max_per_img,
            return_inds=True,
        )
        log_probs = log_softmax(found.cls_score.cpu().numpy())
        if prototypes is not None:
            features = found.roi_feats.float().mean(dim=(2, 3)).cpu().numpy()
            prototypes.add(features, np.exp(log_probs))
        boxes = kept.cpu().numpy()
        rows = (indices // head.num_classes).cpu().numpy()
        yield (
            Distributions(
                boxes[:, :4], labels.cpu().numpy(), boxes[:, 4], log_probs[rows]
            ),
            domain.data_samples[0],
        )


@contextmanager
def disturbed_weights(
    model: FasterRCNN, size: float, mode: str, seed: int, repeat: int
) -> Iterator[None]:
    """Change the weights that testing uses for the length of a block.

    Args:
        model (FasterRCNN): The detector; its weights are the same bits after
            the block, also if it raises.
        size (float): Length of the change: with ``relative`` as a share of
            each tensor's norm, with ``das`` of all weights together.
        mode (str): ``relative`` draws from a normal distribution for each
            tensor. ``das``, as the published code does, draws once for all
            weights from U(0, 1): a step that is mostly the same push on every
            weight, and that weighs less the larger the weights are.
        seed (int): Seed.
        repeat (int): Number of the draw.
    """
    unused = unused_prefixes(model)
    weights = {
        name: weight.data
        for name, weight in model.named_parameters()
        if not name.startswith(unused)
    }
    before = {name: weight.clone() for name, weight in weights.items()}
    draw = torch.randn if mode == 'relative' else torch.rand
    steps = {
        name: draw(
            weight.shape, generator=generator(seed, repeat, name), dtype=torch.float64
        )
        for name, weight in weights.items()
    }
    if mode == 'relative':
        for name, weight in weights.items():
            steps[name] *= weight.cpu().double().norm() / steps[name].norm()
    else:
        whole = sum(step.square().sum() for step in steps.values()) ** 0.5
        steps = {name: step / whole for name, step in steps.items()}
    try:
        for name, weight in weights.items():
            weight += (size * steps[name]).to(weight)
        yield
    finally:
        for name, weight in weights.items():
            weight.copy_(before[name])


def dropped_inputs(backbone: Any) -> list[nn.Module]:
    """Find what reads the last map of stride 4 and the last of stride 8.

    These are the second and third stages, whose inputs BoS drops: ``layer2``
    and ``layer3`` of a ResNet, what follows pool2 and pool3 in VGG, and the
    siblings that follow timm's last modules of these strides. Taps do not
    matter, so an exported detector is treated like the trained one.

    Args:
        backbone (nn.Module): The backbone.

    Returns:
        list[nn.Module]: The two modules.

    Raises:
        DataError: If the backbone is of another kind or has no such strides.
    """
    if hasattr(backbone, 'res_layers'):
        return [getattr(backbone, name) for name in backbone.res_layers[1:3]]
    if hasattr(backbone, 'range_sub_modules'):
        layers = getattr(backbone, backbone.module_name)
        return [layers[backbone.range_sub_modules[stage][0]] for stage in (2, 3)]
    last = {
        info['reduction']: info['module']
        for info in getattr(getattr(backbone, 'net', None), 'feature_info', ())
    }
    readers = []
    for stride in (4, 8):
        parent, _, name = last.get(stride, '').rpartition('.')
        if name:
            siblings = dict(backbone.net.get_submodule(parent).named_children())
            names = list(siblings)
            readers += [siblings[n] for n in names[names.index(name) + 1 :][:1]]
    if len(readers) < 2:
        raise DataError(
            f'BoS drops what the stages behind strides 4 and 8 read, and '
            f'{type(backbone).__name__} has none that is known: leave bos out of '
            '--scores.'
        )
    return readers


@contextmanager
def dropped_features(
    model: FasterRCNN, share: float, seed: int, repeat: int
) -> Iterator[None]:
    """Drop elements of two stages' inputs for the length of a block.

    No module is set to training mode. The n-th forward pass in the block is
    that of the n-th image.

    Args:
        model (FasterRCNN): The detector.
        share (float): Share of the elements, in [0, 1); the others grow by
            1 / (1 - share).
        seed (int): Seed.
        repeat (int): Number of the draw.
    """

    class Drop:
        def __init__(self, stage: int) -> None:
            self.stage, self.image = stage, 0

        def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple:
            maps, *others = inputs
            of = generator(seed, repeat, self.image, self.stage)
            kept = torch.rand(maps.shape, generator=of) >= share
            self.image += 1
            return maps * kept.to(maps) / (1 - share), *others

    handles = [
        reader.register_forward_pre_hook(Drop(stage))
        for stage, reader in enumerate(dropped_inputs(model.backbone), 1)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
