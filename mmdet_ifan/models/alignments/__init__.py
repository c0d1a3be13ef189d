"""The alignments: one file each, all with the interface of the first."""
from .base_alignment import BaseAlignment
from .category_aware_instance_head import CategoryAwareInstanceHead
from .correlation_metric_head import CorrelationMetricHead
from .da_faster_head import DAFasterHead
from .global_domain_head import GlobalDomainHead
from .hierarchical_domain_neck import HierarchicalDomainNeck
from .strong_weak_neck import StrongWeakNeck

__all__ = [
    'BaseAlignment', 'CategoryAwareInstanceHead', 'CorrelationMetricHead',
    'DAFasterHead', 'GlobalDomainHead', 'HierarchicalDomainNeck',
    'StrongWeakNeck'
]
