"""A checkpoint from a stranger runs no code, one of ours loads whole."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.apis import init_detector
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader, Runner
from processes import run_tool
from yapf.yapflib.yapf_api import FormatCode

from mmdet_ifan.deployment import checkpoint_config, export, plain_config
from mmdet_ifan.engine.robustness.safe_loading import (
    FORCE,
    TRUST,
    UnsafeCheckpointError,
)
from mmdet_ifan.utils.errors import DataError
from mmdet_ifan.utils.named_configs import config_path

ROOT = Path(__file__).resolve().parents[2]


class Evil:
    """Whoever unpickles it makes a folder."""

    def __init__(self, path: Path, function: Callable = os.mkdir) -> None:
        self.call = function, (str(path),)

    def __reduce__(self) -> tuple:
        return self.call


@pytest.fixture(scope='module')
def cfg() -> Config:
    """What is trained."""
    return Config.fromfile(config_path('ifan_mini-city.py'))


@pytest.fixture(scope='module')
def text(cfg: Config) -> str:
    """Its config, as a checkpoint holds it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('yapf.yapflib.yapf_api.FormatCode', FormatCode)
        return cfg.pretty_text


@pytest.fixture
def write(text: str, tmp_path: Path) -> Callable[..., str]:
    """Writer of a whole checkpoint; gives its path."""

    def write(cfg_text: str | None = None, **parts: Any) -> str:
        meta = dict(
            dataset_meta=dict(classes=('car',)), iter=1, epoch=0, cfg=cfg_text or text
        )
        history = HistoryBuffer([1.5, 2.5], [1, 1])
        content = dict(
            meta=meta,
            state_dict=dict(weight=torch.randn(3, 4)),
            message_hub=dict(
                log_scalars={'train/loss': history},
                runtime_info=dict(best=np.float32(0.25), cfg=text),
                resumed_keys={'train/loss': True},
            ),
        )
        content |= parts
        path = tmp_path / 'iter_1.pth'
        torch.save(content, path)
        return str(path)

    return write


def load(path: str) -> dict:
    """Load as mmengine does everywhere."""
    return CheckpointLoader.load_checkpoint(path, map_location='cpu')


@pytest.mark.slow
def test_what_a_training_writes_is_loaded_whole(write):
    path = write()
    safe, stock = load(path), torch.load(path, weights_only=False)
    assert stock['state_dict'].keys() == safe['state_dict'].keys()
    for key, value in stock['state_dict'].items():
        assert torch.equal(safe['state_dict'][key], value)
    assert safe['meta'] == stock['meta']
    hub = safe['message_hub']
    assert hub['runtime_info'] == stock['message_hub']['runtime_info']
    history = hub['log_scalars']['train/loss']
    assert history.data[0].tolist() == [1.5, 2.5]
    assert history.statistics('mean') == 2.0


def into(part: str) -> Callable[[Callable, Evil], str]:
    """Hide it in a part of the checkpoint."""
    return lambda write, evil: write(**{part: evil})


def into_history(write: Callable, evil: Evil) -> str:
    """Hide it in a history of logged values."""
    history = HistoryBuffer([1.0], [1])
    history.note = evil
    return write(
        message_hub=dict(log_scalars={'a': history}, runtime_info={}, resumed_keys={})
    )


def into_array(write: Callable, evil: Evil) -> str:
    """Hide it in an array of objects."""
    return write(optimizer=np.array([evil, None], dtype=object))


@pytest.mark.parametrize(
    'hide',
    [
        into('state_dict'),
        into('meta'),
        into('optimizer'),
        into('anything'),
        into_history,
        into_array,
    ],
)
def test_a_malicious_pickle_does_not_run(write, tmp_path, hide):
    mark = tmp_path / 'was here'
    path = hide(write, Evil(mark))
    with pytest.raises(
        UnsafeCheckpointError,
        match=(
            r'iter_1.pth was not loaded: .* could run code \((posix.mkdir|Can '
            rf'only build .*ObjectDType.*)\).*set {TRUST}=1'
        ),
    ):
        load(path)
    assert not mark.exists()
    # It would have run.
    torch.load(path, weights_only=False)
    assert mark.is_dir()


@pytest.mark.parametrize(
    'way', ['load_from', 'resume', 'init_detector', 'export', 'predict']
)
def test_wherever_it_is_loaded(write, cfg, tiny_cfg, tmp_path, way):
    path = write(anything=Evil(tmp_path / 'was here'))
    tiny = Config(dict(model=tiny_cfg))
    runner = Runner.__new__(Runner)
    ways = dict(
        load_from=lambda: runner.load_checkpoint(path),
        resume=lambda: runner.resume(path),
        init_detector=lambda: init_detector(tiny, path, device='cpu'),
        export=lambda: export(cfg, path, tmp_path / 'out'),
        predict=lambda: checkpoint_config(path),
    )
    with pytest.raises(UnsafeCheckpointError, match='iter_1.pth was not'):
        ways[way]()
    assert not (tmp_path / 'was here').exists()
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('owner', [HistoryBuffer, OneCycleParamScheduler])
def test_getattr_reaches_no_further_than_what_is_named(write, owner):
    class Reach:
        def __reduce__(self) -> tuple:
            return getattr, (owner, '__init__')

    with pytest.raises(UnsafeCheckpointError, match=r'builtins.getattr'):
        load(write(anything=Reach()))


def test_what_is_no_checkpoint(tmp_path):
    (tmp_path / 'a.pth').write_bytes(b'no pickle at all')
    with pytest.raises(UnsafeCheckpointError, match='it is no checkpoint, or'):
        load(str(tmp_path / 'a.pth'))


@pytest.mark.parametrize(
    'change',
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:60_000],
        lambda _: b'',
        lambda _: b'hello world text',
        lambda _: b'.',
    ],
)
def test_what_is_torn_or_something_else(write, change):
    path = Path(write(state_dict=dict(weight=torch.zeros(200, 200))))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UnsafeCheckpointError, match='iter_1.pth is no intact'):
        load(str(path))


@pytest.mark.parametrize('content', [[1, 2], torch.zeros(2)])
def test_what_holds_no_parts(tmp_path, content):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(UnsafeCheckpointError, match='a.pth is no intact chec'):
        load(str(tmp_path / 'a.pth'))


def test_other_errors_stay_as_they_are(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        load(str(tmp_path / 'a.pth'))

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError('CUDA error: out of memory')

    monkeypatch.setattr(CheckpointLoader.load_checkpoint, 'load', fail)
    with pytest.raises(RuntimeError, match='out of memory'):
        load(str(tmp_path / 'a.pth'))


def test_whom_one_trusts_one_may_load(write, tmp_path, monkeypatch):
    path = write(anything=Evil(tmp_path / 'was here'))
    monkeypatch.setenv(TRUST, '1')
    load(path)
    assert (tmp_path / 'was here').is_dir()


def test_the_environment_stays_as_it_was(write, monkeypatch):
    load(write())
    assert FORCE not in os.environ
    monkeypatch.setenv(FORCE, 'yes')
    load(write())
    assert os.environ[FORCE] == 'yes'


def test_a_config_for_resume_is_never_run(write, tmp_path):
    # Runner.resume runs meta['config'], which no training of ours writes.
    path = write(meta=dict(config='import os; os.mkdir("was here")', iter=3))
    assert load(path)['meta'] == dict(iter=3)


# --- The config in it --------------------------------------------------------


def test_config_of_a_checkpoint_is_that_of_its_training(write, cfg):
    found = checkpoint_config(write())
    assert found.model == cfg.model
    assert found.test_dataloader == cfg.test_dataloader


@pytest.mark.slow
def test_config_as_mmengine_writes_what_is_no_name(yapf, write, cfg):
    custom_keys = {'backbone.layer1': dict(lr_mult=0.1)}
    cfg = Config(cfg.to_dict())
    cfg.optim_wrapper.paramwise_cfg = dict(custom_keys=custom_keys)
    cfg.optim_wrapper.clip_grad = dict(max_norm=float('inf'))
    cfg.model.backbone.custom_keys = custom_keys
    assert "dict({'backbone.layer1'" in cfg.pretty_text
    assert 'max_norm=inf' in cfg.pretty_text
    found = checkpoint_config(write(cfg.pretty_text))
    assert found.model == cfg.model


@pytest.mark.parametrize('name', ['ifan_mini-city', 'ifan_vgg16_city2foggy'])
def test_config_that_was_exported_needs_no_file_beside_it(write, name, monkeypatch):
    """What is called plain_vgg or plain_timm elsewhere is not looked at."""
    cfg = Config.fromfile(config_path(f'{name}.py'))
    plain = plain_config(cfg)
    (file,) = plain.custom_imports.imports
    monkeypatch.setitem(sys.modules, file, None)
    found = checkpoint_config(write(plain.pretty_text))
    backbone = cfg.model.backbone
    assert found.model.backbone.type == backbone.type
    assert found.model.backbone.get('norm_cfg') == backbone.get('norm_cfg')


def test_config_without_a_part(write, text):
    for new in ('_loader = ', 'test_dataloader = None\n_loader = '):
        path = write(text.replace('\ntest_dataloader = ', f'\n{new}'))
        with pytest.raises(
            DataError, match=('The config in .*iter_1.pth has no test_dataloader: give')
        ):
            checkpoint_config(path)


@pytest.mark.parametrize(
    ('old', 'new', 'reason'),
    [
        (
            'default_scope = ',
            'import os\ndefault_scope = ',
            r'line \d+ is not an assignment',
        ),
        (
            "default_scope = 'mmdet'",
            'default_scope = str(open("MARK", "w"))',
            'malformed node',
        ),
        (
            "default_scope = 'mmdet'",
            'default_scope = dict(open("MARK", "w"))',
            'malformed node',
        ),
        (
            "default_scope = 'mmdet'",
            'default_scope = dict({"a": 1}, b=open("MARK", "w"))',
            'malformed node',
        ),
        ("type='IFANDetector'", "type='os.mkdir'", "'os.mkdir' is no reg"),
        ("type='IFANDetector'", "type='antigravity'", "'antigravity' is no r"),
        ("'mmdet_ifan',", "'mmdet_ifan', 'antigravity',", "imports 'antigravity'"),
        (
            "nms=dict(iou_threshold=0.5, type='nms')",
            'nms=dict(type=\'open("MARK", "w")\')',
            'is no registered class',
        ),
        ('default_scope = ', '= ', 'invalid syntax'),
    ],
)
def test_config_that_is_more_than_values(write, text, tmp_path, old, new, reason):
    assert text.count(old) >= 1
    mark = tmp_path / 'mark'
    path = write(text.replace(old, new.replace('MARK', str(mark)), 1))
    with pytest.raises(DataError, match=f'iter_1.pth is not used .*{reason}'):
        checkpoint_config(path)
    assert not mark.exists()
    assert 'antigravity' not in sys.modules


def test_checkpoint_without_a_config(write):
    with pytest.raises(DataError, match='holds no config: give a config of your own'):
        checkpoint_config(write(meta={}))


@pytest.mark.slow
def test_predict_refuses_it(write, tmp_path):
    path = write(anything=Evil(tmp_path / 'was here'))
    result = run_tool(
        'predict.py', tmp_path, '--weights', path, '--out', 'out', cwd=tmp_path
    )
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(f'error: {path} was not loaded: ')
    assert not (tmp_path / 'was here').exists()
