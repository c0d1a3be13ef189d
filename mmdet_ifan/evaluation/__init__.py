"""The metric of one domain."""

from .domain_metric import DomainMetric

__all__ = ['DomainMetric']
