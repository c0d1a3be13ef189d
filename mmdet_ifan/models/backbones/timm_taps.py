"""Any model of timm, tapped at several depths."""

import importlib
import inspect
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.utils import OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

#: Sides in pixels of the images that strides and channels are read from: a trunk of
#: one size fails at one of them.
SIDES = (192, 256)
#: What timm imports of torchvision, for image pipelines that are not used.
TORCHVISION = (
    'torchvision',
    'torchvision.datasets',
    'torchvision.ops',
    'torchvision.ops.misc',
    'torchvision.transforms',
    'torchvision.transforms.functional',
)


class _Nothing(type):
    """An empty class, whose attributes are empty classes."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith('__'):
            raise AttributeError(name)
        return _Nothing(name, (), {})


class _StandIn(ModuleType):
    """A module in which every name is an empty class."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith('__'):
            raise AttributeError(name)
        return _Nothing(name, (), {})


def import_timm() -> Any:
    """Import timm, with or without torchvision.

    A torchvision that was built for another torch breaks every run, so that
    many environments have none; a backbone does not need it. timm gets empty
    classes in its place while it is imported.

    Returns:
        ModuleType: timm.

    Raises:
        ImportError: If timm is not installed.
    """
    missing = 'timm' not in sys.modules and find_spec('torchvision') is None
    if missing:
        sys.modules.update({name: _StandIn(name) for name in TORCHVISION})
    try:
        return importlib.import_module('timm')
    except ModuleNotFoundError as error:
        if error.name != 'timm':
            raise
        raise ImportError('TimmTaps needs timm: run "pip install timm".') from error
    finally:
        if missing:
            for name in TORCHVISION:
                del sys.modules[name]


@MODELS.register_module()
class TimmTaps(BaseModule):
    """A model of timm without what comes after the last tap.

    Batch normalisation is fixed: a batch of two domains has no statistics
    worth keeping. Parameter names are timm's, behind ``net.``.

    Args:
        model (str): Name of the model, such as ``tf_efficientnet_lite0``.
        taps (Sequence[str], optional): The modules whose outputs are the taps,
            as timm names them, such as ``blocks.1``, in their order. Two may
            have one stride. Defaults to None, the last of each stride from 4,
            if there are several strides.
        frozen_stages (int): Number of stages after the stem that are not
            trained: 0 freezes the stem alone, -1 nothing. Defaults to 0.
        init_cfg (dict, optional): Initialisation, for instance
            :class:`TimmInit`. Defaults to None.
        **kwargs: Arguments of ``timm.create_model``.

    Attributes:
        channels (tuple[int]): Channels of each tap.
        strides (tuple[int]): Stride of each tap, in pixels.
        left_out (frozenset[str]): timm's names of the model's parameters and
            buffers that no tap needs.

    Raises:
        ImportError: If timm is not installed.
        ValueError: If timm has no such model or arguments, the model no such
            tap or stage, one stride alone or a fixed image size, or ``taps``
            is empty or out of order.
    """

    def __init__(
        self,
        model: str,
        taps: Sequence[str] | None = None,
        frozen_stages: int = 0,
        init_cfg: OptMultiConfig = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg)
        timm = import_timm()
        if not timm.is_model(model):
            raise ValueError(
                f'timm {timm.__version__} has no model {model!r}: take one of '
                'timm.list_models().'
            )
        self.model = model
        self.model_args = kwargs
        try:
            self.net = timm.create_model(model, **kwargs)
        except TypeError as error:
            raise ValueError(f'timm cannot make {model}: {error}.') from error
        # Transformers of timm have an init_weights of their own, which mmengine
        # would call after init_cfg has loaded weights.
        self.net.is_init = True
        if taps is None:
            last = {
                info['reduction']: info['module']
                for info in self.net.feature_info
                if info['reduction'] >= 4
            }
            if len(last) < 2:
                raise ValueError(
                    f'{model} has maps of stride {list(last)} alone, and a pyramid '
                    'needs several: take another model, or name its taps.'
                )
            taps = list(last.values())
        self.taps = tuple(taps)
        self._select_taps()
        self._freeze(frozen_stages)
        self.channels, self.strides = self._measure()
        self.train()

    def _select_taps(self) -> None:
        """Find the taps and drop what comes after them."""
        parameters = inspect.signature(self.net.forward_intermediates).parameters
        names = [info['module'] for info in self.net.feature_info]
        options = {}
        if 'extra_blocks' in parameters:
            # EfficientNet's relatives: also stages that keep the stride.
            options['extra_blocks'] = True
            names = ['bn1', *(f'blocks.{i}' for i in range(len(self.net.blocks)))]
        indices = [names.index(tap) for tap in self.taps if tap in names]
        if (
            not indices
            or len(indices) < len(self.taps)
            or indices != sorted(set(indices))
        ):
            raise ValueError(
                f'{self.model} has the taps {", ".join(names)}, and taps '
                'names some of them in this order, but got '
                f'{list(self.taps)}.'
            )
        whole = set(self.net.state_dict())
        self.net.prune_intermediate_layers(
            indices, prune_norm=True, prune_head=True, **options
        )
        self.left_out = frozenset(whole - set(self.net.state_dict()))
        for module in self.net.modules():
            # mmdet would take it for the detector's number of categories.
            vars(module).pop('num_classes', None)
        self._options = dict(
            options, indices=indices, output_fmt='NCHW', intermediates_only=True
        )

    def _freeze(self, frozen_stages: int) -> None:
        """Fix batch normalisation and the leading stages."""
        from timm.models import group_parameters

        stages = group_parameters(self.net, self.net.group_matcher(coarse=True))
        if not -1 <= frozen_stages < len(stages):
            raise ValueError(
                f'frozen_stages of {self.model} with these taps is from -1 '
                f'to {len(stages) - 1}, but got {frozen_stages}.'
            )
        frozen = {
            name
            for stage, found in stages.items()
            if stage <= frozen_stages
            for name in found
        }
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad = name not in frozen
        self._fixed = [
            module for module in self.net.modules() if isinstance(module, _BatchNorm)
        ]
        for norm in self._fixed:
            norm.requires_grad_(False)

    @torch.no_grad()
    def _measure(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Read channels and strides from the taps of a blank image."""
        self.eval()
        for side in SIDES:
            try:
                maps = self.net.forward_intermediates(
                    torch.zeros(1, 3, side, side), **self._options
                )
            except Exception as error:
                raise ValueError(
                    f'{self.model} does not take images of {side} x {side} px '
                    f'({str(error) or type(error).__name__}). If it takes one size '
                    'alone, give the backbone what lets it take any, such as '
                    'dynamic_img_size=True; else take another model.'
                ) from error
        return (
            tuple(tap.shape[1] for tap in maps),
            tuple(side // tap.shape[-1] for tap in maps),
        )

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

        Raises:
            ValueError: If the images are smaller than a cell of the last tap.
        """
        if min(x.shape[-2:]) < self.strides[-1]:
            raise ValueError(
                f'Images of {x.shape[-2]} x {x.shape[-1]} px are smaller than '
                f'the stride of {self.model}, {self.strides[-1]} px: enlarge '
                'them with Resize in the pipeline.'
            )
        # On a CPU a step takes a fifth less time in this order.
        x = x.contiguous(memory_format=torch.channels_last)
        maps = self.net.forward_intermediates(x, **self._options)
        # mmcv's RoIAlign takes any memory for contiguous.
        return tuple(tap.contiguous() for tap in maps)
