"""Find schedulers of the learning rate that do not do what they say."""
from collections.abc import Iterator
from typing import Any

from mmengine.optim.scheduler.param_scheduler import INF


def schedule_warnings(schedulers: Any,
                      train_cfg: dict,
                      epoch_length: int | None = None) -> list[str]:
    """Compare the schedulers of a config with the length of its run.

    Args:
        schedulers (Any): ``param_scheduler`` of the config. What is built
            already is not looked at.
        train_cfg (dict): ``train_cfg`` of the config.
        epoch_length (int, optional): Iterations of an epoch. Defaults to
            None, for which a run that counts epochs is only compared with
            schedulers that do.

    Returns:
        list[str]: A sentence for each that never begins, ends beyond the run
        or is counted in another unit.
    """
    iterations, epochs = (
        train_cfg.get(key) for key in ('max_iters', 'max_epochs'))
    if iterations is None and epochs and epoch_length:
        iterations = epochs * epoch_length
    counts_epochs = train_cfg.get('max_iters') is None
    found = []
    for scheduler in _flat(schedulers):
        name = scheduler.get('type')
        name = name if isinstance(name, str) else getattr(
            name, '__name__', name)
        by_epoch = scheduler.get('by_epoch', True)
        converted = by_epoch and scheduler.get('convert_to_iter_based', False)
        if by_epoch and not counts_epochs:
            if not converted:
                found.append(
                    f'The scheduler {name} counts epochs, but this run counts '
                    'iterations: it never takes a step. Give it '
                    'by_epoch=False, and its numbers in iterations.')
            elif 'end' not in scheduler:
                found.append(
                    f'The scheduler {name} is converted to iterations without '
                    'an end, so that it ends after one epoch. Give it '
                    'by_epoch=False, and its numbers in iterations.')
            # How long an epoch is, is nothing that this run counts.
            continue
        limit = epochs if by_epoch else iterations
        if limit is None:
            continue
        unit = 'epochs' if by_epoch else 'iterations'
        found += [
            f'The scheduler {name} {text}, but the run has only {limit} '
            f'{unit}. Correct param_scheduler or the length of the run unless '
            'it is meant.' for text in _beyond(scheduler, limit, unit)
        ]
    return found


def _flat(schedulers: Any) -> Iterator[dict]:
    """Find the configs of schedulers, also those of several optimizers."""
    if isinstance(schedulers, dict) and 'type' in schedulers:
        yield schedulers
    elif isinstance(schedulers, dict):
        for part in schedulers.values():
            yield from _flat(part)
    elif isinstance(schedulers, list | tuple):
        for part in schedulers:
            yield from _flat(part)


def _beyond(scheduler: dict, limit: int, unit: str) -> Iterator[str]:
    """Say what of a scheduler lies beyond the end of the run."""
    begin = scheduler.get('begin', 0)
    end = scheduler.get('end', limit)
    if begin >= limit:
        yield f'begins at {begin} {unit}'
        return
    if limit < end < INF:
        yield f'ends at {end} {unit}'
    # They count from its begin.
    milestones = [begin + m for m in scheduler.get('milestones', ())]
    late = [m for m in milestones if m >= limit]
    if late:
        yield f'has milestones at {", ".join(map(str, late))} {unit}'
    for key in ('T_max', 'total_steps', 'step_size'):
        length = scheduler.get(key)
        if length is not None and begin + length > limit:
            yield f'has {key}={length}, from {begin} on'
