"""Importing the package registers; patch_mmengine changes mmengine.

Each in a process of its own: this one has it imported already.
"""

import os
from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.runner import checkpoint
from processes import environment, run_script

from mmdet_ifan.utils.named_configs import config_path

ROOT = Path(__file__).resolve().parents[1]
#: What the process is before and after each import.
LOOK = """
import os, signal, sys, threading, warnings
import mmdet.apis, mmdet.datasets, mmdet.evaluation, mmdet.models
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader, Runner, checkpoint

def look():
    return dict(
        config=dict(vars(Config)),
        # An address of its own kind is registered.
        loader={k: v for k, v in vars(CheckpointLoader).items()
                if k != '_schemes'},
        schemes={k: v for k, v in CheckpointLoader._schemes.items()
                 if 'package' not in k},
        module=dict(vars(checkpoint)), runner=dict(vars(Runner)),
        safe=set(torch.serialization.get_safe_globals()),
        load=torch.load, environment=dict(os.environ),
        signals={n: signal.getsignal(n) for n in signal.valid_signals()},
        warnings=list(warnings.filters), path=list(sys.path),
        hooks=(sys.excepthook, threading.excepthook),
        threads=torch.get_num_threads(), cwd=os.getcwd(),
        scope=DefaultScope.get_current_instance(),
        loggers=dict(MMLogger._instance_dict))

def changed(before):
    now = look()
    return sorted(key for key in now if now[key] != before[key])

before = look()
import mmdet_ifan
print('package', *changed(before))
print('registered', 'IFANDetector' in mmdet.registry.MODELS.module_dict)
import mmdet_ifan.patch_mmengine
print('patches', *changed(before))
"""
#: Detects with our config and nothing imported; the config does that.
DETECT = """
import sys
from mmdet.apis import DetInferencer, init_detector
config, checkpoint, way = sys.argv[1:]
if way == 'DetInferencer':
    DetInferencer(config, checkpoint, device='cpu')
else:
    init_detector(config, checkpoint, device='cpu')
"""
#: Functions of the package, without the patches.
OURS = """
import sys
from mmdet_ifan.deployment import checkpoint_config, load_detector
dict(checkpoint_config=checkpoint_config, load_detector=load_detector)[
    sys.argv[3]](sys.argv[2])
"""


run = partial(run_script, env=environment(ROOT))


def test_importing_the_package_registers_and_does_nothing_else(tmp_path):
    result = run(LOOK, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    # OneDL has a guard of its own, in whose place is ours.
    guard = 'module ' if hasattr(checkpoint, '_safe_torch_load') else ''
    assert result.stdout.splitlines()[-3:] == [
        'package',
        'registered True',
        f'patches config loader {guard}safe',
    ]


class Evil:
    """Whoever unpickles it makes a folder."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ('was here',)


@pytest.fixture(scope='module')
def evil(tmp_path_factory) -> Path:
    """A checkpoint that would make a folder where it is loaded."""
    folder = tmp_path_factory.mktemp('evil')
    torch.save(dict(state_dict={}, meta={}, more=Evil()), folder / 'evil.pth')
    return folder / 'evil.pth'


@pytest.mark.parametrize('way', ['DetInferencer', 'init_detector'])
def test_our_config_loads_safely(tmp_path, evil, way):
    result = run(DETECT, config_path('ifan_mini-city.py'), evil, way, cwd=tmp_path)
    assert f'UnsafeCheckpointError: {evil} was not loaded' in result.stderr
    assert not (tmp_path / 'was here').exists()


@pytest.mark.parametrize('way', ['checkpoint_config', 'load_detector'])
def test_our_functions_load_safely_by_themselves(tmp_path, evil, way):
    result = run(OURS, '', evil, way, cwd=tmp_path)
    assert f'UnsafeCheckpointError: {evil} was not loaded' in result.stderr
    assert not (tmp_path / 'was here').exists()
