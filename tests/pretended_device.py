"""A GPU that is not there: the CPU computes, and devices are kept apart.

A tensor on it says that its device is ``pretended:0``. Torch refuses to mix
devices, and so does this: an operation on tensors of both raises, as on a GPU,
which a run on the CPU alone cannot notice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from mmcv import _ext
from mmengine.structures import instance_data
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)


class _Backend(_DummyBackendModule):
    """What torch asks a device for."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]


_setup_privateuseone_for_python_backend('pretended', _Backend())
GPU = torch.device('pretended', 0)
#: Operations that take an index from the host, or move data.
MIXING = {
    'aten::_to_copy',
    'aten::copy_',
    'aten::index',
    'aten::index_put',
    'aten::index_put_',
    'aten::_index_put_impl_',
}


class OnDevice(Tensor):
    """A tensor on the pretended device, whose values the CPU has."""

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> 'OnDevice':
        made = Tensor._make_wrapper_subclass(
            cls,
            values.size(),
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            layout=values.layout,
            device=GPU,
            requires_grad=False,
        )
        made.values = values
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        return compute(func, args, kwargs or {})


def compute(func: Any, args: tuple, kwargs: dict) -> Any:
    """Let the CPU compute an operation of one device.

    Raises:
        RuntimeError: If it is of both.
    """
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
    there = any(isinstance(x, OnDevice) for x in tensors)
    here = [x for x in tensors if not isinstance(x, OnDevice) and x.dim()]
    name = func._schema.name
    if there and here and name not in MIXING:
        raise RuntimeError(
            f'{name} of tensors on {GPU} and cpu, the latter {tuple(here[0].shape)}'
        )
    device = kwargs.get('device')
    if device is not None:
        there = torch.device(device).type == GPU.type
        kwargs = dict(kwargs, device='cpu')
    elif name == 'aten::copy_':
        there = isinstance(args[0], OnDevice)
    result = func(*tree_map(unwrapped, args), **tree_map(unwrapped, kwargs))
    if not there:
        return result
    if isinstance(args[0] if args else None, OnDevice) and result is args[0].values:
        # In place.
        return args[0]
    return tree_map(lambda x: OnDevice(x) if type(x) is Tensor else x, result)


def unwrapped(x: Any) -> Any:
    """Give the values that the CPU has."""
    return x.values if isinstance(x, OnDevice) else x


class Pretended(TorchDispatchMode):
    """Make new tensors on the device that is asked for."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        return compute(func, args, kwargs or {})


def to_device(module: nn.Module) -> nn.Module:
    """Move parameters and buffers of a module to the pretended device."""
    for part in module.modules():
        if hasattr(part, '_device'):
            # Where a data preprocessor puts its images.
            part._device = GPU
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(
                    OnDevice(parameter.data), parameter.requires_grad
                )
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = OnDevice(buffer)
    return module


def _of_the_host(operator: Any) -> Any:
    """Let mmcv's operator, which is no torch operation, see the CPU's values."""

    def run(*args: Any, **kwargs: Any) -> Any:
        values = [unwrapped(x) for x in (*args, *kwargs.values())]
        there = any(isinstance(x, OnDevice) for x in (*args, *kwargs.values()))
        here = any(type(x) is Tensor and x.dim() for x in (*args, *kwargs.values()))
        if there and here:
            raise RuntimeError(f'{operator.__name__} of tensors on {GPU} and cpu')
        result = operator(
            *values[: len(args)], **dict(zip(kwargs, values[len(args) :], strict=True))
        )
        return tree_map(
            lambda x: OnDevice(x) if there and isinstance(x, Tensor) else x, result
        )

    return run


@contextmanager
def pretended_device() -> Iterator[None]:
    """Compute on a GPU that is not there."""
    operators = {
        name: _of_the_host(getattr(_ext, name))
        for name in ('nms', 'roi_align_forward', 'bbox_overlaps')
    }
    with (
        patch.multiple(_ext, **operators),
        # mmengine lists the devices that it knows.
        patch.object(instance_data, 'IndexType', instance_data.IndexType | OnDevice),
        Pretended(),
    ):
        # torch.tensor makes its values on the host, then moves them.
        before = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        try:
            yield
        finally:
            torch._C._set_only_lift_cpu_tensors(before)
