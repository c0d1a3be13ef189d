"""Whether detector, checkpoint and schedule fit each other."""
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmdet.structures import DetDataSample
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from mmengine.structures import InstanceData
from torch import nn

from ...models import DomainFeatures
from .asked_schedule import AskedSchedule
from .checkpoint_agreement import (
    agree_in_resuming,
    agree_in_starting,
    agree_in_testing,
    classes_of_dataset,
    warn,
)
from .schedule_warnings import schedule_warnings

#: Side in pixels of the image that is tried; every stride divides it.
SIDE = 64


@HOOKS.register_module()
class FitCheckHook(Hook):
    """Try the detector on a small blank pair before the first iteration.

    What a config says of widths and strides shows only when something is
    computed: a width that is wrong fails then, a stride that is wrong pools
    beside the object and never fails.

    A checkpoint, in testing, resuming and as ``load_from``, is compared with
    the config that uses it, and the schedule with the length of the run. A
    resumed run gets the optimizer and schedule that its config asks for,
    which mmengine would take from the checkpoint.

    Raises:
        ValueError: Before training, if a part does not fit; the sentence
            names it.
        DataError: If a checkpoint does not fit; see
            :mod:`mmdet_ifan.engine.checks.checkpoint_agreement`.
    """

    def __init__(self) -> None:
        self._asked: AskedSchedule | None = None

    def before_run(self, runner: Runner) -> None:
        """Look at the schedule while it is as the config asks."""
        if not isinstance(runner._train_loop, BaseLoop):
            return
        warn(
            schedule_warnings(
                runner.cfg.get('param_scheduler'),
                runner.cfg.get('train_cfg') or {},
                len(runner.train_dataloader)))
        if runner._resume:
            self._asked = AskedSchedule(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare a checkpoint with the config before it is used."""
        name = str(runner._load_from or 'The latest checkpoint')
        loops = runner._train_loop, runner._test_loop, runner._val_loop
        loop = next(
            (part for part in loops if isinstance(part, BaseLoop)), None)
        if loop is None:
            # Loaded by hand, for whatever it may be.
            return
        about = (runner.model, checkpoint, name,
                 classes_of_dataset(loop.dataloader.dataset),
                 runner.cfg.get('model'))
        if loop is not runner._train_loop:
            warn(agree_in_testing(*about))
        elif not runner._resume:
            warn(agree_in_starting(*about))
        else:
            averages = any(isinstance(h, EMAHook) for h in runner.hooks)
            warn(agree_in_resuming(*about, averages))
            if self._asked is not None:
                self._asked.compare(checkpoint, name)

    def before_train(self, runner: Runner) -> None:
        """Try each part; of the run, only a resumed schedule is changed."""
        if self._asked is not None:
            self._after_resuming(runner, self._asked)
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

    def _after_resuming(self, runner: Runner, asked: AskedSchedule) -> None:
        """Give the run its schedule; say if nothing is left of it."""
        asked.apply(runner)
        if runner.iter >= runner.max_iters:
            runner.logger.warning(
                'Nothing is left to train: the checkpoint is that of '
                f'iteration {runner.iter}, and the run has {runner.max_iters}.'
                ' Raise train_cfg.max_iters, or max_epochs, to go on.')

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
        self._check_strides(
            model, *([SIDE / part.shape[-1] for part in parts]
                     for parts in (source.feats, source.taps)))
        _attempt('rpn_head', lambda: model.rpn_head(source.feats))
        _attempt('roi_head', lambda: target.proposals)
        _attempt('roi_head', lambda: model._detection_loss(source))
        for name, alignment in model.all_alignments.items():
            place = 'neck' if name == 'image' else f'alignments.{name}'
            _attempt(place, partial(alignment.loss, source, target))

    def _check_strides(self, model: Any, levels: list[float],
                       taps: list[float]) -> None:
        """Compare the strides that are claimed with those that there are.

        Of the neck's levels the RPN works on all, the RoI head on the first.
        """
        anchors = model.rpn_head.prior_generator.strides
        pooled = model.roi_head.bbox_roi_extractor.featmap_strides
        claimed = {
            'rpn_head.anchor_generator.strides':
            ([stride[0] for stride in anchors], levels),
            'roi_head.bbox_roi_extractor.featmap_strides':
            (pooled, levels[:len(pooled)]),
        }
        for name, alignment in model.all_alignments.items():
            if hasattr(alignment, 'featmap_strides'):
                claimed[f'alignments.{name}.featmap_strides'] = (
                    alignment.featmap_strides, taps)
        for place, (found, expected) in claimed.items():
            if list(found) != expected:
                raise ValueError(
                    f'model.{place} is {list(found)}, but the maps have the '
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
