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
from .gradient_reversal import GradientReversal, check_weight
from .precision import at_least_float
from .valid_positions import mean_of_valid, valid_positions

__all__ = [
    'SOURCE',
    'TARGET',
    'DomainClassifier',
    'GradientReversal',
    'at_least_float',
    'balanced_accuracy',
    'check_weight',
    'domain_cross_entropy',
    'domain_focal_loss',
    'evaluating',
    'mean_of_valid',
    'valid_positions',
]
