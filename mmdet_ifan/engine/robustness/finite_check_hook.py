"""Stop numbers that are not finite or diverge before they reach weights."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.dist import all_gather_object, all_reduce, get_rank
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from ...datasets.random_states import get_random_state
from .checkpoint_files import latest_in
from .divergence import GRAD_NORM, DivergenceCheck, launches
from .step_diagnosis import Step, describe, diagnose


@HOOKS.register_module()
class FiniteCheckHook(Hook):
    """Check losses and gradients before every step of the optimizer.

    If one is not finite, no weight is changed. The step is computed again to
    find the term, domain and image at fault, and is saved to ``nonfinite`` in
    the folder of the run's log: ``iter_{iteration}_rank_{rank}.json`` for a
    look, ``.pth`` to compute it again. Then training stops or skips the step.
    All processes decide alike. Batch normalisation is restored as well.

    The same happens if a step is finite but has diverged, by the rules of
    :class:`~mmdet_ifan.engine.robustness.divergence.DivergenceCheck`: an
    alignment is many times the detection loss, or a term or the norm of the
    gradient, which is logged as ``grad_norm``, leaves its recent range by
    orders of magnitude. A slower decline shows in the validation: a source
    mAP50 below half of its best is warned of, with the launches in between.

    In mixed precision the loss scaler handles a gradient that overflows, as
    long as the scale is at least 1.

    Args:
        action (str): ``stop`` or ``skip``. Defaults to ``stop``.
        max_skips (int): Maximum number of steps that ``skip`` skips; the next
            one stops. Defaults to 10.
        divergence (dict, optional): Arguments of ``DivergenceCheck``. None
            does not check for divergence. Defaults to an empty dictionary.

    Raises:
        ValueError: If an argument is out of its range.
        FloatingPointError: In training, at a step that is not skipped.
    """

    # Before the moving average and the checkpoints.
    priority = 'ABOVE_NORMAL'
    #: Key of the count in the log and the checkpoint.
    COUNT = 'skipped_steps'
    #: Key of the best source mAP50 and its iteration in the checkpoint.
    BEST = 'best_source_mAP50'
    #: Share of the best below which a source mAP50 is warned of.
    FRACTION = 0.5

    def __init__(
        self,
        action: str = 'stop',
        max_skips: int = 10,
        divergence: Mapping[str, Any] | None = MappingProxyType({}),
    ) -> None:
        if action not in ('stop', 'skip') or max_skips < 0:
            raise ValueError(
                "FiniteCheckHook needs an action of 'stop' or 'skip' and "
                f'max_skips >= 0, but got {action!r} and {max_skips}.'
            )
        self.max_skips = max_skips if action == 'skip' else 0
        self.divergence = None if divergence is None else DivergenceCheck(**divergence)
        #: The batches since the last step of the optimizer.
        self.steps: list[Step] = []
        self.handles: list[Any] = []

    def before_train(self, runner: Runner) -> None:
        """Hook into the detector's losses and the optimizer's steps."""
        model = runner.model
        self.model = model.module if is_model_wrapper(model) else model
        self.norms = [m for m in self.model.modules() if isinstance(m, _BatchNorm)]
        self.skipped = runner.message_hub.get_info(self.COUNT, 0)

        def keep_losses(module: Any, args: Any, kwargs: dict, output: Any) -> None:
            if kwargs.get('mode') == 'loss' and self.steps:
                self.steps[-1].losses = {
                    name: value.detach()
                    for name, value in module.parse_losses(output)[1].items()
                    if 'loss' in name
                }

        def before_step(optimizer: Optimizer, *_: Any) -> None:
            self._check(runner, _gradient_norm(optimizer))

        self.handles = [
            self.model.register_forward_hook(keep_losses, with_kwargs=True),
            runner.optim_wrapper.optimizer.register_step_pre_hook(before_step),
        ]

    def after_train(self, runner: Runner) -> None:
        """Remove those hooks."""
        for handle in self.handles:
            handle.remove()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None
    ) -> None:
        """Remember the state before the step."""
        if not self.steps:
            self.buffers = [
                (buffer, buffer.clone())
                for norm in self.norms
                if norm.training
                for buffer in norm.buffers()
            ]
        self.steps.append(Step(runner.iter, data_batch, get_random_state()))
        if self.max_skips:
            runner.message_hub.update_scalar(f'train/{self.COUNT}', float(self.skipped))

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: Any = None,
    ) -> None:
        """Check a step that the loss scaler has kept from the optimizer."""
        if self.steps and runner.optim_wrapper.should_update():
            self._check(runner, torch.full((), torch.inf))

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Warn of a source mAP50 that has fallen to a fraction of its best."""
        score = (metrics or {}).get('source/mAP50')
        if score is None:
            return
        best, when = runner.message_hub.get_info(self.BEST, (-1.0, 0))
        if score > best:
            runner.message_hub.update_info(self.BEST, (score, runner.iter))
        elif score < self.FRACTION * best:
            between = [
                f'{name} (iteration {start})'
                for name, start in launches(runner.message_hub).items()
                if start >= when
            ]
            runner.logger.warning(
                f'The source mAP50 has fallen from {best:.1f} at iteration '
                f'{when} to {score:.1f} at iteration {runner.iter}: the '
                'detector is losing what it had learnt. Launched in between: '
                f'{", ".join(between) or "nothing"}. Resume from a checkpoint '
                'before it, with a lower loss_weight, grl_weight or learning '
                'rate.'
            )

    def _check(self, runner: Runner, norm: Tensor) -> None:
        """Stop or skip if a step has gone wrong in any process."""
        # Accumulated steps may differ in what is launched.
        names = [name for step in self.steps for name in step.losses]
        values = torch.stack(
            [v.float() for step in self.steps for v in step.losses.values()]
        )
        *losses, grad_norm = torch.cat(
            [values, norm.float().to(values.device)[None]]
        ).tolist()
        found = []
        if all(map(math.isfinite, (*losses, grad_norm))):
            grad_norm = _log_norm(runner, grad_norm)
            if self.divergence is not None:
                parts: dict[str, list[float]] = {}
                for name, value in zip(names, losses, strict=True):
                    parts.setdefault(name, []).append(value)
                found = self.divergence.find(
                    runner.message_hub,
                    {name: fmean(part) for name, part in parts.items()},
                    grad_norm,
                )
        flags = torch.tensor(
            [
                not all(map(math.isfinite, losses)),
                not math.isfinite(grad_norm),
                bool(found),
            ],
            dtype=torch.float,
        )
        all_reduce(flags, 'max')
        losses_wrong, gradient_wrong, diverged = flags.tolist()
        scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
        if (
            losses_wrong
            or diverged
            or (gradient_wrong and (scaler is None or scaler.get_scale() < 1))
        ):
            self._handle(runner, found)
        self.steps = []

    def _handle(self, runner: Runner, diverged: list[str]) -> None:
        """Report and save what is wrong; leave nothing for the optimizer."""
        # A step without gradients does nothing, and their memory is free.
        runner.optim_wrapper.zero_grad()
        stop = self.skipped >= self.max_skips
        reports = []
        for step in self.steps:
            # A finite step would be finite again.
            diagnosis = (
                dict(weights=[], inputs=[], terms=[], diverged=diverged)
                if diverged
                else self._diagnose(runner, step)
            )
            if _at_fault(step, diagnosis) or len(self.steps) == 1:
                reports.append((step, diagnosis))
        for buffer, before in self.buffers:
            buffer.copy_(before)
        # A batch that is not at fault is reported only if none is.
        mine = [r for r in reports if _at_fault(*r)]
        if not any(all_gather_object(bool(mine))):
            mine = reports
        texts = [self._save(runner, *report, stop=stop) for report in mine]
        text = ' '.join(t for part in all_gather_object(texts) for t in part)
        if stop:
            after = (
                ''
                if not self.skipped
                else f' {self.skipped} steps had been skipped before.'
            )
            last = latest_in(runner.work_dir)
            kept = (
                f' {last} is from before it.' if last and Path(last).is_file() else ''
            )
            raise FloatingPointError(
                f'{text}{after} This step has changed no weight.'
                f"{kept} default_hooks.finite_check.action='skip' skips "
                'single ones.'
            )
        self.skipped += 1
        runner.message_hub.update_info(self.COUNT, self.skipped)
        runner.logger.warning(
            f'{text} Skipped, the {self.skipped}. of at most {self.max_skips} steps.'
        )

    def _diagnose(self, runner: Runner, step: Step) -> dict[str, Any]:
        """Compute the step again, in the precision of training."""
        try:
            with runner.optim_wrapper.optim_context(self.model):
                return diagnose(self.model, step)
        except RuntimeError as error:
            # Such as no memory left: what is known already is reported.
            return dict(weights=[], inputs=[], terms=[], error=str(error))

    def _save(self, runner: Runner, step: Step, diagnosis: dict, stop: bool) -> str:
        """Save a step and describe it."""
        path = Path(
            runner.log_dir, 'nonfinite', f'iter_{step.iteration}_rank_{get_rank()}.json'
        )
        text = describe(step, diagnosis)
        record = dict(
            iteration=step.iteration,
            text=text,
            images=step.images,
            # JSON has no number that is not finite.
            losses={
                name: value.item() if value.isfinite() else str(value.item())
                for name, value in step.losses.items()
            },
            **diagnosis,
        )
        content = dict(
            iteration=step.iteration, batch=step.batch, random_state=step.random_state
        )
        if stop:
            content['state_dict'] = self.model.state_dict()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record, indent=2))
            torch.save(content, path.with_suffix('.pth'))
        except (OSError, RuntimeError) as error:
            return f'{text} It could not be saved ({error}).'
        return f'{text} Saved to {path}.'


def _gradient_norm(optimizer: Optimizer) -> Tensor:
    """Compute the norm of all gradients, a scalar.

    The norm of order 2 costs a sixth of the largest magnitude on a CPU; it
    also overflows where a gradient beyond 1e19 has not done so itself.
    """
    gradients = [
        parameter.grad
        for group in optimizer.param_groups
        for parameter in group['params']
        if parameter.grad is not None
    ]
    return get_total_norm(gradients)


def _log_norm(runner: Runner, norm: float) -> float:
    """Log the norm of the gradient; give the one before clipping."""
    wrapper, hub = runner.optim_wrapper, runner.message_hub
    name = f'train/{GRAD_NORM}'
    if getattr(wrapper, 'clip_grad_kwargs', None) and wrapper.grad_name == GRAD_NORM:
        # mmengine has logged it before it clipped.
        return float(hub.get_scalar(name).current())
    hub.update_scalar(name, norm)
    return norm


def _at_fault(step: Step, diagnosis: dict) -> bool:
    """Tell whether this batch made the numbers go wrong."""
    return any(
        diagnosis.get(part) for part in ('terms', 'inputs', 'weights', 'diverged')
    ) or not all(value.isfinite() for value in step.losses.values())
