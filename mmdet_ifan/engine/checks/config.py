"""Check what a config says before anything is built from it."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from mmdet.registry import OPTIMIZERS
from mmengine.config import Config

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
