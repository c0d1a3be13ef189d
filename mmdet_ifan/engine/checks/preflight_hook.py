"""Run every check of a run before its first iteration."""

from mmdet.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import BaseLoop, Runner
from torch import nn

from ...datasets import DomainTestDataset, PairedDomainDataset
from ...translation import CycleGAN
from ..robustness.resumed_schedule import ResumedSchedule
from ..schedule.epochs import end_with_the_epoch
from ..schedule.teacher_hook import FrozenTeacherHook
from .checkpoint import (
    check_for_resume,
    check_for_start,
    check_for_test,
    classes_of_dataset,
    load_fitting,
)
from .config import schedule_warnings
from .fit import check_crops, check_fit, check_image_sizes
from .pair import check_num_classes, check_pair
from .run import (
    check_batch,
    check_epoch,
    check_evaluator,
    check_launches,
    check_needed_views,
    check_preprocessor,
    check_teacher,
    run_warnings,
    view_warnings,
)
from .views import check_views
from .weights import find_weights, initial_weights


@HOOKS.register_module()
class PreflightHook(Hook):
    """Check weights, checkpoint, data, detector and schedule of a run.

    A checkpoint is compared with the config in testing as well. A resumed run
    gets the optimizer and the schedule that its config asks for, where
    mmengine would take those of the checkpoint. In a run that counts epochs,
    the draw of pairs ends with each epoch.

    :func:`checked_runner` adds the hook to a run whose config has lost it.

    Raises:
        ValueError: If a part is missing or does not fit; a ``DataError`` if
            it is the data or the checkpoint.
        FileNotFoundError: If weights do not exist.
        RuntimeError: If weights cannot be downloaded.
    """

    # A config that cannot work is named before another hook trips over it.
    priority = 'HIGH'

    def __init__(self) -> None:
        self._schedule: ResumedSchedule | None = None

    def before_run(self, runner: Runner) -> None:
        """Check a training run's schedule and find its initial weights."""
        if not isinstance(runner._train_loop, BaseLoop):
            return
        weights = list(initial_weights(_detector(runner)))
        if runner._load_from is not None and not runner._resume:
            weights.append(('load_from', runner._load_from))
        weights += [
            (type(hook).__name__, hook.checkpoint) for hook in _frozen_teachers(runner)
        ]
        for place, name in dict.fromkeys(weights):
            find_weights(place, name)
        for warning in schedule_warnings(
            runner.cfg.get('param_scheduler'),
            runner.cfg.get('train_cfg') or {},
            len(runner.train_dataloader),
        ):
            runner.logger.warning(warning)
        if runner._resume and isinstance(runner.optim_wrapper, OptimWrapperDict):
            runner.logger.warning(
                'With several optimizers, the settings of the checkpoint are '
                'used, whatever the config asks for.'
            )
        elif runner._resume:
            self._schedule = ResumedSchedule(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare a checkpoint with the config before it is used."""
        loops = runner._train_loop, runner._test_loop, runner._val_loop
        loop = next((part for part in loops if isinstance(part, BaseLoop)), None)
        if loop is None:
            # Loaded by hand, for any purpose.
            return
        name = str(runner._load_from or 'The latest checkpoint')
        about = (
            _detector(runner),
            checkpoint,
            name,
            classes_of_dataset(loop.dataloader.dataset),
            runner.cfg.get('model'),
        )
        if loop is not runner._train_loop:
            warnings = check_for_test(*about)
        elif not runner._resume:
            warnings = check_for_start(*about)
        else:
            averages = any(isinstance(h, EMAHook) for h in runner.hooks)
            warnings = check_for_resume(*about, averages)
            if self._schedule is not None:
                self._schedule.compare(checkpoint, name)
        for warning in warnings:
            runner.logger.warning(warning)

    def before_train(self, runner: Runner) -> None:
        """Check the parts, all of which are built by now."""
        end_with_the_epoch(runner)
        model = _detector(runner)
        check_launches(model, runner.hooks)
        check_teacher(model, runner.hooks)
        for hook in _frozen_teachers(runner):
            load_fitting(model, hook.checkpoint, runner.cfg)
        check_batch(model, runner.hooks, runner.train_dataloader)
        check_preprocessor(model)
        check_epoch(runner.train_loop)
        warnings = list(
            run_warnings(runner.cfg, runner.hooks, runner.train_loop, runner.visualizer)
        )
        train = runner.train_dataloader.dataset
        check_num_classes(model, train)
        is_pair = isinstance(train, PairedDomainDataset)
        datasets = [train.source, train.target] if is_pair else []
        if is_pair:
            check_needed_views(model, runner.hooks, train)
            warnings += view_warnings(model, runner.hooks, train)
        for dataset in datasets:
            check_views(dataset)
        if runner.val_loop is not None:
            test = runner.val_dataloader.dataset
            check_evaluator(runner.val_loop.evaluator, test)
            tests_pair = isinstance(test, DomainTestDataset)
            if tests_pair:
                datasets += test.datasets
            if is_pair and tests_pair:
                warnings += check_pair(train, test)
            else:
                check_num_classes(model, test)
        for dataset in datasets:
            check_image_sizes(model, dataset)
            if isinstance(model, CycleGAN):
                check_crops(model, dataset)
        for warning in warnings:
            runner.logger.warning(warning)
        if self._schedule is not None:
            self._schedule.apply(runner)
        if runner._resume and runner.iter >= runner.max_iters:
            runner.logger.warning(
                'Nothing is left to train: the checkpoint is that of '
                f'iteration {runner.iter}, and the run has {runner.max_iters}.'
                ' Raise train_cfg.max_iters, or max_epochs, to resume it.'
            )
        if hasattr(model, 'all_alignments'):
            check_fit(model)


def checked_runner(cfg: Config) -> Runner:
    """Build the runner of a config, with a ``PreflightHook`` in any case.

    Args:
        cfg (Config): The config.

    Returns:
        Runner: The runner.
    """
    runner = Runner.from_cfg(cfg)
    # Some configs leave out all default_hooks of their base.
    if not any(isinstance(hook, PreflightHook) for hook in runner.hooks):
        runner.register_hook(PreflightHook())
    return runner


def _detector(runner: Runner) -> nn.Module:
    """Give the model without the wrapper of a distributed run."""
    model = runner.model
    return model.module if is_model_wrapper(model) else model


def _frozen_teachers(runner: Runner) -> list[FrozenTeacherHook]:
    """Find the hooks that load a teacher which was trained before."""
    return [hook for hook in runner.hooks if isinstance(hook, FrozenTeacherHook)]
