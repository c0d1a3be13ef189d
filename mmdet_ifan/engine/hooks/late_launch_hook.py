"""Late launch of the alignments (iFAN, Training and Inference)."""
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner


@HOOKS.register_module()
class LateLaunchHook(Hook):
    """Launch each alignment at its iteration.

    "A new alignment starts when the previous ones go stable": image level
    from the start, instance level at 30k of 70k iterations, correlation at
    50k. The gate is a function of the iteration alone, so a resumed run
    behaves as an uninterrupted one. An alignment that is not launched costs
    nothing.

    Args:
        launch (dict[str, int]): Iteration, counted from 0, at which each
            alignment starts. An alignment of the model that is not named here
            never starts: the dictionary *is* the ablation.

    Raises:
        ValueError: If an iteration is not an integer >= 0, and, before
            training, if the model has no alignment of a name or an iteration
            lies outside the run.

    Examples:
        >>> custom_hooks = [
        ...     dict(
        ...         type='LateLaunchHook',
        ...         launch=dict(
        ...             image=0, instance=30000, correlation=50000))
        ... ]
    """

    # Before the loggers: they show this iteration's state.
    priority = 'ABOVE_NORMAL'

    def __init__(self, launch: dict[str, int]) -> None:
        for name, iteration in launch.items():
            if (not isinstance(iteration, int) or isinstance(iteration, bool)
                    or iteration < 0):
                raise ValueError(
                    f'The launch of {name} must be an iteration >= 0, but got '
                    f'{iteration!r}.')
        self.launch = dict(launch)

    def before_train(self, runner: Runner) -> None:
        """Check the names and iterations against the model and the run."""
        alignments = self._alignments(runner)
        unknown = sorted(set(self.launch) - set(alignments))
        if unknown:
            raise ValueError(
                f'LateLaunchHook launches {", ".join(unknown)}, but the model '
                f'has the alignments {", ".join(alignments)}.')
        for name, iteration in self.launch.items():
            if iteration >= runner.max_iters:
                raise ValueError(
                    f'LateLaunchHook launches {name} at iteration {iteration},'
                    f' but the run has only {runner.max_iters} iterations.')
        for name, alignment in alignments.items():
            # Off until the first iteration says otherwise.
            alignment.launched = False
            if name not in self.launch:
                runner.logger.info(f'Alignment {name} is never launched.')

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: DATA_BATCH = None) -> None:
        """Set the gates of this iteration and put them into the scalars."""
        for name, alignment in self._alignments(runner).items():
            launched = (
                name in self.launch and runner.iter >= self.launch[name])
            if launched and not alignment.launched:
                runner.logger.info(
                    f'Alignment {name} is launched (at iteration '
                    f'{self.launch[name]}; now {runner.iter}) with '
                    f'loss_weight {alignment.loss_weight} and grl_weight '
                    f'{alignment.reverse.weight}.')
            alignment.launched = launched
            runner.message_hub.update_scalar(f'train/{name}/launched',
                                             float(launched))

    def _alignments(self, runner: Runner) -> dict:
        """Give the model's alignments by name."""
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        if not hasattr(model, 'all_alignments'):
            raise ValueError(
                f'LateLaunchHook needs a model with alignments, such as '
                f'IFANDetector, but got {type(model).__name__}.')
        return model.all_alignments
