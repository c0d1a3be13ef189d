"""How detections are measured."""
from .domain_metric import DomainMetric

__all__ = ['DomainMetric']
