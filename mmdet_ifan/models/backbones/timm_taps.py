"""Any model of timm as a backbone that is tapped at several depths."""
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.utils import OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from .timm_import import import_timm

#: Side in pixels of the image that strides and channels are read from.
SIDE = 256


@MODELS.register_module()
class TimmTaps(BaseModule):
    """A timm model without what comes after the last tap.

    Batch normalisation is fixed: detection batches are too small, and two
    domains too different, for statistics of their own. Parameter names are
    timm's, behind ``net.``.

    Args:
        model (str): Name of the model, such as ``tf_efficientnet_lite0``.
        taps (Sequence[str]): The taps in ascending order, named as timm names
            the modules whose outputs they are, such as ``blocks.1``. Two may
            have one stride.
        frozen_stages (int): Number of leading stages that are not trained,
            beside the stem: 0 freezes the stem alone, -1 nothing. Defaults
            to 0.
        init_cfg (dict, optional): Initialisation, for instance
            :class:`TimmInit`. Defaults to None.
        **kwargs: Arguments of ``timm.create_model``.

    Attributes:
        channels (tuple[int]): Channels of each tap.
        strides (tuple[int]): Stride of each tap, in pixels.
        left_out (frozenset[str]): timm's names of the parameters and buffers
            of the whole model that the taps do not need.

    Raises:
        ImportError: If timm is not installed.
        ValueError: If timm has no such model, or the model no such tap, or
            ``taps`` is empty or not ascending.
    """

    def __init__(self,
                 model: str,
                 taps: Sequence[str],
                 frozen_stages: int = 0,
                 init_cfg: OptMultiConfig = None,
                 **kwargs: Any) -> None:
        super().__init__(init_cfg)
        timm = import_timm()
        if not timm.is_model(model):
            raise ValueError(
                f'timm {timm.__version__} has no model {model!r}: take one of '
                'timm.list_models().')
        self.model = model
        self.taps = tuple(taps)
        self.model_args = kwargs
        self.net = timm.create_model(model, **kwargs)
        self._options = dict(output_fmt='NCHW', intermediates_only=True)
        names = self._tap_names()
        unknown = [tap for tap in self.taps if tap not in names]
        indices = [names.index(tap) for tap in self.taps if tap in names]
        if not taps or unknown or indices != sorted(set(indices)):
            raise ValueError(
                f'taps names taps of {model} in ascending order, of '
                f'{", ".join(names)}, but got {list(self.taps)}.')
        self._options['indices'] = self.out_indices = indices
        whole = set(self.net.state_dict())
        extra = {key: value for key, value in self._options.items()
                 if key == 'extra_blocks'}
        self.net.prune_intermediate_layers(
            indices, prune_norm=True, prune_head=True, **extra)
        for module in self.net.modules():
            # mmdet takes the attribute for a detector's categories.
            vars(module).pop('num_classes', None)
        self.left_out = frozenset(whole - set(self.net.state_dict()))
        self._freeze(frozen_stages)
        self.channels, self.strides = self._measure()
        self.train()

    def _tap_names(self) -> list[str]:
        """List what can be tapped; choose how timm counts it."""
        options = inspect.signature(
            self.net.forward_intermediates).parameters
        # EfficientNet's relatives: also the stages that keep the stride.
        if 'extra_blocks' in options and hasattr(self.net, 'blocks'):
            self._options['extra_blocks'] = True
            return ['bn1', *(f'blocks.{i}'
                             for i in range(len(self.net.blocks)))]
        return [info['module'] for info in self.net.feature_info]

    def _freeze(self, frozen_stages: int) -> None:
        """Fix batch normalisation and the leading stages."""
        from timm.models import group_parameters
        self._fixed = [module for module in self.net.modules()
                       if isinstance(module, _BatchNorm)]
        for norm in self._fixed:
            norm.requires_grad_(False)
        stages = group_parameters(
            self.net, self.net.group_matcher(coarse=True))
        frozen = {name for stage, found in stages.items()
                  if stage <= frozen_stages for name in found}
        for name, parameter in self.net.named_parameters():
            if name in frozen:
                parameter.requires_grad_(False)

    @torch.no_grad()
    def _measure(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Read channels and strides from the taps of a blank image."""
        self.net.eval()
        maps = self.net.forward_intermediates(
            torch.zeros(1, 3, SIDE, SIDE), **self._options)
        return (tuple(tap.shape[1] for tap in maps),
                tuple(SIDE // tap.shape[-1] for tap in maps))

    def train(self, mode: bool = True) -> 'TimmTaps':
        """Set the mode; batch normalisation keeps that of testing."""
        super().train(mode)
        for norm in self._fixed:
            norm.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the taps.

        Args:
            x (Tensor): Images of shape (N, 3, H, W).

        Returns:
            tuple[Tensor]: The l-th of shape (N, channels[l], H_l, W_l).
        """
        return tuple(self.net.forward_intermediates(x, **self._options))
