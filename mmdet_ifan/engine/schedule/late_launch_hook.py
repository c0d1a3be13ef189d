"""Late launch of the alignments (iFAN, Training and Inference)."""

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

from mmdet.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from ...models import BaseAlignment
from .plateau import Plateau


@HOOKS.register_module()
class LateLaunchHook(Hook):
    """Launch each alignment at its iteration, or when the others are stable.

    "A new alignment starts when the previous ones go stable": in the paper by
    hand, image level from the start, instance level at 30k of 70k iterations,
    correlation at 50k. The launch then depends on the iteration alone, so a
    resumed run is the same as an uninterrupted one.

    ``when='plateau'`` watches the losses instead. Alignments start in the
    order of ``launch``, each within its bounds: as soon as the losses of all
    alignments before it have gone stable (see
    :class:`mmdet_ifan.engine.Plateau`), at the latest at its upper bound. All
    processes decide alike, and the checkpoint holds the state.

    An alignment that is not launched costs nothing. The ``progress`` of one
    that is, is the share that is done of the iterations from its launch to
    the end.

    Our configs have the hook under ``default_hooks``, where your own config
    cannot drop it by accident, as it could from the list ``custom_hooks``. A
    second one may be there: the one that was registered last counts.

    Args:
        launch (dict[str, int | tuple[int, int]]): Iteration, counted from 0,
            at which each alignment starts; for ``when='plateau'`` the
            earliest and the latest, or one number for both. An alignment of
            the model that is not named here never starts: the dictionary *is*
            the ablation. It is merged with that of the base config, like all
            dictionaries; ``_delete_=True`` in it leaves the base's out.
        when (str): ``iteration`` or ``plateau``. Defaults to ``iteration``.
        window (int): Iterations over which a plateau averages the losses.
            Defaults to 100.
        tolerance (float): Relative change from one window to the next that
            still is a plateau. Defaults to 0.05.
        by_epoch (bool): Whether ``launch`` counts epochs instead, in a run by
            ``EpochBasedTrainLoop``. Defaults to False.

    Raises:
        ValueError: If an iteration is not an integer >= 0, bounds are given
            in the wrong order or without ``when='plateau'``, and, before
            training, if the model has no alignment of a name, its weight is
            0, an iteration lies outside the run, or ``launch`` counts epochs
            and the run does not.

    Examples:
        >>> default_hooks = dict(
        ...     late_launch=dict(
        ...         type='LateLaunchHook',
        ...         launch=dict(
        ...             image=0, instance=30000, correlation=50000)))
        >>> default_hooks = dict(
        ...     late_launch=dict(
        ...         type='LateLaunchHook',
        ...         when='plateau',
        ...         launch=dict(
        ...             image=0,
        ...             instance=(5000, 40000),
        ...             correlation=(10000, 60000))))
    """

    # Before the loggers: they show this iteration's state.
    priority = 'ABOVE_NORMAL'
    #: Key of the plateau's state in a checkpoint.
    STATE = 'late_launch'
    _numbers = count()

    def __init__(
        self,
        launch: Mapping[str, int | tuple[int, int]],
        when: str = 'iteration',
        window: int = 100,
        tolerance: float = 0.05,
        by_epoch: bool = False,
    ) -> None:
        if when not in ('iteration', 'plateau'):
            raise ValueError(
                f"when must be 'iteration' or 'plateau', but got {when!r}."
            )
        if not isinstance(launch, Mapping):
            raise ValueError(
                'launch must give each alignment its iteration, '
                f'such as dict(image=0), but got {launch!r}.'
            )
        self.launch = dict(launch)
        self.bounds = {
            name: _bounds(name, value) for name, value in self.launch.items()
        }
        self.plateau = Plateau(window, tolerance) if when == 'plateau' else None
        if self.plateau is None:
            for name, (earliest, latest) in self.bounds.items():
                if earliest != latest:
                    raise ValueError(
                        f'The launch of {name} has bounds, '
                        f"{self.launch[name]}: give when='plateau', or one "
                        'iteration.'
                    )
        self.by_epoch = by_epoch
        self.unit = 'epoch' if by_epoch else 'iteration'
        #: With a plateau, when each alignment was launched.
        self.launched_at: dict[str, int] = {}
        self._saved: dict[str, Any] | None = None
        # Hooks are built as they are registered; their list is in the order
        # of their priorities.
        self._number = next(self._numbers)
        #: Whether another hook counts instead.
        self.aside = False

    @property
    def text(self) -> str:
        """str: The launches in words, for a log."""
        starts = ', '.join(
            f'{name} at {"epoch " if self.by_epoch else ""}{start}'
            for name, start in self.launch.items()
        )
        return starts or 'nothing'

    def check(
        self,
        alignments: Mapping[str, Any],
        max_iters: int,
        max_epochs: int | None = None,
    ) -> None:
        """Check the launches against the model and the length of the run.

        Args:
            alignments (Mapping[str, BaseAlignment]): The model's, by name.
            max_iters (int): Iterations of the run.
            max_epochs (int, optional): Epochs of a run that counts them.
                Defaults to None.

        Raises:
            ValueError: If they do not fit.
        """
        unknown = sorted(set(self.launch) - set(alignments))
        if unknown:
            raise ValueError(
                f'LateLaunchHook launches {", ".join(unknown)}, but the model '
                f'has the alignments {", ".join(alignments) or "none"}. If '
                'the base config names it, _delete_=True in launch leaves it '
                'out.'
            )
        for name in self.launch:
            if not alignments[name].loss_weight:
                raise ValueError(
                    f'LateLaunchHook launches {name}, whose loss_weight is 0:'
                    ' take it out of launch, or give it a weight.'
                )
        length = max_epochs if self.by_epoch else max_iters
        if length is None:
            raise ValueError(
                'LateLaunchHook counts epochs (by_epoch=True), but the run '
                'counts iterations: let train_cfg be an EpochBasedTrainLoop, '
                'or give launch in iterations.'
            )
        for name, (_, latest) in self.bounds.items():
            if latest >= length:
                raise ValueError(
                    f'LateLaunchHook launches {name} at {self.unit} {latest},'
                    f' but the run has only {length} {self.unit}s.'
                )

    def before_train(self, runner: Runner) -> None:
        """Step aside for another hook, or check the launches."""
        counts = launching_hook(runner.hooks)
        self.aside = counts is not None and counts is not self
        if counts is not None and self.aside:
            runner.logger.info(
                'Of several LateLaunchHooks the last counts, which launches '
                f'{counts.text}; one that launches {self.text} steps aside.'
            )
            return
        alignments = self._alignments(runner)
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        self.check(
            alignments, runner.max_iters, runner.max_epochs if by_epoch else None
        )
        # A checkpoint that a run only starts from holds another run's state.
        if self.plateau is not None and self._saved and runner.iter > 0:
            self.launched_at = {
                name: iteration
                for name, iteration in self._saved['launched_at'].items()
                if name in self.launch
            }
            # Without one of them, the sums are those of other losses.
            if self.launched_at == self._saved['launched_at']:
                self.plateau.load_state_dict(self._saved['plateau'])
        for name, alignment in alignments.items():
            # Until the first iteration.
            alignment.launched = False
            if name not in self.launch:
                runner.logger.info(f'Alignment {name} is never launched.')
        if runner.iter:
            self._compare_with_checkpoint(runner)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None
    ) -> None:
        """Launch alignments; log their state and weights."""
        if self.aside:
            return
        now = runner.epoch if self.by_epoch else runner.iter
        starts = self._starts(now)
        for name, alignment in self._alignments(runner).items():
            launched = name in starts and now >= starts[name]
            # Keys with "loss" in them are averaged and added up as losses.
            values = dict(launched=launched, weight=alignment.loss_weight)
            weights = f'loss_weight {alignment.loss_weight}'
            # Only an alignment reverses its gradient.
            if isinstance(alignment, BaseAlignment):
                values['reversal_weight'] = alignment.reverse.weight
                weights += f' and grl_weight {alignment.reverse.weight}'
            if launched and not alignment.launched:
                runner.logger.info(
                    f'Alignment {name} is launched (at {self.unit} '
                    f'{starts[name]}; now {now}) with {weights}.'
                )
            alignment.launched = launched
            alignment.progress = 0.0
            if launched:
                begin = starts[name] * (
                    runner.max_iters / runner.max_epochs if self.by_epoch else 1
                )
                alignment.progress = (runner.iter - begin) / (runner.max_iters - begin)
            for key, value in values.items():
                runner.message_hub.update_scalar(f'train/{name}/{key}', float(value))

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Add the losses of launched alignments to the plateau."""
        if self.plateau is not None and outputs and not self.aside:
            self.plateau.update(
                {
                    key: value
                    for key, value in outputs.items()
                    if 'loss' in key and key.split('/')[0] in self.launched_at
                }
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save the state of the plateau."""
        if self.plateau is not None and not self.aside:
            checkpoint[self.STATE] = dict(
                launched_at=dict(self.launched_at), plateau=self.plateau.state_dict()
            )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the state of an interrupted run's plateau."""
        self._saved = checkpoint.get(self.STATE)

    def _compare_with_checkpoint(self, runner: Runner) -> None:
        """Name the alignments whose launch differs from the checkpoint's."""
        scalars = runner.message_hub.log_scalars
        reached = runner.epoch if self.by_epoch else runner.iter
        for name in self._alignments(runner):
            logged = scalars.get(f'train/{name}/launched')
            if logged is None:
                continue
            was = bool(logged.current())
            # As of the checkpoint's last iteration.
            now = (
                name in self.launched_at
                if self.plateau is not None
                else name in self.bounds and self.bounds[name][0] < reached
            )
            if was != now:
                words = {True: 'is launched', False: 'is not launched'}
                runner.logger.warning(
                    f'Before iteration {runner.iter} the alignment {name} '
                    f'{words[now]} by this config, but {words[was]} in the '
                    'run of the checkpoint: from here on the config is '
                    'followed. Resume with the launches of that run unless '
                    'this is intended.'
                )

    def _starts(self, now: int) -> dict[str, int]:
        """Give the known starts of alignments."""
        if self.plateau is None:
            return {name: start for name, (start, _) in self.bounds.items()}
        waiting = False
        for name, (earliest, latest) in self.bounds.items():
            if name in self.launched_at:
                continue
            # Before the first one there is nothing to wait for.
            stable = self.plateau.stable or not self.launched_at
            if now >= latest or (now >= earliest and stable and not waiting):
                self.launched_at[name] = now
                self.plateau.restart()
            else:
                # The next ones wait for it, at most until their own bound.
                waiting = True
        return self.launched_at

    def _alignments(self, runner: Runner) -> dict:
        """Give the model's alignments by name."""
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        if not hasattr(model, 'all_alignments'):
            raise ValueError(
                f'LateLaunchHook needs a model with alignments, such as '
                f'IFANDetector, but got {type(model).__name__}.'
            )
        return model.all_alignments


def launching_hook(hooks: Iterable[Hook]) -> LateLaunchHook | None:
    """Find the hook that counts: of several, the one registered last.

    Args:
        hooks (Iterable[Hook]): The hooks of a run.
    """
    return max(
        (hook for hook in hooks if isinstance(hook, LateLaunchHook)),
        key=lambda hook: hook._number,
        default=None,
    )


def launching_configs(cfg: Config) -> list[dict]:
    """Find the configs of the hooks that launch, of which the last counts.

    Args:
        cfg (Config): The config of a run.
    """
    hooks = []
    for hook in (
        *cfg.get('default_hooks', {}).values(),
        *(cfg.get('custom_hooks') or ()),
    ):
        kind = hook.get('type') if hook else None
        kind = HOOKS.get(kind) if isinstance(kind, str) else kind
        if isinstance(kind, type) and issubclass(kind, LateLaunchHook):
            hooks.append(hook)
    return hooks


def _bounds(name: str, value: Any) -> tuple[int, int]:
    """Read the earliest and the latest iteration of a launch."""
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or any(
        not isinstance(i, int) or isinstance(i, bool) or i < 0 for i in pair
    ):
        raise ValueError(
            f'The launch of {name} must be an iteration >= 0, but got {value!r}.'
        )
    if pair[0] > pair[1]:
        raise ValueError(
            f'The launch of {name} is bounded by {pair[0]} and {pair[1]}: '
            'give the earlier first.'
        )
    return pair[0], pair[1]
