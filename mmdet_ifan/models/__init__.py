"""Detector, backbone, layers and the alignments."""
from .alignments import (
    BaseAlignment,
    CategoryAwareInstanceHead,
    CorrelationMetricHead,
    DAFasterHead,
    GlobalDomainHead,
    HierarchicalDomainNeck,
    StrongWeakNeck,
)
from .assigners import RegionIgnoringAssigner
from .backbones import TappedVGG, VGG16Init
from .detectors import DomainFeatures, IFANDetector
from .layers import DomainClassifier, GradientReversal, LayerNorm2d
from .roi_heads import ContextBBoxHead, ContextRoIHead

__all__ = [
    'BaseAlignment', 'CategoryAwareInstanceHead', 'ContextBBoxHead',
    'ContextRoIHead', 'CorrelationMetricHead', 'DAFasterHead',
    'DomainClassifier', 'DomainFeatures', 'GlobalDomainHead',
    'GradientReversal', 'HierarchicalDomainNeck', 'IFANDetector',
    'LayerNorm2d', 'RegionIgnoringAssigner', 'StrongWeakNeck', 'TappedVGG',
    'VGG16Init'
]
