"""Whether a run has all that it needs, before training."""
from mmdet.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner

from ..schedule.epochs import end_with_the_epoch
from .run_checks import check_config, check_run, warnings_of
from .weights import find_weights, initial_weights


@HOOKS.register_module()
class RunCheckHook(Hook):
    """Look for what a run cannot do without; let epochs end.

    :func:`checked_runner` adds it to a config that has lost it.

    Raises:
        ValueError: Before training, see
            :func:`~mmdet_ifan.engine.checks.run_checks.check_run`.
        FileNotFoundError: Before training, if weights do not exist.
        RuntimeError: Before training, if weights cannot be downloaded.
    """

    # Before the other checks.
    priority = 'HIGH'

    def before_run(self, runner: Runner) -> None:
        """Look for the weights to start from, if it is a training."""
        if not isinstance(runner._train_loop, BaseLoop):
            return
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        weights = list(initial_weights(model))
        if runner._load_from is not None and not runner._resume:
            weights.append(('load_from', runner._load_from))
        for place, name in dict.fromkeys(weights):
            find_weights(place, name)

    def before_train(self, runner: Runner) -> None:
        """Check the parts, all of which are built by now."""
        end_with_the_epoch(runner)
        check_run(runner)
        for warning in warnings_of(runner):
            runner.logger.warning(warning)


def checked_runner(cfg: Config) -> Runner:
    """Build the runner of a config; it checks itself before training.

    Args:
        cfg (Config): The config.

    Returns:
        Runner: The runner.
    """
    check_config(cfg)
    runner = Runner.from_cfg(cfg)
    # Some configs leave out all default_hooks of their base.
    if not any(isinstance(hook, RunCheckHook) for hook in runner.hooks):
        runner.register_hook(RunCheckHook())
    return runner
