"""The detector and what its alignments see of a domain."""
from .domain_features import DomainFeatures, Proposals
from .ifan_detector import IFANDetector

__all__ = ['DomainFeatures', 'IFANDetector', 'Proposals']
