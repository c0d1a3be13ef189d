"""The options of ``tools/train.py``."""

import os
import runpy
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper, build_optim_wrapper
from mmengine.runner import Runner
from torch import nn

from mmdet_ifan.engine import PreflightHook, checked_runner
from mmdet_ifan.utils.errors import DataError
from mmdet_ifan.utils.named_configs import config_path

ROOT = Path(__file__).resolve().parents[1]
#: What the config of every run imports.
OURS = ['mmdet_ifan', 'mmdet_ifan.patch_mmengine']


@pytest.fixture
def apply_options(monkeypatch) -> Callable[..., Config]:
    """Reader of a config with options of the command line."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    module = runpy.run_path(str(ROOT / 'tools/train.py'))

    def read(config: str, settings: dict, **options: bool) -> Config:
        cfg = Config.fromfile(config_path(f'{config}.py'))
        cfg.merge_from_dict(settings)
        module['apply_options'](
            cfg,
            Namespace(
                **{
                    **dict(
                        amp=False,
                        auto_scale_lr=False,
                        seed=None,
                        resume=None,
                        config=config,
                    ),
                    **options,
                }
            ),
        )
        return cfg

    return read


@pytest.mark.parametrize(
    ('note', 'files', 'expected'),
    [
        ('copy/iter_9.pth', ['copy/iter_9.pth', 'copy/iter_10.pth'], 'copy/iter_9.pth'),
        # A copy of a folder has its own.
        (
            'first/iter_9.pth',
            ['first/iter_9.pth', 'copy/iter_9.pth'],
            'copy/iter_9.pth',
        ),
        # The hook wrote them elsewhere.
        ('first/iter_9.pth', ['first/iter_9.pth'], 'first/iter_9.pth'),
        # Only the checkpoints were copied; nobody knows which is the last.
        (
            None,
            ['copy/iter_9.pth', 'copy/iter_10.pth', 'copy/iter_last.pth'],
            'copy/iter_10.pth',
        ),
        (None, ['copy/best_iter_9.pth'], None),
    ],
)
def test_latest_in_the_work_folder(apply_options, tmp_path, note, files, expected):
    (tmp_path / 'copy').mkdir()
    for age, name in enumerate(files):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (age, age))
    if note is not None:
        (tmp_path / 'copy/last_checkpoint').write_text(str(tmp_path / note))
    cfg = apply_options(
        'ifan_mini-city',
        dict(work_dir=str(tmp_path / 'copy'), load_from='warm.pth'),
        resume='auto',
    )
    assert cfg.load_from == (
        'warm.pth' if expected is None else str(tmp_path / expected)
    )
    assert cfg.get('resume', False) == (expected is not None)


@pytest.mark.parametrize(
    ('imports', 'expected'),
    [
        (dict(imports=['mmdet_ifan', 'json']), [*OURS, 'json']),
        # A list replaces that of the base.
        (dict(imports=['json']), [*OURS, 'json']),
        (dict(imports='json'), [*OURS, 'json']),
        (None, OURS),
    ],
)
def test_a_runs_config_imports_the_package(tmp_path, monkeypatch, imports, expected):
    """So that whoever reads it from the work folder can use it."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    path = tmp_path / 'leaf.py'
    path.write_text(
        f"_base_ = 'mmdet_ifan::ifan_mini-city.py'\ncustom_imports = {imports!r}\n"
    )
    load = runpy.run_path(str(ROOT / 'tools/_launch.py'))['load_config']
    cfg = load(
        Namespace(
            config=str(path),
            cfg_options={},
            launcher='none',
            work_dir=str(tmp_path),
            local_rank=0,
        )
    )
    assert cfg.custom_imports.imports == expected


def test_a_run_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    """All default hooks of the base are gone, and with them the launches."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    train = runpy.run_path(str(ROOT / 'tools/train.py'))['train']
    options = Namespace(amp=False, auto_scale_lr=False, seed=None, resume=None)
    cfg = Config.fromfile(config_path('ifan_mini-city.py'))
    (tmp_path / 'file').touch()
    cfg.work_dir = str(tmp_path / 'file/work')
    with pytest.raises(DataError, match='file is not a folder'):
        train(cfg, options)
    cfg.work_dir = str(tmp_path / 'work')
    cfg.train_dataloader.num_workers = 0
    with pytest.raises(ValueError, match='there are no workers'):
        train(cfg, options)
    assert [path.name for path in tmp_path.iterdir()] == ['file']


@pytest.mark.parametrize(
    'default_hooks', [dict(_delete_=True), dict(preflight=dict(type='PreflightHook'))]
)
def test_every_run_checks_itself(tmp_path, default_hooks):
    cfg = Config.fromfile(config_path('ifan_mini-city.py'))
    cfg.merge_from_dict(
        dict(
            default_hooks=default_hooks,
            work_dir=str(tmp_path),
            experiment_name=tmp_path.name,
            visualizer=dict(name=tmp_path.name),
        )
    )
    hooks = checked_runner(cfg).hooks
    assert sum(isinstance(hook, PreflightHook) for hook in hooks) == 1


class Model(BaseModel):
    """Two parameters, one of them with a learning rate of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.neck = nn.Linear(1, 1), nn.Linear(1, 1)

    def forward(self, *_):
        """Nothing is trained."""


@pytest.mark.parametrize(
    ('config', 'processes', 'pairs', 'factor'),
    [
        ('ifan_vgg16_city2foggy', 1, 1, 1.0),
        ('ifan_vgg16_city2foggy', 4, 2, 8.0),
        ('ifan_r50-dc5_sim10k2city', 2, 1, 2.0),
        ('ifan_mini-city', 1, 4, 1.0),
        ('ifan_mini-city', 2, 4, 2.0),
        ('ifan_mini-sim2mini-city', 1, 1, 0.25),
    ],
)
def test_learning_rate_by_the_pairs_of_a_step(
    apply_options, tmp_path, monkeypatch, config, processes, pairs, factor
):
    rates = []
    for scale in (False, True):
        cfg = apply_options(
            config,
            {
                'train_dataloader.batch_size': pairs,
                # Not counted.
                'optim_wrapper.accumulative_counts': 3,
            },
            auto_scale_lr=scale,
        )
        name = f'{tmp_path.name}_{scale}'
        runner = Runner(
            Model(),
            str(tmp_path),
            train_dataloader=cfg.train_dataloader,
            train_cfg=cfg.train_cfg,
            optim_wrapper=cfg.optim_wrapper,
            auto_scale_lr=cfg.auto_scale_lr,
            experiment_name=name,
            visualizer=dict(type='Visualizer', name=name),
        )
        monkeypatch.setattr(runner, '_world_size', processes)
        wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.scale_lr(wrapper, runner.auto_scale_lr)
        rates.append([group['lr'] for group in wrapper.optimizer.param_groups])
    assert rates[1] == pytest.approx([factor * rate for rate in rates[0]])


def test_bfloat16_is_one_setting(apply_options, tiny_cfg, make_batch, monkeypatch):
    """A step as on a GPU, where alone mmengine has mixed precision."""
    cfg = apply_options('ifan_mini-city', {'optim_wrapper.dtype': 'bfloat16'}, amp=True)
    monkeypatch.setattr(
        'mmengine.optim.optimizer.amp_optimizer_wrapper.is_cuda_available', lambda: True
    )
    torch.manual_seed(0)
    detector = MODELS.build(tiny_cfg).train()
    wrapper = build_optim_wrapper(detector, cfg.optim_wrapper)
    assert isinstance(wrapper, AmpOptimWrapper)
    types = []
    detector.rpn_head.rpn_conv.register_forward_hook(
        lambda module, inputs, output: types.append(output.dtype)
    )
    before = [p.clone() for p in detector.parameters()]
    with wrapper.optim_context(detector):
        losses = detector.loss(*make_batch())
    wrapper.update_params(detector.parse_losses(losses)[0])
    assert set(types) == {torch.bfloat16}
    for old, new in zip(before, detector.parameters(), strict=True):
        assert new.dtype == torch.float32 and new.isfinite().all()
        assert not torch.equal(old, new)
