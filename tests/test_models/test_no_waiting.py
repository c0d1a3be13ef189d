"""A step waits for the device no more often than mmdet's own parts do.

Operations that would wait are found without a device: those whose result the
host reads, or whose size depends on the values.
"""

import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmark.detectors import Load
from benchmark.training import STOCK, _steps
from mmengine.config import Config
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import mmdet_ifan
from mmdet_ifan.utils.named_configs import config_path

OURS = str(Path(mmdet_ifan.__file__).parent / 'models')
LIBRARIES = ('/mmdet/', '/mmcv/', '/mmengine/')
WAITING = {
    'aten::_local_scalar_dense',
    'aten::is_nonzero',
    'aten::equal',
    'aten::nonzero',
    'aten::masked_select',
    'aten::_unique2',
    'aten::unique_dim',
    'aten::unique_consecutive',
    'aten::bincount',
    'aten::repeat_interleave.Tensor',
}
INDEXING = {'aten::index', 'aten::index_put', 'aten::index_put_'}


class Waits(TorchDispatchMode):
    """Record which file asks for an operation that waits."""

    def __init__(self) -> None:
        super().__init__()
        self.askers: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name = func._schema.name
        waits = (
            name in WAITING
            or str(func) in WAITING
            or (
                name in INDEXING
                and any(
                    index is not None and index.dtype == torch.bool for index in args[1]
                )
            )
        )
        if waits:
            frames = [
                frame.filename
                for frame in traceback.extract_stack()
                if frame.filename.startswith(OURS)
                or any(library in frame.filename for library in LIBRARIES)
            ]
            self.askers.append(frames[-1])
        return func(*args, **kwargs or {})


class Impatient(nn.Module):
    """Wait twice: for a number and for a count."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[x > 0] * x.sum().item()


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [
        'ifan_mini-city',
        'ablations/img-ins_mini-city',
        'adda_mini-city',
        'da-faster_mini-city',
        'mtor_mini-city',
        'few-shot_mini-city',
        'select-align_mini-city',
        'strong-weak_mini-city',
        'ifan-teacher_mini-city',
        'mic_mini-city',
    ],
)
def test_no_alignment_waits_for_the_device(configs, name):
    # The stock detector is that of iFAN, not of Strong-Weak with its context.
    cfgs = dict(
        stock=Config.fromfile(configs / 'ifan/ifan_mini-city.py'),
        method=Config.fromfile(config_path(f'{name}.py')),
    )
    steps = _steps(cfgs, Load((128, 256), batch=2), True)
    askers = []
    for step in (steps[STOCK], list(steps.values())[-1]):
        with Waits() as waits:
            step()
        askers.append(waits.askers)
    stock, ours = askers
    assert not [asker for asker in ours if asker.startswith(OURS)]
    # Only half of as many images have boxes to assign.
    assert 0 < len(ours) < len(stock)


def test_waiting_is_noticed(monkeypatch):
    """The test above could fail."""
    monkeypatch.setattr(f'{__name__}.OURS', __file__)
    with Waits() as waits:
        Impatient()(torch.ones(3))
    assert waits.askers == [__file__] * 2
