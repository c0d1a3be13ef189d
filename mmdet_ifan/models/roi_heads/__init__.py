"""RoI heads of methods that change the detector itself."""

from .context_roi_head import ContextBBoxHead, ContextRoIHead

__all__ = ['ContextBBoxHead', 'ContextRoIHead']
