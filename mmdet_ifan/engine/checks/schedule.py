"""Find schedulers of the learning rate that do not do what they say."""

from collections.abc import Iterator
from typing import Any

from mmengine.optim.scheduler.param_scheduler import INF


def schedule_warnings(
    schedulers: Any, train_cfg: dict, epoch_length: int | None = None
) -> list[str]:
    """Compare the schedulers of a config with the length of its run.

    Args:
        schedulers (Any): ``param_scheduler`` of the config. Schedulers that
            are already built are not looked at.
        train_cfg (dict): ``train_cfg`` of the config.
        epoch_length (int, optional): Iterations of an epoch. Defaults to
            None, for which a run that counts epochs is only compared with
            schedulers that do.

    Returns:
        list[str]: A sentence for each scheduler that never begins, ends
        beyond the run or counts in another unit.
    """
    iterations, epochs = (train_cfg.get(key) for key in ('max_iters', 'max_epochs'))
    if iterations is None and epochs and epoch_length:
        iterations = epochs * epoch_length
    counts_epochs = train_cfg.get('max_iters') is None
    found = []
    for scheduler in flat(schedulers):
        if not isinstance(scheduler, dict):
            continue
        name = scheduler.get('type')
        name = getattr(name, '__name__', name)
        by_epoch = scheduler.get('by_epoch', True)
        if by_epoch and not counts_epochs:
            reason = ''
            if not scheduler.get('convert_to_iter_based', False):
                reason = (
                    'counts epochs, but this run counts iterations: it '
                    'never takes a step'
                )
            elif 'end' not in scheduler:
                reason = (
                    'is converted to iterations without an end, so '
                    'that it ends after one epoch'
                )
            if reason:
                found.append(
                    f'The scheduler {name} {reason}. Give it '
                    'by_epoch=False, and its numbers in iterations.'
                )
            # Such a run does not know how long an epoch is.
            continue
        limit = epochs if by_epoch else iterations
        if limit is None:
            continue
        unit = 'epochs' if by_epoch else 'iterations'
        found += [
            f'The scheduler {name} {text}, but the run has only {limit} '
            f'{unit}. Correct param_scheduler or the length of the run unless '
            'this is intended.'
            for text in _beyond(scheduler, limit, unit)
        ]
    return found


def flat(schedulers: Any) -> Iterator[Any]:
    """List the schedulers of one optimizer or of several.

    Args:
        schedulers (Any): Schedulers or their configs, in lists or by the name
            of the optimizer, or None.

    Yields:
        Any: Each of them.
    """
    if isinstance(schedulers, dict) and 'type' not in schedulers:
        schedulers = list(schedulers.values())
    if isinstance(schedulers, list | tuple):
        for part in schedulers:
            yield from flat(part)
    elif schedulers is not None:
        yield schedulers


def _beyond(scheduler: dict, limit: int, unit: str) -> Iterator[str]:
    """Name the settings that lie beyond the end of the run."""
    begin = scheduler.get('begin', 0)
    end = scheduler.get('end', limit)
    if begin >= limit:
        yield f'begins at {begin} {unit}'
        return
    if limit < end < INF:
        yield f'ends at {end} {unit}'
    # Milestones count from the begin.
    milestones = [begin + m for m in scheduler.get('milestones', ())]
    late = [m for m in milestones if m >= limit]
    if late:
        yield f'has milestones at {", ".join(map(str, late))} {unit}'
    for key in ('T_max', 'total_steps', 'step_size'):
        length = scheduler.get(key)
        if length is not None and begin + length > limit:
            yield f'has {key}={length}, from {begin} on'
