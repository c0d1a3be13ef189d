"""Independent draws from the two domains."""
from collections.abc import Iterator
from itertools import count, islice

import numpy as np
from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from .paired_domain_dataset import PairedDomainDataset


@DATA_SAMPLERS.register_module()
class PairedDomainSampler(Sampler):
    """Endless pairs of a source and a target index.

    Each domain is gone through permutation after permutation, and the
    permutations of the two are drawn independently: where both domains show
    the same N scenes (Cityscapes and its foggy twin), a pair shows one scene
    twice with a chance of 1/N. The stream depends on the seed alone; the
    ranks share it out, so each draws pairs of its own.

    A run that counts epochs takes the stream in pieces: as many pairs as there
    are source images, and, as mmengine's ``DefaultSampler`` does, so many more
    that each rank has equally many. The next epoch goes on behind them.

    Args:
        dataset (PairedDomainDataset): The paired data set.
        seed (int, optional): Seed. Defaults to None: one that all ranks
            share.

    Attributes:
        start (int): Where in the stream iterators begin, in pairs of all
            ranks together: a resumed run need not load the past, and the
            past may have had another number of ranks.
        by_epoch (bool): Whether an iterator ends with the epoch.
        epoch (int): The epoch that the next iterator gives.
        first_epoch (int): The epoch that begins at ``start``.

    Raises:
        TypeError: If ``dataset`` is no ``PairedDomainDataset``.
    """

    def __init__(self,
                 dataset: PairedDomainDataset,
                 seed: int | None = None) -> None:
        if not isinstance(dataset, PairedDomainDataset):
            raise TypeError(
                'PairedDomainSampler draws from a PairedDomainDataset, but '
                f'got a {type(dataset).__name__}.')
        self.rank, self.world_size = get_dist_info()
        self.sizes = (len(dataset.source), len(dataset.target))
        self.seed = sync_random_seed() if seed is None else seed
        self.start = 0
        self.by_epoch = False
        self.epoch = self.first_epoch = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield this rank's pairs of (source index, target index)."""
        source, target = (
            self._indices(domain, size)
            for domain, size in enumerate(self.sizes))
        begin, end = self.span if self.by_epoch else (self.start, None)
        return islice(
            zip(source, target, strict=True),
            begin + self.rank, end, self.world_size)

    def __len__(self) -> int:
        """Pairs of this rank until source has been seen once."""
        return -(-self.sizes[0] // self.world_size)

    @property
    def span(self) -> tuple[int, int]:
        """tuple[int, int]: Where in the stream the epoch begins and ends."""
        each = len(self) * self.world_size
        begin = self.start + (self.epoch - self.first_epoch) * each
        return begin, begin + each

    def skip(self, num_samples: int) -> None:
        """Let iterators begin later; the OneDL loop looks for this method.

        Args:
            num_samples (int): Pairs of this rank to leave out, >= 0, counted
                from the beginning of the stream.
        """
        self.start = num_samples * self.world_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; an endless iterator has none.

        Args:
            epoch (int): Its number, counted from 0.
        """
        self.epoch = epoch

    def _indices(self, domain: int, size: int) -> Iterator[int]:
        """Give endless permutations of one domain's indices."""
        for epoch in count():
            generator = np.random.default_rng([self.seed, domain, epoch])
            yield from generator.permutation(size).tolist()
