"""Data sets of the two domains, and the sampler that pairs them."""

from .domain_coco_dataset import DomainCocoDataset
from .domain_test_dataset import DomainTestDataset
from .paired_domain_dataset import PairedDomainDataset
from .paired_domain_sampler import PairedDomainSampler
from .transforms import BlockMask, GaussianBlur
from .translated_coco_dataset import TranslatedCocoDataset
from .unlabelled_dataset import UnlabelledDataset

__all__ = [
    'BlockMask',
    'DomainCocoDataset',
    'DomainTestDataset',
    'GaussianBlur',
    'PairedDomainDataset',
    'PairedDomainSampler',
    'TranslatedCocoDataset',
    'UnlabelledDataset',
]
