"""How detections are measured."""
from .comparison import (
    TARGET_MAP,
    comparison_table,
    gap_recovered,
    to_markdown,
)
from .domain_metric import DomainMetric
from .study import plot_study, study_table

__all__ = [
    'TARGET_MAP', 'DomainMetric', 'comparison_table', 'gap_recovered',
    'plot_study', 'study_table', 'to_markdown'
]
