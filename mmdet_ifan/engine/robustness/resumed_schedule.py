"""Give a resumed run the optimizer and schedule that its config asks for."""

import copy
from types import SimpleNamespace
from typing import Any

from mmengine.runner import Runner

from ...utils.config_values import read_values
from ...utils.errors import DataError, name_some

#: Attributes of a scheduler that change in a run; the config sets all others.
COUNTED = (
    '_global_step',
    '_last_value',
    'base_values',
    'best',
    'cooldown_counter',
    'last_step',
    'num_bad_epochs',
    'verbose',
)


class ResumedSchedule:
    """Keep the settings of a config's optimizer and schedulers in resuming.

    mmengine loads their state from the checkpoint, and with it the settings of
    the config of that time: the learning rate stays at the end of the shorter
    run, a new weight decay has no effect. This remembers the settings that
    were built from the config. Where those of the checkpoint differ, the run
    gets the former, as if it had had them from the start.

    Args:
        runner (Runner): Built, but before it loads a checkpoint. It has one
            optimizer.
    """

    def __init__(self, runner: Runner) -> None:
        self.cfg = runner.cfg.get('optim_wrapper') or {}
        self.groups = [
            copy.deepcopy({k: v for k, v in group.items() if k != 'params'})
            for group in runner.optim_wrapper.param_groups
        ]
        # Without a copy of the optimizer.
        self.schedulers = [
            copy.deepcopy(scheduler, {id(scheduler.optimizer): ...})
            for scheduler in runner.param_schedulers or ()
        ]
        #: Settings of the checkpoint that differ, in words.
        self.differing: list[str] = []

    def compare(self, checkpoint: dict, name: str) -> None:
        """Compare the settings with those of a checkpoint to be resumed.

        Args:
            checkpoint (dict): The checkpoint.
            name (str): Its name, for the message.

        Raises:
            DataError: If it has another optimizer.
        """
        state = checkpoint.get('optimizer')
        if not isinstance(state, dict):
            self.differing = ['it has no state of an optimizer']
            return
        self._check_type(checkpoint, name)
        groups = list(state.get('param_groups', ()))
        if state.get('base_param_settings') is not None:
            groups.append(state['base_param_settings'])
        if len(groups) != len(self.groups):
            raise DataError(
                f'{name} cannot be resumed with this config: its optimizer '
                f'has {len(groups)} groups of parameters, but '
                f'{len(self.groups)} are asked for. Give optim_wrapper the '
                'paramwise_cfg that it was trained with, or give it as '
                'load_from without --resume, to start another run from its '
                'weights.'
            )
        scheduled = {s.param_name for s in self.schedulers}
        if 'momentum' in scheduled:
            scheduled.add('betas')
        differing = (
            f'{key} {before[key]} -> {now[key]}'
            for before, now in zip(groups, self.groups, strict=True)
            for key in sorted(before.keys() & now.keys() - scheduled)
            if not _same(before[key], now[key])
        )
        self.differing = list(dict.fromkeys(differing))
        self._compare_schedulers(checkpoint.get('param_schedulers') or [])

    def _check_type(self, checkpoint: dict, name: str) -> None:
        """Refuse another optimizer, which would misread the state."""
        try:
            text = checkpoint['meta']['cfg']
            before = read_values(text, ['optim_wrapper'])['optim_wrapper']['optimizer'][
                'type'
            ]
            now = self.cfg['optimizer']['type']
        except (KeyError, RecursionError, SyntaxError, TypeError, ValueError):
            return
        before, now = (
            str(getattr(kind, '__name__', kind)).rpartition('.')[2]
            for kind in (before, now)
        )
        if before != now:
            raise DataError(
                f'{name} cannot be resumed with this config: its optimizer '
                f'is {before}, not {now}, which cannot use its state. Give '
                'optim_wrapper the optimizer that it was trained with, or '
                'give it as load_from without --resume, to start another run '
                'from its weights.'
            )

    def _compare_schedulers(self, states: list[dict]) -> None:
        """Compare the schedulers with the states of those of a checkpoint."""
        if len(states) != len(self.schedulers):
            self.differing.append(f'{len(states)} schedulers -> {len(self.schedulers)}')
        for before, scheduler in zip(states, self.schedulers, strict=False):
            name = type(scheduler).__name__
            now = vars(scheduler)
            if before.keys() != now.keys() - {'optimizer'}:
                self.differing.append(f'another scheduler -> {name}')
                continue
            for key in sorted(before):
                if key not in COUNTED and not _same(before[key], now[key]):
                    self.differing.append(
                        f'{key} of {name} {before[key]} -> {now[key]}'
                    )

    def apply(self, runner: Runner) -> None:
        """Give a resumed run the settings of its config, if they differ.

        Args:
            runner (Runner): At the iteration of the checkpoint.
        """
        if not self.differing:
            return
        groups = runner.optim_wrapper.param_groups
        before = groups[0]['lr']
        if any(getattr(s, 'need_val_args', False) for s in self.schedulers):
            runner.logger.warning(
                'This config asks for another optimizer or schedule than the '
                f'checkpoint has ({name_some(self.differing, 8)}). A '
                'scheduler that follows a metric cannot be recomputed: '
                'everything stays as in the checkpoint. To start another run '
                'from its weights, give it as load_from without --resume.'
            )
            return
        self._replay(runner)
        for group, settings in zip(groups, self.groups, strict=True):
            group.update(settings)
        for scheduler in self.schedulers:
            scheduler.optimizer = runner.optim_wrapper
        if self.schedulers:
            runner.param_schedulers = self.schedulers
        runner.logger.warning(
            'This config asks for another optimizer or schedule than the '
            f'checkpoint has: {name_some(self.differing, 8)}. Those of the '
            'config are used, as if the run had had them from the start. At '
            f'iteration {runner.iter} the learning rate is '
            f'{groups[0]["lr"]:.6g}; in the checkpoint it was {before:.6g}.'
        )

    def _replay(self, runner: Runner) -> None:
        """Repeat the steps of the schedulers up to this iteration."""
        optimizer = SimpleNamespace(
            param_groups=self.groups, step=runner.optim_wrapper.step, _global_step=0
        )
        for scheduler in self.schedulers:
            scheduler.optimizer = optimizer
        epochs = 0
        for iteration in range(1, runner.iter + 1):
            self._step(by_epoch=False)
            if epochs < runner.epoch and iteration % len(runner.train_dataloader) == 0:
                self._step(by_epoch=True)
                epochs += 1
        # Epochs may have had another length.
        for _ in range(epochs, runner.epoch):
            self._step(by_epoch=True)

    def _step(self, by_epoch: bool) -> None:
        """Take a step of the schedulers that count epochs, or iterations."""
        for scheduler in self.schedulers:
            if scheduler.by_epoch == by_epoch:
                scheduler.step()


def _same(one: Any, other: Any) -> bool:
    """Compare two settings; a checkpoint turns some into lists."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
