"""Detector, backbone, layers and the alignments of iFAN."""
from .alignments import (
                         BaseAlignment,
                         CategoryAwareInstanceHead,
                         CorrelationMetricHead,
                         HierarchicalDomainNeck,
)
from .backbones import TappedVGG, VGG16Init
from .detectors import DomainFeatures, IFANDetector
from .layers import DomainClassifier, GradientReversal

__all__ = [
    'BaseAlignment', 'CategoryAwareInstanceHead', 'CorrelationMetricHead',
    'DomainClassifier', 'DomainFeatures', 'GradientReversal',
    'HierarchicalDomainNeck', 'IFANDetector', 'TappedVGG', 'VGG16Init'
]
