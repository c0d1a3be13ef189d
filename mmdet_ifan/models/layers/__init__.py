"""Building blocks that several alignments share."""
from .domain_classifier import DomainClassifier, balanced_accuracy
from .gradient_reversal import GradientReversal

__all__ = ['DomainClassifier', 'GradientReversal', 'balanced_accuracy']
