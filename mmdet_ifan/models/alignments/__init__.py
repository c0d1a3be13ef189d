"""The alignments: one file each, all with the interface of the first."""
from .base_alignment import BaseAlignment
from .category_aware_instance_head import CategoryAwareInstanceHead
from .correlation_metric_head import CorrelationMetricHead
from .hierarchical_domain_neck import HierarchicalDomainNeck

__all__ = [
    'BaseAlignment', 'CategoryAwareInstanceHead', 'CorrelationMetricHead',
    'HierarchicalDomainNeck'
]
