"""Import timm, also where torchvision is missing."""
import importlib
import sys
from types import ModuleType
from typing import Any

#: What timm imports of torchvision, for its image pipelines.
NEEDED = ('torchvision', 'torchvision.datasets', 'torchvision.ops',
          'torchvision.ops.misc', 'torchvision.transforms',
          'torchvision.transforms.functional')


class _Nothing(type):
    """A class for whatever is asked for, with attributes of its kind."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith('__'):
            raise AttributeError(name)
        return _Nothing(name, (), {})


class _StandIn(ModuleType):
    """A module in which every name is an empty class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)
        return _Nothing(name, (), {})


def import_timm() -> Any:
    """Import timm, which an ordinary use of this package does not need.

    timm imports torchvision for its image pipelines, which no backbone needs,
    and a torchvision that does not fit torch breaks every run. Where there is
    none, timm gets empty classes in its place while it is imported.

    Returns:
        ModuleType: timm.

    Raises:
        ImportError: If timm is not installed.
    """
    if 'timm' not in sys.modules and (
            importlib.util.find_spec('torchvision') is None):
        for name in NEEDED:
            sys.modules[name] = module = _StandIn(name)
            module.__path__ = []
    try:
        return importlib.import_module('timm')
    except ModuleNotFoundError as error:
        if error.name != 'timm':
            raise
        raise ImportError(
            'TimmTaps needs timm: run "pip install timm".') from error
    finally:
        for name in NEEDED:
            if isinstance(sys.modules.get(name), _StandIn):
                del sys.modules[name]
