"""Configs anywhere can inherit from ours by name."""

from pathlib import Path

import pytest
from mmengine.config import Config
from processes import environment, run_script

from mmdet_ifan.utils.named_configs import config_path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ('models/ifan_mini', 'datasets/domain_pair', 'schedules/mini')
LEAF = f"""
_base_ = {[f'mmdet_ifan::_base_/{part}.py' for part in PARTS]}
train_cfg = dict(max_iters=7)
"""
#: Detects with a leaf; no data set is needed, nor its files.
DETECT = """
import mmdet_ifan.patch_mmengine
import numpy as np
from mmdet.apis import DetInferencer
from mmdet_ifan.utils.named_configs import config_path
detector = DetInferencer('leaf.py', device='cpu', show_progress=False)
image = np.zeros((64, 96, 3), np.uint8)
prediction, = detector(image, no_save_vis=True)['predictions']
print(config_path('ifan_mini-city.py'), *prediction)
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writer of a config in a new folder, which becomes the current one."""
    monkeypatch.chdir(tmp_path)

    def write_leaf(text: str) -> str:
        (tmp_path / 'leaf.py').write_text(text)
        return 'leaf.py'

    return write_leaf


@pytest.mark.parametrize(
    'name, path',
    [
        ('ifan_vgg16_city2foggy.py', 'ifan/ifan_vgg16_city2foggy.py'),
        ('_base_/ifan_r50-dc5_pair.py', '_base_/ifan_r50-dc5_pair.py'),
    ],
)
def test_inherits_one_base(write, configs, name, path):
    cfg = Config.fromfile(write(f"_base_ = 'mmdet_ifan::{name}'"))
    assert cfg.to_dict() == Config.fromfile(configs / path).to_dict()


def test_inherits_parts(write, configs):
    cfg = Config.fromfile(write(LEAF))
    parts = {}
    for part in PARTS:
        parts |= Config.fromfile(configs / f'_base_/{part}.py').to_dict()
    parts['train_cfg'] = dict(parts['train_cfg'], max_iters=7)
    assert cfg.to_dict() == parts
    assert '_scope_' not in cfg.pretty_text


def test_unknown_name(write):
    with pytest.raises(FileNotFoundError, match=r"mmdet_ifan has no config 'gone.py'"):
        Config.fromfile(write("_base_ = 'mmdet_ifan::gone.py'"))


def test_other_packages_are_left_to_mmengine(write):
    cfg = Config.fromfile(write("_base_ = 'mmdet::_base_/schedules/schedule_1x.py'"))
    assert cfg.train_cfg.max_epochs == 12
    with pytest.raises(AssertionError, match='does not support to load other'):
        Config.fromfile(write("_base_ = 'other::a/b.py'"))


def test_checkout(write):
    assert config_path('ifan_mini-city.py') == str(
        ROOT / 'configs/ifan/ifan_mini-city.py'
    )


@pytest.mark.slow
def test_wheel(write, wheel):
    write("_base_ = 'mmdet_ifan::ifan_mini-city.py'")
    result = run_script(DETECT, cwd='.', env=environment(wheel))
    path, *keys = result.stdout.split()[-4:]
    config = 'mmdet_ifan/.mim/configs/ifan/ifan_mini-city.py'
    assert path == str(wheel / config)
    assert set(keys) == {'bboxes', 'labels', 'scores'}, result.stderr
