"""Necks: they choose which maps RPN and RoI head work on."""

from .hierarchical_domain_neck import HierarchicalDomainNeck
from .last_tap import LastTap
from .strong_weak_neck import StrongWeakNeck

__all__ = ['HierarchicalDomainNeck', 'LastTap', 'StrongWeakNeck']
