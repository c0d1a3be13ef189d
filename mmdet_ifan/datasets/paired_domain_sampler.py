"""Sampler that draws from the two domains independently."""

from collections.abc import Iterator
from itertools import count, islice

import numpy as np
from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from .paired_domain_dataset import PairedDomainDataset


@DATA_SAMPLERS.register_module()
class PairedDomainSampler(Sampler):
    """Draw an endless stream of pairs of a source and a target index.

    Each domain runs through one random permutation after another, drawn
    independently of the other domain. Where both show the same N scenes
    (Cityscapes and its foggy twin), a pair shows the same scene twice with
    probability 1/N. The stream depends on the seed alone and is split among
    the ranks.

    A run that counts epochs takes the stream in pieces. A piece has as many
    pairs as there are source images, rounded up to a multiple of the number
    of ranks as in mmengine's ``DefaultSampler``. The next epoch continues
    behind it.

    Args:
        dataset (PairedDomainDataset): The paired data set.
        seed (int, optional): Seed. Defaults to None, a random one that all
            ranks share.

    Attributes:
        start (int): Position in the stream where iterators begin, in pairs
            of all ranks. It lets a resumed run skip the pairs already seen,
            whatever number of ranks saw them.
        by_epoch (bool): Whether an iterator ends with the epoch.
        epoch (int): Epoch of the next iterator.
        first_epoch (int): Epoch that begins at ``start``.

    Raises:
        TypeError: If ``dataset`` is not a ``PairedDomainDataset``.
    """

    def __init__(self, dataset: PairedDomainDataset, seed: int | None = None) -> None:
        if not isinstance(dataset, PairedDomainDataset):
            raise TypeError(
                'PairedDomainSampler draws from a PairedDomainDataset, but '
                f'got a {type(dataset).__name__}.'
            )
        self.rank, self.world_size = get_dist_info()
        self.sizes = (len(dataset.source), len(dataset.target))
        self.seed = sync_random_seed() if seed is None else seed
        self.start = 0
        self.by_epoch = False
        self.epoch = self.first_epoch = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield this rank's pairs of (source index, target index)."""
        source, target = (
            self._indices(domain, size) for domain, size in enumerate(self.sizes)
        )
        begin, end = self.span if self.by_epoch else (self.start, None)
        return islice(
            zip(source, target, strict=True), begin + self.rank, end, self.world_size
        )

    def __len__(self) -> int:
        """Count the pairs of this rank in one pass through source."""
        return -(-self.sizes[0] // self.world_size)

    @property
    def span(self) -> tuple[int, int]:
        """tuple[int, int]: Positions where the epoch begins and ends."""
        each = len(self) * self.world_size
        begin = self.start + (self.epoch - self.first_epoch) * each
        return begin, begin + each

    def skip(self, num_samples: int) -> None:
        """Let iterators begin later; the OneDL loop calls this method.

        Args:
            num_samples (int): Number of this rank's pairs to skip from the
                beginning of the stream, >= 0.
        """
        self.start = num_samples * self.world_size

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iterator; an endless one ignores it.

        Args:
            epoch (int): Number of the epoch, from 0.
        """
        self.epoch = epoch

    def _indices(self, domain: int, size: int) -> Iterator[int]:
        """Yield one permutation of a domain's indices after another."""
        for epoch in count():
            generator = np.random.default_rng([self.seed, domain, epoch])
            yield from generator.permutation(size).tolist()
