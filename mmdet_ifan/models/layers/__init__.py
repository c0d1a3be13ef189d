"""Building blocks that alignments share."""

from .domain_classifier import (
    SOURCE,
    TARGET,
    DomainClassifier,
    balanced_accuracy,
    domain_cross_entropy,
    domain_focal_loss,
)
from .evaluating import evaluating
from .frozen import frozen
from .gradient_reversal import GradientReversal, check_weight
from .precision import SinglePrecisionConv2d, at_least_float
from .regions import cut_patches, first_members, k_means
from .relations import mean_over, unit_vectors
from .valid_positions import mean_of_valid, valid_positions

__all__ = [
    'SOURCE',
    'TARGET',
    'DomainClassifier',
    'GradientReversal',
    'SinglePrecisionConv2d',
    'at_least_float',
    'balanced_accuracy',
    'check_weight',
    'cut_patches',
    'domain_cross_entropy',
    'domain_focal_loss',
    'evaluating',
    'first_members',
    'frozen',
    'k_means',
    'mean_of_valid',
    'mean_over',
    'unit_vectors',
    'valid_positions',
]
