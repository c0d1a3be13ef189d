"""Whether the parts of the detector fit each other, before training."""
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmdet.structures import DetDataSample
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import nn

from ...models import DomainFeatures

#: Side in pixels of the image that is tried; every stride divides it.
SIDE = 64


@HOOKS.register_module()
class FitCheckHook(Hook):
    """Try the detector on a small blank pair before the first iteration.

    What a config says of widths and strides shows only when something is
    computed: a width that is wrong fails then, a stride that is wrong pools
    beside the object and never fails.

    Raises:
        ValueError: Before training, if a part does not fit; the sentence
            names it.
    """

    def before_train(self, runner: Runner) -> None:
        """Try each part; nothing is changed by it."""
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        if hasattr(model, 'all_alignments'):
            self.check(model)

    @torch.no_grad()
    def check(self, model: nn.Module) -> None:
        """Try each part of a detector with alignments.

        Args:
            model (nn.Module): The detector.

        Raises:
            ValueError: If a part does not fit.
        """
        training = {m: m.training for m in model.modules()}
        model.eval()
        with torch.random.fork_rng():
            self._try(model)
        for module, mode in training.items():
            module.training = mode

    def _try(self, model: Any) -> None:
        """Go through the parts, the later on what the earlier give."""
        device = next(model.parameters()).device
        image = torch.zeros(1, 3, SIDE, SIDE, device=device)
        boxes = torch.tensor([[8., 8., 40., 40.]], device=device)
        labels = torch.zeros(1, dtype=torch.long, device=device)
        sample = DetDataSample(
            metainfo=dict(
                img_shape=(SIDE, SIDE),
                ori_shape=(SIDE, SIDE),
                pad_shape=(SIDE, SIDE),
                batch_input_shape=(SIDE, SIDE),
                scale_factor=(1., 1.)))
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
        sample.ignored_instances = InstanceData(
            bboxes=boxes[:0], labels=labels[:0])
        source, target = (
            DomainFeatures(model, image, [sample]) for _ in range(2))
        _attempt('neck', lambda: source.feats)
        taps = source.taps
        self._check_strides(model, [SIDE / tap.shape[-1] for tap in taps])
        _attempt('rpn_head', lambda: model.rpn_head(source.feats))
        _attempt('roi_head', lambda: target.proposals)
        _attempt('roi_head', lambda: model._detection_loss(source))
        for name, alignment in model.all_alignments.items():
            place = 'neck' if name == 'image' else f'alignments.{name}'
            _attempt(place, partial(alignment.loss, source, target))

    def _check_strides(self, model: Any, strides: list[float]) -> None:
        """Compare the strides that are claimed with those of the taps."""
        anchors = model.rpn_head.prior_generator.strides
        claimed = {
            'rpn_head.anchor_generator.strides':
            ([stride[0] for stride in anchors], strides[-1:]),
            'roi_head.bbox_roi_extractor.featmap_strides':
            (model.roi_head.bbox_roi_extractor.featmap_strides, strides[-1:]),
        }
        for name, alignment in model.all_alignments.items():
            if hasattr(alignment, 'featmap_strides'):
                claimed[f'alignments.{name}.featmap_strides'] = (
                    alignment.featmap_strides, strides)
        for place, (found, expected) in claimed.items():
            if list(found) != expected:
                raise ValueError(
                    f'model.{place} is {list(found)}, but the taps have the '
                    f'strides {[int(stride) for stride in expected]}: make '
                    'them agree.')


def _attempt(place: str, compute: Callable[[], Any]) -> None:
    """Compute something; say which part of the config it was if it fails."""
    try:
        compute()
    except Exception as error:  # Whatever a config provokes.
        text = ' '.join(str(error).split()) or type(error).__name__
        if isinstance(error, RuntimeError):
            # PyTorch's, which knows nothing of configs.
            text += '. Make the widths in the config agree.'
        raise ValueError(f'model.{place} does not fit what comes before it: '
                         f'{text}') from error
