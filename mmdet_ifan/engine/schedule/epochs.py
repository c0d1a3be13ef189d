"""Runs that count epochs: by mmengine's ``EpochBasedTrainLoop``."""

import math
from collections.abc import Iterable

from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from ...datasets import PairedDomainSampler


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


def sampler_of(loader: DataLoader) -> Iterable:
    """Give the sampler of the indices, also below a batch sampler.

    Args:
        loader (DataLoader): The data loader.

    Returns:
        Iterable: The sampler.
    """
    return getattr(loader.batch_sampler, 'sampler', loader.sampler)


def end_with_the_epoch(runner: Runner) -> None:
    """Let the endless draw of pairs end with each epoch, if the run has any.

    The sampler is built before the loop that draws from it, so it cannot know.

    Args:
        runner (Runner): The run, before its first iteration.
    """
    sampler = sampler_of(runner.train_dataloader)
    if isinstance(sampler, PairedDomainSampler):
        sampler.by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
