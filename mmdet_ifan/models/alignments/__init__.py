"""The terms that adapt a detector, one file each."""

from .adaptation_term import AdaptationTerm
from .base_alignment import BaseAlignment
from .category_aware_instance_head import CategoryAwareInstanceHead
from .correlation_metric_head import CorrelationMetricHead
from .da_faster_head import DAFasterHead
from .few_shot_heads import SemanticPairHead, SourceRegularization, SplitPoolingHead
from .global_domain_head import GlobalDomainHead
from .hierarchical_domain_head import HierarchicalDomainHead
from .object_relation_head import ObjectRelationHead
from .pseudo_label_head import PseudoLabelHead
from .select_align_head import SelectAlignHead
from .teacher_distillation import TeacherDistillation

__all__ = [
    'AdaptationTerm',
    'BaseAlignment',
    'CategoryAwareInstanceHead',
    'CorrelationMetricHead',
    'DAFasterHead',
    'GlobalDomainHead',
    'HierarchicalDomainHead',
    'ObjectRelationHead',
    'PseudoLabelHead',
    'SelectAlignHead',
    'SemanticPairHead',
    'SourceRegularization',
    'SplitPoolingHead',
    'TeacherDistillation',
]
