"""Load checkpoints as data: loading one runs no code of its maker.

A checkpoint is a pickle, and a pickle may call anything. mmengine loads it
with ``torch.load(weights_only=False)``, since its own checkpoints hold the
history of the logged values; OneDL's does so if ``weights_only`` fails. This
switches torch's ``weights_only`` on for all that mmengine loads
(``load_from``, resume, test, ``DetInferencer``, ``init_detector``,
``Pretrained``) and allows the other types that checkpoints need.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader, checkpoint

from ...utils.errors import warn

#: torch's own switches. The second one turns safe loading off.
FORCE = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
TRUST = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
#: Methods that a history of logged values refers to.
STATISTICS = ('min', 'max', 'mean', 'current')
#: Functions that the state of a one-cycle schedule refers to.
ANNEALINGS = ('_annealing_cos', '_annealing_linear')
#: Starts of torch's RuntimeError for a corrupt file, new and old format.
CORRUPT = ('PytorchStreamReader', 'unexpected EOF')


class UnsafeCheckpointError(ValueError):
    """A file holds more than data, or is no intact checkpoint."""


def load_checkpoint(filename: str, logger: str = 'current') -> dict:
    """Load a checkpoint to the CPU, after :func:`load_safely`.

    Args:
        filename (str): File or address.
        logger (str): Logger that names it, as mmengine's ``print_log`` has it.
            Defaults to 'current'.

    Returns:
        dict: The checkpoint.

    Raises:
        UnsafeCheckpointError: If it holds more than data, or is no intact
            checkpoint.
    """
    load_safely()
    return CheckpointLoader.load_checkpoint(filename, map_location='cpu', logger=logger)


def load_safely() -> None:
    """Let mmengine load checkpoints without running what they hold.

    It holds for the whole process. A second call changes nothing.
    """
    allowed: list[Any] = [
        HistoryBuffer,
        (_statistics, 'builtins.getattr'),
        (
            _OneCycle,
            f'{OneCycleParamScheduler.__module__}.'
            f'{OneCycleParamScheduler.__qualname__}',
        ),
        np.ndarray,
        np.dtype,
        *(type(np.dtype(kind)) for kind in '?bBhHiIlLqQefd'),
        # Their names in NumPy 1 and 2.
        *(
            (function, f'numpy.{core}.multiarray.{name}')
            for core in ('core', '_core')
            for name, function in (
                ('scalar', np.float64(0).__reduce__()[0]),
                ('_reconstruct', np.zeros(0).__reduce__()[0]),
            )
        ),
    ]
    torch.serialization.add_safe_globals(allowed)
    if hasattr(checkpoint, '_safe_torch_load'):
        # OneDL's own list allows any getattr, and would replace ours.
        checkpoint._safe_torch_load = partial(torch.load, weights_only=False)
    if not isinstance(CheckpointLoader.load_checkpoint, _SafeLoader):
        CheckpointLoader.load_checkpoint = _SafeLoader(CheckpointLoader.load_checkpoint)


def _statistics(owner: Any, name: Any) -> Callable:
    """Stand in for ``getattr``, by which a history names its statistics."""
    if owner is _OneCycle and name in ANNEALINGS:
        return getattr(OneCycleParamScheduler, name)
    if owner is not HistoryBuffer or name not in STATISTICS:
        raise UnpicklingError(f'GLOBAL builtins.getattr({owner!r}, {name!r})')
    return vars(HistoryBuffer)[name]


class _OneCycle:
    """Stand in for the one-cycle scheduler."""


class _SafeLoader:
    """Run ``CheckpointLoader.load_checkpoint`` with ``weights_only``.

    Args:
        load (Callable): mmengine's.
    """

    def __init__(self, load: Callable[..., dict]) -> None:
        self.load = load

    def __call__(self, filename: str, *args: Any, **kwargs: Any) -> dict:
        """Load a checkpoint.

        Args:
            filename (str): File or address.
            *args (Any): See mmengine.
            **kwargs (Any): See mmengine.

        Returns:
            dict: The checkpoint.

        Raises:
            UnsafeCheckpointError: If it holds more than data, or is no intact
                checkpoint.
        """
        # As torch reads it.
        if os.environ.get(TRUST, '0').lower() in ('1', 'y', 'yes', 'true'):
            warn(f'{filename} may run code: {TRUST} is set.')
            return self.load(filename, *args, **kwargs)
        try:
            with _forced():
                loaded = self.load(filename, *args, **kwargs)
        except UnpicklingError as error:
            raise UnsafeCheckpointError(_sentence(filename, error)) from error
        except (
            EOFError,
            LookupError,
            OSError,
            RuntimeError,
            UnicodeDecodeError,
        ) as error:
            if not _is_corrupt(error):
                raise
            raise _corrupt(filename) from error
        if not isinstance(loaded, dict):
            raise _corrupt(filename)
        # Resuming would run it as Python. Ours have 'cfg', which is parsed.
        meta = loaded.get('meta')
        if isinstance(meta, dict):
            meta.pop('config', None)
        return loaded


@contextmanager
def _forced() -> Iterator[None]:
    """Switch ``weights_only`` on, whatever ``torch.load`` is told."""
    before = os.environ.get(FORCE)
    os.environ[FORCE] = '1'
    try:
        yield
    finally:
        if before is None:
            del os.environ[FORCE]
        else:
            os.environ[FORCE] = before


def _is_corrupt(error: Exception) -> bool:
    """Tell whether an error of torch comes from a corrupt file."""
    if isinstance(error, OSError):
        # torch seeks to before the start of a file that is too short.
        return error.errno == errno.EINVAL
    return not isinstance(error, RuntimeError) or str(error).startswith(CORRUPT)


def _corrupt(filename: str) -> UnsafeCheckpointError:
    """Make the error for a corrupt file."""
    return UnsafeCheckpointError(
        f'{filename} is no intact checkpoint: it is corrupt, empty or another '
        'kind of file. Copy it again, or take another one.'
    )


def _sentence(filename: str, error: UnpicklingError) -> str:
    """Describe why a checkpoint was not loaded."""
    _, found, name = str(error).partition('GLOBAL ')
    # Without torch's advice to load it all the same.
    other = str(error).rpartition('WeightsUnpickler error: ')[2]
    reason = name.split()[0] if found else other.strip().splitlines()[0]
    return (
        f'{filename} was not loaded: it is no checkpoint, or holds more than '
        f'weights, which could run code ({reason}). Get the weights alone '
        '(tools/export.py writes them). Only if you know and trust its maker, '
        f'set {TRUST}=1.'
    )
