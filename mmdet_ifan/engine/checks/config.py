"""Check what a config says before anything is built from it."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from mmdet.registry import OPTIMIZERS
from mmengine.config import Config
from mmengine.optim.scheduler.param_scheduler import INF

from ...utils.errors import DataError
from ...utils.files import explain_write_errors
from ..schedule.epochs import counts_epochs

#: Settings of a data loader that need workers, and their values without.
NEED_WORKERS = dict(persistent_workers=False, prefetch_factor=None, timeout=0)


def check_config(cfg: Config) -> None:
    """Check what must be right before a ``Runner`` can be built.

    Args:
        cfg (Config): The config of a training run.

    Raises:
        ValueError: If the config trains nothing, ``custom_hooks`` is no list,
            ``train_cfg`` mixes epochs with iterations, the optimizer is
            unknown, or settings of a data loader contradict each other.
    """
    hooks = cfg.get('custom_hooks') or []
    if not isinstance(hooks, Sequence) or isinstance(hooks, str):
        raise ValueError(
            f'custom_hooks must be a list of hooks, but is {hooks!r}. '
            'Launches are set by default_hooks.late_launch.launch.'
        )
    for name in ('train_cfg', 'train_dataloader', 'optim_wrapper'):
        if not cfg.get(name):
            raise ValueError(
                f'The config has no {name}, so it trains '
                'nothing: let it inherit from one of ours.'
            )
    train_cfg = cfg.train_cfg
    wrong = 'max_iters' if counts_epochs(train_cfg) else 'max_epochs'
    if wrong in train_cfg:
        unit = 'epochs' if wrong == 'max_iters' else 'iterations'
        raise ValueError(
            f'train_cfg counts {unit}, but has {wrong}, perhaps from its base '
            'config: _delete_=True in train_cfg leaves out all of the base, '
            'val_interval as well.'
        )
    kind = (cfg.optim_wrapper.get('optimizer') or {}).get('type')
    if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
        raise ValueError(
            f'optim_wrapper.optimizer.type is {kind!r}, which is not a known '
            'optimizer: correct it.'
        )
    for name in ('train_dataloader', 'val_dataloader'):
        _check_loader(name, cfg.get(name) or {})


def check_folder(folder: str) -> Path:
    """Check that a folder can be written to; nothing is left in it.

    Args:
        folder (str): The folder. It need not exist.

    Returns:
        Path: The part of its path that exists.

    Raises:
        DataError: If it cannot be made, or nothing can be written there.
    """
    path = Path(folder).absolute()
    existing = next(p for p in (path, *path.parents) if os.path.lexists(p))
    if not existing.is_dir():
        raise DataError(
            f'work_dir cannot be {folder}: {existing} is not a '
            'folder. Choose another one.'
        )
    with explain_write_errors(path), TemporaryFile(dir=existing):
        pass
    return existing


def _check_loader(name: str, loader: dict) -> None:
    """Check the settings of a data loader against each other."""
    train = name == 'train_dataloader'
    if train and not loader.get('sampler'):
        raise ValueError(
            "train_dataloader has no sampler: add sampler=dict(type='Paired"
            "DomainSampler') and collate_fn=dict(type='collate_with_random_"
            "state')."
        )
    for key, without in NEED_WORKERS.items():
        if loader.get(key) and not loader.get('num_workers'):
            raise ValueError(
                f'{name}.{key} is {loader[key]}, but there are no workers: '
                f'raise {name}.num_workers, or set {key}={without}.'
            )
    batch_sampler = str((loader.get('batch_sampler') or {}).get('type', ''))
    if train and 'AspectRatio' in batch_sampler:
        raise ValueError(
            f'train_dataloader.batch_sampler is {batch_sampler}, which sorts '
            'single images by their shape, but training draws pairs: set '
            'batch_sampler=None.'
        )


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
    counts_iterations = iterations is not None
    if not counts_iterations and epochs and epoch_length:
        iterations = epochs * epoch_length
    found = []
    for scheduler in flat(schedulers):
        if not isinstance(scheduler, dict):
            continue
        name = scheduler.get('type')
        name = getattr(name, '__name__', name)
        by_epoch = scheduler.get('by_epoch', True)
        if by_epoch and counts_iterations:
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
