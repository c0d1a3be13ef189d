"""Findings of the doctor; none where all is well."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from leaves import load
from mmdet.registry import MODELS
from mmengine.config import Config
from processes import run_tool

from mmdet_ifan.engine.checks.doctor import Doctor, Finding
from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes

ROOT = Path(__file__).resolve().parents[2]
EXAMINATIONS = [
    'environment',
    'config',
    'model',
    'start',
    'training data',
    'test data',
    'launches',
    'schedule',
    'disk',
    'run',
    'one step',
    'launch weights',
]
EPOCHS = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=1)


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
    cfg = Config.fromfile(ROOT / 'configs/ifan/ifan_mini-city.py')
    cfg.merge_from_dict(
        {
            'train_cfg.max_iters': 2000,
            'default_hooks.late_launch.launch': dict(
                image=0, instance=400, correlation=1400
            ),
            'work_dir': str(tmp_path / 'work'),
            'train_dataloader.batch_size': 1,
            'train_dataloader.num_workers': 1,
            **{
                f'{loader}.dataset.{domain}.data_root': str(data)
                for loader in ('train_dataloader', 'val_dataloader')
                for domain in ('source', 'target')
            },
        }
    )
    return cfg


def findings(cfg: Config) -> dict[str, Finding]:
    """Examine a config; the findings by name, in order."""
    found = {finding.name: finding for finding in Doctor(cfg).examine()}
    assert list(found) == EXAMINATIONS
    return found


def finding(cfg: Config, name: str) -> Finding:
    """Examine a config up to the finding of a name."""
    return next(f for f in Doctor(cfg).examine() if f.name == name)


def test_a_healthy_config(cfg, tmp_path):
    found = findings(cfg)
    assert all(finding.ok for finding in found.values()), found
    assert 'image, instance, correlation' in found['model'].text
    assert 'instance at 400' in found['launches'].text
    assert '6 target images' in found['training data'].text
    assert 'OptimWrapper, LinearLR, CosineAnnealingLR, ' in found['run'].text
    assert '1 workers gave the first batch' in found['run'].text
    assert not any(finding.warnings for finding in found.values())
    # Nothing is written.
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ('option', 'value', 'name', 'sentence'),
    [
        (
            'default_hooks.late_launch.launch.instance',
            2000,
            'launches',
            'instance at iteration 2000, but the run has only 2000',
        ),
        (
            'default_hooks.late_launch.launch.agnostic',
            0,
            'launches',
            'launches agnostic, but the model has',
        ),
        ('param_scheduler.0.by_epoch', True, 'schedule', 'never takes a step'),
        ('param_scheduler.1.end', 3000, 'schedule', 'ends at 3000 iterations'),
        (
            'default_hooks.late_launch.by_epoch',
            True,
            'launches',
            'counts epochs (by_epoch=True), but the run counts iterations',
        ),
        (
            'default_hooks',
            dict(_delete_=True),
            'launches',
            'but no LateLaunchHook launches them',
        ),
        ('train_cfg.max_epochs', 3, 'config', 'iterations, but has max_epochs'),
        (
            'train_dataloader.num_workers',
            0,
            'config',
            'persistent_workers is True, but there are no workers',
        ),
        ('train_dataloader.batch_sampler', dict(type='NoSampler'), 'run', 'NoSampler'),
        ('train_dataloader.drop_lost', True, 'run', 'drop_lost'),
        ('visualizer.vis_backends', [dict(type='NoVisBackend')], 'run', 'NoVisBackend'),
        ('val_evaluator.metrics', [dict(type='NoMetric')], 'run', 'NoMetric'),
        (
            'val_evaluator.dataset_prefixes',
            ['target', 'source'],
            'run',
            'the first for source',
        ),
        ('param_scheduler', [dict(type='NoLR', by_epoch=False)], 'run', 'NoLR'),
        ('custom_hooks', [dict(type='NoHook')], 'run', 'NoHook'),
        (
            'model.neck.loss_weight',
            100.0,
            'launch weights',
            'image would dominate the detector',
        ),
        (
            'model.neck.grl_weight',
            1000.0,
            'launch weights',
            'image would dominate the detector',
        ),
        (
            'model.backbone.init_cfg',
            dict(type='Pretrained', checkpoint='absent.pth'),
            'start',
            'model.backbone.init_cfg names absent.pth, which does not exist',
        ),
        (
            'train_dataloader.dataset',
            dict(_delete_=True, type='BaseDetDataset', lazy_init=True),
            'training data',
            'must be a PairedDomainDataset',
        ),
        ('model.neck.taps', [0, 0], 'model', 'each at most once'),
        ('model.backbone.taps', ('blocks.3', 'blocks.4'), 'model', 'gives 2'),
        (
            'model.roi_head.bbox_head.num_classes',
            3,
            'training data',
            '8 classes, but num_classes of model.roi_head.bbox_head is 3',
        ),
        ('load_from', 'absent.pth', 'start', 'absent.pth, which does not exist'),
        (
            'train_dataloader.dataset.source.ann_file',
            'absent.json',
            'training data',
            'absent.json does not exist',
        ),
        (
            'val_dataloader.dataset.target.ann_file',
            'absent.json',
            'test data',
            'absent.json does not exist',
        ),
        (
            'model.data_preprocessor.data_preprocessor.std',
            [0.0, 0.0, 0.0],
            'one step',
            'not finite on the first batch',
        ),
    ],
)
def test_what_is_wrong_is_named(cfg, option, value, name, sentence):
    cfg.merge_from_dict({option: value})
    found = findings(cfg)
    assert found[name].ok is False
    assert sentence in found[name].text
    assert [f.name for f in found.values() if f.ok is False] == [name]
    # What builds on it is not examined; weights may still come, and a step
    # does not depend on the schedule.
    assert found['one step'].ok is {
        'start': True,
        'schedule': True,
        'launch weights': True,
        'one step': False,
    }.get(name)


@pytest.mark.slow
@pytest.mark.parametrize(
    'content',
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: b'',
        lambda whole: b'Log in to download this.\n',
    ],
)
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
    for names, ok, text in (
        (classes, True, f'.pth, {path}.'),
        (classes[::-1], False, 'in another order'),
        (list('abcdefgh'), True, 'other classes'),
    ):
        torch.save(
            dict(meta=dict(dataset_meta=dict(classes=names)), state_dict=state), path
        )
        found = finding(cfg, 'start')
        assert found.ok is ok
        assert text in ' '.join([found.text, *found.warnings])


def test_weights_without_a_network(cfg, monkeypatch, tmp_path):
    """They are named, and everything else is examined all the same."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))

    def refuse(*_, **__):
        raise OSError('no network')

    monkeypatch.setattr('mmdet_ifan.engine.checks.weights.urlopen', refuse)
    cfg.load_from = 'https://example.com/start.pth'
    cfg.model.backbone.init_cfg = dict(
        type='Pretrained', checkpoint='https://example.com/trunk.pth'
    )
    found = findings(cfg)
    assert [f.name for f in found.values() if f.ok is False] == ['start']
    for name in ('start', 'trunk'):
        assert (
            f'{tmp_path}/hub/checkpoints/{name}.pth and cannot be '
            'downloaded (no network)'
        ) in found['start'].text
    assert found['one step'].ok


@pytest.mark.slow
def test_weights_on_the_disk_are_those_of_the_step(cfg, tmp_path):
    """The run that is tried starts from them, as training does."""
    model = MODELS.build(cfg.model)
    weights = {
        key: torch.zeros_like(value)
        for key, value in model.backbone.state_dict().items()
    }
    cfg.load_from = str(tmp_path / 'start.pth')
    torch.save(
        dict(state_dict={f'backbone.{k}': v for k, v in weights.items()}), cfg.load_from
    )
    doctor = Doctor(cfg)
    assert all(finding.ok for finding in doctor.examine())
    assert not any(p.any() for p in doctor.model.backbone.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(
    ('score_thr', 'launch', 'warned'),
    [
        (0.0, dict(teacher=0), False),
        (0.999, dict(teacher=0), True),
        # Until then the detector learns to find something.
        (0.999, dict(teacher=100), False),
        # A term that is never launched is not tried.
        (0.999, dict(), False),
    ],
)
def test_a_start_whose_teacher_finds_nothing(cfg, tmp_path, score_thr, launch, warned):
    taught = load('teacher_mini-city')
    cfg.merge_from_dict(
        {
            'load_from': str(tmp_path / 'start.pth'),
            'model.alignments': dict(
                _delete_=True,
                teacher=dict(type='TeacherDistillation', score_thr=score_thr),
            ),
            'default_hooks.teacher': taught.default_hooks.teacher,
            'default_hooks.late_launch.launch': dict(_delete_=True, **launch),
            'train_dataloader.dataset.target.pipeline': (
                taught.train_dataloader.dataset.target.pipeline
            ),
        }
    )
    detector = MODELS.build(cfg.model)
    torch.save(dict(state_dict=detector.state_dict()), tmp_path / 'start.pth')
    doctor = Doctor(cfg)
    (step,) = (f for f in doctor.examine() if f.name == 'one step')
    assert ('teacher/loss_category' in doctor.values) == bool(launch)
    blind = [text for text in step.warnings if 'The teacher of teacher is sure' in text]
    assert step.ok and bool(blind) == warned, step


def test_a_run_of_epochs(cfg):
    cfg.train_cfg, cfg.param_scheduler = EPOCHS, []
    cfg.merge_from_dict(
        {
            'default_hooks.late_launch': dict(
                by_epoch=True, launch=dict(instance=1, correlation=2)
            )
        }
    )
    found = findings(cfg)
    assert all(finding.ok for finding in found.values()), found
    assert (
        'correlation at epoch 2, of 3 epochs, 18 iterations' in found['launches'].text
    )
    (warning,) = found['run'].warnings
    assert 'a checkpoint is written after each epoch' in warning
    cfg.merge_from_dict({'default_hooks.late_launch.launch.correlation': 3})
    assert 'has only 3 epochs' in finding(cfg, 'launches').text


def test_a_hook_of_ones_own_beside_ours(cfg):
    cfg.custom_hooks = [
        dict(type='LateLaunchHook', launch=dict(image=0, instance=7)),
        dict(type='EMAHook'),
    ]
    text = finding(cfg, 'launches').text
    assert 'image at 0, instance at 7, of 2000 iterations' in text
    assert 'of 2 LateLaunchHooks the last counts' in text


def test_what_may_be_meant_is_warned_of(cfg):
    """Once, though the data sets are read again for the run."""
    source = cfg.train_dataloader.dataset.source
    source.metainfo = dict(classes=[*source.metainfo.classes, 'kiwi'])
    path = Path(source.data_root, source.ann_file)
    content = json.loads(path.read_text())
    content['categories'].append(dict(id=99, name='kiwi'))
    other = path.with_name('kiwi.json')
    other.write_text(json.dumps(content))
    source.ann_file = f'annotations/{other.name}'
    cfg.model.roi_head.bbox_head.num_classes = 9
    for domain in ('source', 'target'):
        test = cfg.val_dataloader.dataset[domain]
        test.metainfo, test.ann_file = source.metainfo, source.ann_file
    found = findings(cfg)
    assert all(finding.ok for finding in found.values()), found
    (text,) = found['training data'].warnings
    assert 'has no box of' in text and 'kiwi' in text
    for domain, text in zip(
        ('source', 'target'), found['test data'].warnings, strict=True
    ):
        assert f'test images of {domain} are trained on too' in text
    assert not found['run'].warnings


@pytest.mark.slow
def test_servers_are_not_told_of_the_trial(cfg, monkeypatch):
    cfg.visualizer.vis_backends.append(dict(type='WandbVisBackend'))
    monkeypatch.setattr(
        'mmdet_ifan.engine.checks.trial_run.find_spec', lambda package: None
    )
    found = findings(cfg)
    assert found['run'].ok is False
    assert '"pip install wandb" installs it' in found['run'].text
    # The package is not there, so to start the backend would be an error.
    monkeypatch.setattr(
        'mmdet_ifan.engine.checks.trial_run.find_spec',
        lambda package: package == 'wandb',
    )
    assert findings(cfg)['run'].ok


def test_a_target_without_labels(cfg):
    for name in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'val_{name}'] = cfg[f'test_{name}'] = None
    found = findings(cfg)
    assert all(finding.ok for finding in found.values()), found
    assert 'nothing is measured' in found['test data'].text


def test_a_full_disk(cfg, monkeypatch):
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: SimpleNamespace(free=10**6))
    found = finding(cfg, 'disk')
    assert found.ok is False and 'make room' in found.text


def test_command(tmp_path):
    result = run_tool(
        'doctor.py', ROOT / 'configs/ifan/ifan_mini-city.py', cwd=tmp_path
    )
    assert result.returncode == 1
    assert 'ok    start: from ' in result.stdout
    assert 'WRONG training data: ' in result.stdout
    assert '-     one step: not examined' in result.stdout
    assert result.stdout.rstrip().endswith('1 wrong.')
    assert not list(tmp_path.iterdir())
