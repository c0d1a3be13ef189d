"""Necks: what RPN and RoI head are given of the taps."""
from .hierarchical_domain_neck import HierarchicalDomainNeck
from .last_tap import LastTap
from .strong_weak_neck import StrongWeakNeck

__all__ = ['HierarchicalDomainNeck', 'LastTap', 'StrongWeakNeck']
