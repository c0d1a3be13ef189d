"""A run without a part that it needs, or whose config has lost something."""

import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from mmdet.evaluation import MultiDatasetsEvaluator
from mmdet.models import DetDataPreprocessor
from mmdet.registry import HOOKS, MODELS
from mmengine.config import Config, ConfigDict
from mmengine.evaluator import Evaluator
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from mmengine.visualization import LocalVisBackend
from torch import nn
from torch.utils.data import DataLoader

from mmdet_ifan.datasets import (
    DomainTestDataset,
    PairedDomainDataset,
    PairedDomainSampler,
)
from mmdet_ifan.engine import (
    FiniteCheckHook,
    LateLaunchHook,
    PreflightHook,
    TeacherHook,
)
from mmdet_ifan.engine.checks.config import check_config, check_folder
from mmdet_ifan.engine.checks.run import (
    check_epoch,
    check_evaluator,
    check_launches,
    check_preprocessor,
    run_warnings,
)
from mmdet_ifan.engine.schedule.epochs import (
    counts_epochs,
    end_with_the_epoch,
    length_of,
)
from mmdet_ifan.evaluation import DomainMetric
from mmdet_ifan.utils.errors import DataError

EPOCHS = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=3)


@pytest.fixture
def cfg(configs: Path) -> Config:
    """A config of which nothing is lost."""
    return Config.fromfile(configs / 'ifan/ifan_mini-city.py')


def merge(cfg: Config, **settings: Any) -> Config:
    """Let a config inherit from another."""
    merged = Config._merge_a_into_b(settings, cfg._cfg_dict)
    return Config(merged)


@pytest.fixture
def runner(cfg: Config) -> Mock:
    """A run with all that our base config has."""
    runner = Mock(cfg=cfg, val_loop=None, _resume=False)
    runner.hooks = [
        HOOKS.build(hook)
        for name, hook in cfg.default_hooks.items()
        if name != 'visualization'
    ]
    runner.visualizer = SimpleNamespace(
        _vis_backends=dict(local=Mock(spec=LocalVisBackend))
    )
    runner.train_dataloader = DataLoader([0, 1, 2, 3, 4], batch_size=2)
    runner.train_loop = Mock(
        spec=IterBasedTrainLoop, max_iters=2000, dataloader=runner.train_dataloader
    )
    return runner


def count_epochs(runner: Mock, number: int) -> None:
    """Let a run count epochs."""
    runner.train_loop = Mock(
        spec=EpochBasedTrainLoop, max_epochs=number, dataloader=runner.train_dataloader
    )


# Before anything is built


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (
            dict(custom_hooks={'0': dict(launch=dict(image=3))}),
            'custom_hooks must be a list.*default_hooks.late_launch.launch',
        ),
        (dict(train_cfg=None), 'has no train_cfg, so it trains nothing'),
        (
            dict(train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=3)),
            'counts epochs, but has max_iters.*_delete_=True',
        ),
        (dict(train_cfg=dict(max_epochs=3)), 'counts iterations, but has max_epochs'),
        (
            dict(train_dataloader=dict(_delete_=True, batch_size=1)),
            "no sampler: add sampler=dict.type='PairedDomainSampler'",
        ),
        (
            dict(train_dataloader=dict(num_workers=0)),
            'train_dataloader.persistent_workers is True, but there are no workers',
        ),
        (
            dict(val_dataloader=dict(num_workers=0)),
            'raise val_dataloader.num_workers, or set persistent_workers=False',
        ),
        (
            dict(
                train_dataloader=dict(
                    num_workers=0, persistent_workers=False, prefetch_factor=4
                )
            ),
            'prefetch_factor is 4, .* set prefetch_factor=None',
        ),
        (
            dict(
                train_dataloader=dict(
                    batch_sampler=dict(type='AspectRatioBatchSampler')
                )
            ),
            'batch_sampler is AspectRatioBatchSampler, which sorts single images',
        ),
        (
            dict(optim_wrapper=dict(optimizer=dict(type='AdamWW'))),
            "optimizer.type is 'AdamWW', which is not a known",
        ),
    ],
)
def test_settings_that_contradict_each_other(cfg, settings, sentence):
    check_config(cfg)
    with pytest.raises(ValueError, match=sentence):
        check_config(merge(cfg, **settings))


def test_epochs_are_told_from_iterations(cfg):
    assert not counts_epochs(cfg.train_cfg)
    assert counts_epochs(EPOCHS)
    assert counts_epochs(dict(type=EpochBasedTrainLoop, max_epochs=3))
    assert counts_epochs(dict(by_epoch=True, max_epochs=3))
    assert not counts_epochs(dict(by_epoch=False, max_iters=3))


@pytest.mark.parametrize(('drop_last', 'length'), [(False, 9), (True, 6)])
def test_length_of_a_run(cfg, drop_last, length):
    assert length_of(cfg, 9) == (cfg.train_cfg.max_iters, 1)
    cfg = merge(
        cfg, train_cfg=EPOCHS, train_dataloader=dict(batch_size=4, drop_last=drop_last)
    )
    assert length_of(cfg, 9) == (length, 3)


def test_a_folder_that_can_be_written(tmp_path):
    assert check_folder(str(tmp_path / 'a/b')) == tmp_path
    assert not list(tmp_path.iterdir())


def test_a_folder_in_a_file(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match='file is not a folder. Choose ano'):
        check_folder(str(tmp_path / 'file/b'))


def test_a_link_to_nothing(tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path / 'gone')
    with pytest.raises(DataError, match='link is not a folder'):
        check_folder(str(tmp_path / 'link'))


@pytest.mark.skipif(not os.access('/proc', os.R_OK), reason='needs /proc')
def test_a_folder_that_cannot_be_written():
    with pytest.raises(DataError, match='/proc/work cannot be written'):
        check_folder('/proc/work')


# With all parts built


def test_alignments_that_nothing_launches():
    model = Mock(all_alignments=dict(image=0, instance=1))
    check_launches(model, [LateLaunchHook({})])
    check_launches(Mock(all_alignments={}), [])
    check_launches(nn.Linear(1, 1), [])
    with pytest.raises(
        ValueError,
        match='image, instance, but no LateLaunch'
        r'Hook .* launch=dict\(image=0, instance=0\)',
    ):
        check_launches(model, [EMAHook()])


def test_a_preprocessor_of_one_domain(tiny_cfg):
    check_preprocessor(MODELS.build(tiny_cfg))
    tiny_cfg.data_preprocessor = dict(type='DetDataPreprocessor')
    model = MODELS.build(tiny_cfg)
    assert isinstance(model.data_preprocessor, DetDataPreprocessor)
    with pytest.raises(ValueError, match='must be a MultiBranchDataPre'):
        check_preprocessor(model)


@pytest.mark.parametrize(
    ('prefixes', 'metrics'),
    [(['target', 'source'], 2), (['source'], 1), (['source', 'target'], 1)],
)
def test_a_domain_under_the_wrong_name(prefixes, metrics):
    dataset = Mock(spec=DomainTestDataset)
    check_evaluator(
        MultiDatasetsEvaluator([DomainMetric(), DomainMetric()], ['source', 'target']),
        dataset,
    )
    evaluator = MultiDatasetsEvaluator(
        [DomainMetric() for _ in range(metrics)], prefixes
    )
    with pytest.raises(ValueError, match=f'but has {metrics} and '):
        check_evaluator(evaluator, dataset)


def test_an_evaluator_of_one_data_set():
    evaluator = Evaluator([DomainMetric()])
    check_evaluator(evaluator, [])
    with pytest.raises(ValueError, match='images of both domains as one'):
        check_evaluator(evaluator, Mock(spec=DomainTestDataset))


def test_an_epoch_without_an_iteration(runner):
    loader = DataLoader([0, 1], batch_size=3, drop_last=True)
    check_epoch(Mock(spec=IterBasedTrainLoop, dataloader=loader))
    with pytest.raises(ValueError, match='2 source images has no batch of 3'):
        check_epoch(Mock(spec=EpochBasedTrainLoop, dataloader=loader))


def warnings(runner: Mock) -> list[str]:
    """Warnings of a run."""
    return list(
        run_warnings(runner.cfg, runner.hooks, runner.train_loop, runner.visualizer)
    )


def test_nothing_to_warn_of(runner):
    assert warnings(runner) == []


def warning(runner: Mock) -> str:
    """The only one."""
    (text,) = warnings(runner)
    return text


def test_default_hooks_that_are_lost(runner):
    kept = ('logger', 'checkpoint', 'late_launch')
    runner.hooks = [HOOKS.build(runner.cfg.default_hooks[name]) for name in kept]
    text = warning(runner)
    for name in ('FiniteCheckHook', 'UnreadableImagesHook'):
        assert name in text
    assert 'ResumableCheckpointHook' not in text


@pytest.mark.parametrize(
    ('settings', 'by_epoch', 'sentence'),
    [
        (
            dict(by_epoch=True, interval=1),
            False,
            'counts epochs, but train_cfg '
            'iterations: the only checkpoint is that of the end',
        ),
        (
            dict(by_epoch=False, interval=2001),
            False,
            'interval of .* is 2001 and the run has 2000 iterations',
        ),
        (dict(by_epoch=True, interval=4), True, 'is 4 and the run has 3 epochs'),
    ],
)
def test_checkpoints_in_the_wrong_unit(runner, settings, by_epoch, sentence):
    (hook,) = (h for h in runner.hooks if isinstance(h, CheckpointHook))
    hook.by_epoch, hook.interval = settings['by_epoch'], settings['interval']
    if by_epoch:
        count_epochs(runner, 3)
    assert re.search(sentence, warning(runner))


def test_an_average_that_is_longer_than_the_run(runner):
    runner.hooks.append(TeacherHook(momentum=0.0004))
    # 0.9996 ** 2000 = 0.449
    assert 'averages over 2500 iterations, and the run has 2000: 45%' in warning(runner)
    runner.hooks[-1] = TeacherHook(momentum=0.0016)
    assert warnings(runner) == []


def test_mmengines_checkpoints_inside_an_epoch(runner):
    count_epochs(runner, 3)
    hook = CheckpointHook(interval=1, by_epoch=False)
    runner.hooks.append(hook)
    # Ours follows the run.
    assert 'resumed inside an epoch begins it again' in warning(runner)


def test_settings_that_are_not_used(runner):
    runner.cfg.data_preprocessor = dict(type='DetDataPreprocessor')
    assert 'set model.data_preprocessor.data_prep' in warning(runner)
    runner.cfg.data_preprocessor = None
    runner.cfg.vis_backends = [dict(type='TensorboardVisBackend')]
    assert (
        'vis_backends of the config (TensorboardVisBackend) is not used, '
        'but that of visualizer (LocalVisBackend)'
    ) in warning(runner)
    runner.cfg.visualizer.vis_backends += runner.cfg.vis_backends
    assert warnings(runner) == []


def test_scalars_that_nobody_writes(runner):
    runner.visualizer._vis_backends = {}
    assert 'no LocalVisBackend, which writes scalars.json' in warning(runner)


# The hook


@pytest.fixture
def detector(tiny_cfg: ConfigDict) -> nn.Module:
    """A detector of three classes, with all alignments."""
    return MODELS.build(tiny_cfg)


def said(runner: Mock) -> list[str]:
    """Warnings of the hook before training."""
    PreflightHook().before_train(runner)
    return [call.args[0] for call in runner.logger.warning.call_args_list]


def test_the_hook_makes_every_check(runner, detector):
    """One part after the other is made wrong and right again."""
    runner.model = detector
    assert said(runner) == []
    launching = runner.hooks
    runner.hooks = [h for h in launching if not isinstance(h, LateLaunchHook)]
    with pytest.raises(ValueError, match='no LateLaunchHook'):
        said(runner)
    runner.hooks = launching
    preprocessor = detector.data_preprocessor
    detector.data_preprocessor = DetDataPreprocessor()
    with pytest.raises(ValueError, match='must be a MultiBranchDataPre'):
        said(runner)
    detector.data_preprocessor = preprocessor
    runner.hooks = [*launching, TeacherHook(), EMAHook()]
    with pytest.raises(ValueError, match='both average the weights'):
        said(runner)
    runner.hooks = launching
    runner.train_loop = Mock(spec=EpochBasedTrainLoop, dataloader=DataLoader([]))
    with pytest.raises(ValueError, match='has no batch'):
        said(runner)
    runner.train_loop = Mock(
        spec=IterBasedTrainLoop, max_iters=2000, dataloader=runner.train_dataloader
    )
    # A data set that validates, and one that trains.
    runner.val_loop = Mock(evaluator=Evaluator([DomainMetric()]))
    test = runner.val_dataloader.dataset = Mock(
        spec=DomainTestDataset, metainfo=dict(classes='abcd')
    )
    with pytest.raises(ValueError, match='both domains as one'):
        said(runner)
    test = runner.val_dataloader.dataset = SimpleNamespace(
        metainfo=dict(classes='abcd')
    )
    with pytest.raises(ValueError, match='have 4 classes'):
        said(runner)
    test.metainfo = dict(classes='abc')
    assert said(runner) == []
    detector.roi_head.bbox_head.fc_cls = nn.Linear(1, 1)
    with pytest.raises(ValueError, match='model.roi_head does not fit'):
        said(runner)


def test_the_hook_compares_the_data(runner, detector, monkeypatch):
    runner.model, runner.val_loop = detector, Mock()
    train = Mock(
        spec=PairedDomainDataset,
        metainfo=dict(classes='abcd'),
        source='trained',
        target='unlabelled',
    )
    runner.train_dataloader.__dict__['dataset'] = train
    module = 'mmdet_ifan.engine.checks.preflight_hook.check_'
    viewed: list[str] = []
    monkeypatch.setattr(f'{module}views', viewed.append)
    with pytest.raises(ValueError, match='have 4 classes'):
        said(runner)
    train.metainfo = dict(classes='abc')
    test = runner.val_dataloader.dataset = Mock(
        spec=DomainTestDataset, datasets=['source', 'target']
    )
    monkeypatch.setattr(f'{module}evaluator', lambda *_: None)
    monkeypatch.setattr(f'{module}pair', lambda *pair: [f'{pair == (train, test)}'])
    seen = []
    monkeypatch.setattr(
        f'{module}image_sizes', lambda model, dataset: seen.append((model, dataset))
    )
    assert said(runner) == ['True']
    assert viewed == ['trained', 'unlabelled']
    assert seen == [(detector, dataset) for dataset in (*viewed, 'source', 'target')]


def test_several_optimizers_keep_the_settings_of_a_checkpoint(runner, detector):
    runner.model, runner._load_from, runner._resume = detector, None, True
    runner._train_loop = runner.train_loop
    runner.optim_wrapper = Mock(spec=OptimWrapperDict)
    runner.iter, runner.max_iters = 2000, 2000
    hook = PreflightHook()
    hook.before_run(runner)
    hook.before_train(runner)
    several, nothing = (call.args[0] for call in runner.logger.warning.call_args_list)
    assert 'several optimizers, the settings of the checkpoint' in several
    assert 'Nothing is left to train' in nothing


def test_the_hook_warns(runner, detector):
    runner.model = detector
    runner.hooks = [h for h in runner.hooks if not isinstance(h, FiniteCheckHook)]
    (text,) = said(runner)
    assert 'FiniteCheckHook' in text


def test_the_hook_looks_for_weights_in_training_alone(runner):
    runner.model = nn.Module()
    runner.model.init_cfg = dict(type='Pretrained', checkpoint='no/such.pth')
    runner._load_from, runner._resume = 'nor/this.pth', False
    runner._train_loop = dict(type='IterBasedTrainLoop')
    PreflightHook().before_run(runner)
    runner._train_loop = Mock(spec=IterBasedTrainLoop)
    with pytest.raises(FileNotFoundError, match='model.init_cfg names no/suc'):
        PreflightHook().before_run(runner)
    runner.model.init_cfg = None
    with pytest.raises(FileNotFoundError, match='load_from names nor/this'):
        PreflightHook().before_run(runner)
    # Which checkpoint to resume is chosen later.
    runner.optim_wrapper.param_groups = runner.param_schedulers = []
    runner._resume = True
    PreflightHook().before_run(runner)


@pytest.mark.parametrize('loop', [IterBasedTrainLoop, EpochBasedTrainLoop])
def test_the_draw_ends_with_the_epoch_if_there_are_any(loop):
    sampler = Mock(spec=PairedDomainSampler)
    loader = SimpleNamespace(sampler=None, batch_sampler=Mock(sampler=sampler))
    end_with_the_epoch(Mock(train_loop=Mock(spec=loop), train_dataloader=loader))
    assert sampler.by_epoch == (loop is EpochBasedTrainLoop)


def test_every_config_has_it(configs):
    for path in configs.glob('*.py'):
        hooks = Config.fromfile(path).default_hooks
        assert hooks.preflight.type == 'PreflightHook'
