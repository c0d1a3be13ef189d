"""Check a run as a whole, before its first iteration.

A list in a config replaces that of its base, and ``_delete_=True`` leaves out
a dictionary: what a run cannot do without is looked for here. Hook and doctor
call the same functions.
"""
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from mmdet.evaluation import MultiDatasetsEvaluator
from mmdet.models import MultiBranchDataPreprocessor
from mmdet.registry import OPTIMIZERS
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, Hook
from mmengine.registry import FUNCTIONS
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.visualization import LocalVisBackend
from torch import nn
from torch.utils.data import Dataset

from ...datasets import DomainTestDataset, PairedDomainDataset
from ...datasets.random_states import collate_with_random_state
from ...utils.errors import DataError
from ...utils.files import explain_write_errors
from ..robustness.resumable_checkpoint_hook import ResumableCheckpointHook
from ..schedule.late_launch_hook import launching_hook
from .image_sizes import check_image_sizes

#: What our configs have under ``default_hooks``, and what is lost without.
USEFUL = dict(
    ResumableCheckpointHook='resuming exactly',
    FiniteCheckHook='stopping at losses that are not finite or diverge',
    FitCheckHook='checking that the parts of the model fit',
    PairCheckHook='comparing the data of training with those of the tests',
    NumClassCheckHook='comparing num_classes with the data',
    UnreadableImagesHook='counting the images that were skipped')
#: Settings of a data loader that need workers, and their values without.
NEED_WORKERS = dict(persistent_workers=False, prefetch_factor=None, timeout=0)
DOMAINS = ('source', 'target')


def counts_epochs(train_cfg: dict) -> bool:
    """Tell whether a run counts epochs.

    Args:
        train_cfg (dict): The config of its loop.
    """
    if 'type' not in train_cfg:
        return bool(train_cfg.get('by_epoch', True))
    return 'EpochBasedTrainLoop' in str(train_cfg['type'])


def length_of(cfg: Config, images: int) -> tuple[int, int]:
    """Count the iterations and the epochs of a run in one process.

    Args:
        cfg (Config): Its config.
        images (int): Number of source images; it matters if the run counts
            epochs.

    Returns:
        tuple[int, int]: Iterations and epochs; a run that counts iterations
        is one epoch.
    """
    train_cfg, loader = cfg.train_cfg, cfg.train_dataloader
    if not counts_epochs(train_cfg):
        return train_cfg.max_iters, 1
    whole = math.floor if loader.get('drop_last') else math.ceil
    each = whole(images / loader.get('batch_size', 1))
    return train_cfg.max_epochs * each, train_cfg.max_epochs


def flat(schedulers: Any) -> list:
    """Give the schedulers of one optimizer or of several in a list.

    Args:
        schedulers (list or dict[str, list] or None): As a runner has them.
    """
    if isinstance(schedulers, dict):
        return [s for each in schedulers.values() for s in each]
    return list(schedulers or ())


def check_config(cfg: Config) -> None:
    """Check what must be right before a ``Runner`` can be built.

    Args:
        cfg (Config): The config of a run.

    Raises:
        ValueError: If the config trains nothing, ``custom_hooks`` is no list,
            ``train_cfg`` mixes epochs with iterations, the optimizer is
            unknown, or settings of a data loader contradict each other.
    """
    hooks = cfg.get('custom_hooks') or []
    if not isinstance(hooks, Sequence) or isinstance(hooks, str):
        raise ValueError(
            f'custom_hooks must be a list of hooks, but is {hooks!r}. '
            'Launches are set by default_hooks.late_launch.launch.')
    for name in ('train_cfg', 'train_dataloader', 'optim_wrapper'):
        if not cfg.get(name):
            raise ValueError(f'The config has no {name}, so it trains '
                             'nothing: let it inherit from one of ours.')
    train_cfg = cfg.train_cfg
    wrong = 'max_iters' if counts_epochs(train_cfg) else 'max_epochs'
    if wrong in train_cfg:
        unit = 'epochs' if wrong == 'max_iters' else 'iterations'
        raise ValueError(
            f'train_cfg counts {unit}, but has {wrong}, perhaps from its base '
            'config: _delete_=True in train_cfg leaves all of the base out, '
            'val_interval too.')
    optimizer = cfg.optim_wrapper.get('optimizer') or {}
    kind = optimizer.get('type')
    if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
        raise ValueError(
            f'optim_wrapper.optimizer.type is {kind!r}, which is no optimizer '
            'that is known here: correct it.')
    for name in ('train_dataloader', 'val_dataloader'):
        _check_loader(name, cfg.get(name) or {})


def _check_loader(name: str, loader: dict) -> None:
    """Check the settings of a data loader against each other."""
    train = name == 'train_dataloader'
    if train and not loader.get('sampler'):
        raise ValueError(
            "train_dataloader has no sampler: add sampler=dict(type='Paired"
            "DomainSampler') and collate_fn=dict(type='collate_with_random_"
            "state').")
    for key, without in NEED_WORKERS.items():
        if loader.get(key) and not loader.get('num_workers'):
            raise ValueError(
                f'{name}.{key} is {loader[key]}, but there are no workers: '
                f'raise {name}.num_workers, or set {key}={without}.')
    batch_sampler = str((loader.get('batch_sampler') or {}).get('type', ''))
    if train and 'AspectRatio' in batch_sampler:
        raise ValueError(
            f'train_dataloader.batch_sampler is {batch_sampler}, which sorts '
            'single images by their shape; here pairs are drawn. Set '
            'batch_sampler=None.')


def check_folder(folder: str) -> Path:
    """Check that a folder can be written into; nothing is left in it.

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
        raise DataError(f'work_dir cannot be {folder}: {existing} is no '
                        'folder. Give another one.')
    with explain_write_errors(path), TemporaryFile(dir=existing):
        pass
    return existing


def check_launches(model: nn.Module, hooks: Iterable[Hook]) -> None:
    """Check that alignments have a hook that launches them.

    Args:
        model (nn.Module): The detector.
        hooks (Iterable[Hook]): The hooks of the run.

    Raises:
        ValueError: If they have none.
    """
    names = list(getattr(model, 'all_alignments', ()))
    if names and launching_hook(hooks) is None:
        launch = ', '.join(f'{name}=0' for name in names)
        raise ValueError(
            f'The model has the alignments {", ".join(names)}, but no '
            'LateLaunchHook launches them, so that all would train from the '
            'first iteration. If that is meant, write default_hooks=dict('
            f"late_launch=dict(type='LateLaunchHook', launch=dict({launch})));"
            ' give other iterations to launch them later.')


def check_preprocessor(model: nn.Module) -> None:
    """Check that the detector can take the batches of two domains.

    Args:
        model (nn.Module): The detector.

    Raises:
        ValueError: If it cannot.
    """
    found = getattr(model, 'data_preprocessor', None)
    if hasattr(model, 'all_alignments') and not isinstance(
            found, MultiBranchDataPreprocessor):
        raise ValueError(
            'model.data_preprocessor must be a MultiBranchDataPreprocessor, '
            f'but is a {type(found).__name__}: what you set belongs into '
            'model.data_preprocessor.data_preprocessor.')


def check_evaluator(evaluator: Any, dataset: Dataset) -> None:
    """Check that each domain is measured under its own name.

    Args:
        evaluator (Evaluator): What measures.
        dataset (Dataset): What is measured on.

    Raises:
        ValueError: If a domain has no metric or the other's name.
    """
    if not isinstance(dataset, DomainTestDataset):
        return
    if not isinstance(evaluator, MultiDatasetsEvaluator):
        raise ValueError(
            'val_evaluator must be a MultiDatasetsEvaluator, but is a '
            f'{type(evaluator).__name__}, which would measure the images of '
            "both domains as one: set type='MultiDatasetsEvaluator', "
            "dataset_prefixes=['source', 'target'] and two metrics.")
    prefixes = tuple(evaluator.dataset_prefixes)
    if prefixes != DOMAINS or len(evaluator.metrics) != len(DOMAINS):
        raise ValueError(
            'val_evaluator needs two metrics, the first for source and the '
            "second for target, and dataset_prefixes=['source', 'target'], "
            f'but has {len(evaluator.metrics)} and {list(prefixes)}.')


def check_epoch(runner: Runner) -> None:
    """Check that an epoch has an iteration.

    Args:
        runner (Runner): The run.

    Raises:
        ValueError: If it has none.
    """
    loader = runner.train_dataloader
    if isinstance(runner.train_loop,
                  EpochBasedTrainLoop) and not len(loader):
        raise ValueError(
            f'An epoch of {len(loader.dataset)} source images has no batch of '
            f'{loader.batch_size}: lower train_dataloader.batch_size, or set '
            'drop_last=False.')


def warnings_of(runner: Runner) -> Iterator[str]:
    """Say what a run lacks or what cannot be meant, but does no harm.

    Args:
        runner (Runner): The run, all its parts built.

    Yields:
        str: A sentence.
    """
    yield from _lost_hooks(runner.hooks)
    yield from _units(runner)
    cfg = runner.cfg
    if cfg.get('data_preprocessor') is not None:
        yield ('data_preprocessor of the config is not used, since model has '
               'its own: set model.data_preprocessor.data_preprocessor.')
    backends = getattr(runner.visualizer, '_vis_backends', {})
    if not any(isinstance(b, LocalVisBackend) for b in backends.values()):
        yield ('visualizer.vis_backends has no LocalVisBackend, which writes '
               'scalars.json: the tools for curves and studies will find '
               "nothing. Add dict(type='LocalVisBackend').")
    names = [[str(backend.get('type')) for backend in backends or ()]
             for backends in (cfg.get('vis_backends'),
                              cfg.get('visualizer', {}).get('vis_backends'))]
    if not set(names[0]) <= set(names[1]):
        yield (f'vis_backends of the config ({", ".join(names[0])}) is not '
               f'used, but that of visualizer ({", ".join(names[1])}): set '
               'visualizer.vis_backends.')
    yield from _collate(runner)


def _lost_hooks(hooks: Sequence[Hook]) -> Iterator[str]:
    """Name what default_hooks of our base config has and this run lacks."""
    there = {kind.__name__ for hook in hooks for kind in type(hook).__mro__}
    lost = {name: use for name, use in USEFUL.items() if name not in there}
    if lost:
        yield (f'default_hooks has no {", ".join(lost)}: this run goes '
               f'without {"; ".join(lost.values())}. Perhaps _delete_=True '
               'has left out more than was meant.')


def _collate(runner: Runner) -> Iterator[str]:
    """Warn where batches do not bring the random states of their workers."""
    loader = runner.train_dataloader
    collate = getattr(loader.collate_fn, 'func', loader.collate_fn)
    if (isinstance(loader.dataset, PairedDomainDataset) and loader.num_workers
            and collate is not FUNCTIONS.get(
                collate_with_random_state.__name__)):
        yield ('train_dataloader.collate_fn is not collate_with_random_state: '
               'a resumed run will augment its images otherwise than an '
               'uninterrupted one.')


def _units(runner: Runner) -> Iterator[str]:
    """Warn of epochs where the run counts iterations, and the reverse."""
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    unit, other = ('epochs', 'iterations')[::1 if by_epoch else -1]
    length = runner.max_epochs if by_epoch else runner.max_iters
    for hook in runner.hooks:
        if not isinstance(hook, CheckpointHook):
            continue
        if hook.by_epoch and not by_epoch:
            yield ('default_hooks.checkpoint counts epochs, but train_cfg '
                   'iterations: the only checkpoint is that of the end. Set '
                   'by_epoch=False and an interval in iterations.')
        elif by_epoch and not hook.by_epoch:
            # Ours writes after each epoch instead, and says so.
            if not isinstance(hook, ResumableCheckpointHook):
                yield ('default_hooks.checkpoint counts iterations, but '
                       'train_cfg epochs: a run that is resumed inside an '
                       'epoch begins it anew. Set by_epoch=True and an '
                       'interval in epochs.')
        elif not 0 < hook.interval <= length:
            yield (f'The only checkpoint is that of the end, since interval '
                   f'of default_hooks.checkpoint is {hook.interval} and the '
                   f'run has {length} {unit}: a run that is killed starts '
                   'again. Lower interval.')
    for scheduler in flat(runner.param_schedulers):
        if scheduler.by_epoch and not by_epoch:
            yield (f'{type(scheduler).__name__} of param_scheduler counts '
                   f'{other}, which is the default, but train_cfg {unit}: it '
                   'changes nothing. Set by_epoch=False.')


def check_run(runner: Runner) -> None:
    """Check the parts of a run that must be there.

    Args:
        runner (Runner): The run, all its parts built.

    Raises:
        ValueError: If alignments have no hook that launches them, the
            detector cannot take the batches or the smallest image, a domain
            is not measured, or an epoch has no iteration.
    """
    model = getattr(runner.model, 'module', runner.model)
    check_launches(model, runner.hooks)
    check_preprocessor(model)
    check_epoch(runner)
    dataset = runner.train_dataloader.dataset
    labelled = [dataset.source] if isinstance(
        dataset, PairedDomainDataset) else []
    if runner.val_loop is not None:
        dataset = runner.val_dataloader.dataset
        check_evaluator(runner.val_loop.evaluator, dataset)
        if isinstance(dataset, DomainTestDataset):
            labelled += dataset.datasets
    for dataset in labelled:
        check_image_sizes(model, dataset)
