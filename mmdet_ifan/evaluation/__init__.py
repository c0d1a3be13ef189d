"""How detections are measured."""
from .comparison import comparison_table, gap_recovered, to_markdown
from .domain_metric import DomainMetric

__all__ = ['DomainMetric', 'comparison_table', 'gap_recovered', 'to_markdown']
