"""The detector, its parts, and the terms that adapt it."""

from .alignments import (
    AdaptationTerm,
    BaseAlignment,
    CategoryAwareInstanceHead,
    CorrelationMetricHead,
    DAFasterHead,
    GlobalDomainHead,
    HierarchicalDomainHead,
    ObjectRelationHead,
    PseudoLabelHead,
    SelectAlignHead,
    SemanticPairHead,
    SourceRegularization,
    SplitPoolingHead,
    TeacherDistillation,
)
from .assigners import RegionIgnoringAssigner
from .backbones import TappedVGG, TimmInit, TimmTaps, VGG16Init
from .detectors import IFANDetector
from .domain_features import DomainFeatures, Proposals
from .layers import DomainClassifier, GradientReversal
from .necks import HierarchicalDomainNeck, LastTap, StrongWeakNeck
from .roi_heads import ContextBBoxHead, ContextRoIHead

__all__ = [
    'AdaptationTerm',
    'BaseAlignment',
    'CategoryAwareInstanceHead',
    'ContextBBoxHead',
    'ContextRoIHead',
    'CorrelationMetricHead',
    'DAFasterHead',
    'DomainClassifier',
    'DomainFeatures',
    'GlobalDomainHead',
    'GradientReversal',
    'HierarchicalDomainHead',
    'HierarchicalDomainNeck',
    'IFANDetector',
    'LastTap',
    'ObjectRelationHead',
    'Proposals',
    'PseudoLabelHead',
    'RegionIgnoringAssigner',
    'SelectAlignHead',
    'SemanticPairHead',
    'SourceRegularization',
    'SplitPoolingHead',
    'StrongWeakNeck',
    'TappedVGG',
    'TeacherDistillation',
    'TimmInit',
    'TimmTaps',
    'VGG16Init',
]
