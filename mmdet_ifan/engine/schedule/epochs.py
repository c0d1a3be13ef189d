"""Runs that count epochs: by mmengine's ``EpochBasedTrainLoop``."""
from collections.abc import Iterable

from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from ...datasets import PairedDomainSampler


def sampler_of(loader: DataLoader) -> Iterable:
    """Give what draws the indices, also below a batch sampler.

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
