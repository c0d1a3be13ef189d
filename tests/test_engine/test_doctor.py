"""What the doctor finds, and that it finds nothing where all is well."""
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from mmdet_ifan.datasets.mini_city import MiniCity, write_mini_city
from mmdet_ifan.datasets.preparation import Options
from mmdet_ifan.datasets.preparation.cityscapes import prepare_cityscapes
from mmdet_ifan.engine.doctor import Doctor, Finding

ROOT = Path(__file__).resolve().parents[2]
EXAMINATIONS = ['environment', 'model', 'start', 'launches', 'schedule',
                'disk', 'training data', 'test data', 'one step']


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few scenes."""
    root = tmp_path_factory.mktemp('doctor') / 'mini_city'
    write_mini_city(root, MiniCity(train=6, val=2), 1)
    prepare_cityscapes(root, Options(workers=1))
    return root


@pytest.fixture
def cfg(data: Path, tmp_path: Path) -> Config:
    """A config with nothing wrong."""
    cfg = Config.fromfile(ROOT / 'configs/ifan_mini-city.py')
    cfg.merge_from_dict({
        'load_from': None,
        'work_dir': str(tmp_path / 'work'),
        'train_dataloader.batch_size': 1,
        **{
            f'{loader}.dataset.{domain}.data_root': str(data)
            for loader in ('train_dataloader', 'val_dataloader')
            for domain in ('source', 'target')
        }
    })
    return cfg


def findings(cfg: Config) -> dict[str, Finding]:
    """Examine a config; the findings by name, in order."""
    found = {finding.name: finding for finding in Doctor(cfg).examine()}
    assert list(found) == EXAMINATIONS
    return found


def test_a_healthy_config(cfg, tmp_path):
    found = findings(cfg)
    assert all(finding.ok for finding in found.values()), found
    assert 'image, instance, correlation' in found['model'].text
    assert 'instance at 400' in found['launches'].text
    assert '6 target images' in found['training data'].text
    # Nothing is written.
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('option', 'value', 'name', 'sentence'), [
    ('custom_hooks.0.launch.instance', 2000, 'launches',
     'instance at iteration 2000, but the run has only 2000'),
    ('custom_hooks.0.launch.agnostic', 0, 'launches',
     'launches agnostic, but the model has'),
    ('param_scheduler.0.by_epoch', True, 'schedule', 'never takes a step'),
    ('param_scheduler.1.end', 3000, 'schedule', 'ends at 3000 iterations'),
    ('model.neck.taps', [0, 0], 'model', 'each at most once'),
    ('model.backbone.out_indices', (2, 3), 'model', 'gives 2'),
    ('model.roi_head.bbox_head.num_classes', 3, 'training data',
     'have 8 classes, but num_classes of the box head is 3'),
    ('load_from', 'absent.pth', 'start', 'absent.pth, which does not exist'),
    ('train_dataloader.dataset.source.ann_file', 'absent.json',
     'training data', 'absent.json does not exist'),
    ('val_dataloader.dataset.target.ann_file', 'absent.json', 'test data',
     'absent.json does not exist'),
    ('model.data_preprocessor.data_preprocessor.std', [0., 0., 0.],
     'one step', 'not finite on the first batch'),
])
def test_what_is_wrong_is_named(cfg, option, value, name, sentence):
    cfg.merge_from_dict({option: value})
    found = findings(cfg)
    assert found[name].ok is False
    assert sentence in found[name].text
    assert [f.name for f in found.values() if f.ok is False] == [name]
    # What builds on it is not examined.
    if name in ('model', 'training data'):
        assert found['one step'].ok is None


@pytest.mark.parametrize('content', [
    lambda whole: whole[:len(whole) // 2],
    lambda whole: b'',
    lambda whole: b'Log in to download this.\n',
])
def test_weights_that_cannot_be_loaded(cfg, tmp_path, content):
    path = tmp_path / 'start.pth'
    weights = {f'w{i}': torch.zeros(100, 50) for i in range(5)}
    torch.save(dict(state_dict=weights), path)
    cfg.load_from = str(path)
    assert Doctor(cfg).start() == f'from {path}.'
    path.write_bytes(content(path.read_bytes()))
    found = findings(cfg)
    assert [f.name for f in found.values() if f.ok is False] == ['start']
    assert str(path) in found['start'].text
    assert 'checkpoint' in found['start'].text


def test_weights_of_other_classes(cfg, tmp_path):
    path = tmp_path / 'start.pth'
    classes = list(cfg.train_dataloader.dataset.source.metainfo.classes)
    state = MODELS.build(cfg.model).state_dict()
    cfg.load_from = str(path)
    for names, ok, text in ((classes, True, f'from {path}.'),
                            (classes[::-1], False, 'in another order'),
                            (list('abcdefgh'), True, 'other classes')):
        torch.save(
            dict(
                meta=dict(dataset_meta=dict(classes=names)),
                state_dict=state), path)
        found = findings(cfg)['start']
        assert found.ok is ok
        assert text in found.text


def test_a_target_without_labels(cfg):
    for name in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'val_{name}'] = cfg[f'test_{name}'] = None
    found = findings(cfg)
    assert all(finding.ok for finding in found.values()), found
    assert 'nothing is measured' in found['test data'].text


def test_a_full_disk(cfg, monkeypatch):
    monkeypatch.setattr(shutil, 'disk_usage',
                        lambda path: SimpleNamespace(free=10**6))
    found = findings(cfg)
    assert found['disk'].ok is False and 'make room' in found['disk'].text


def test_command(tmp_path):
    result = subprocess.run(
        [sys.executable, ROOT / 'tools/doctor.py',
         ROOT / 'configs/ifan_mini-city.py'],
        cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    assert 'WRONG start: ' in result.stdout
    assert 'WRONG training data: ' in result.stdout
    assert '-     one step: not examined' in result.stdout
    assert result.stdout.rstrip().endswith('2 wrong.')
    assert not list(tmp_path.iterdir())
