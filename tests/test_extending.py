"""The worked example of docs/guide/extending.md works as it stands there."""

import json
import re
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.runner import Runner

from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes

PAGE = Path(__file__).resolve().parents[1] / 'docs/guide/extending.md'
TERM, CONFIG = re.findall(r'```py\n(.*?)```', PAGE.read_text(), re.DOTALL)
LAUNCH, ITERATIONS = 1, 3


@pytest.fixture(scope='module')
def cfg(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A reader's folder with the two files and a few scenes; the config."""
    folder = tmp_path_factory.mktemp('reader')
    (folder / 'coral_head.py').write_text(TERM)
    (folder / 'coral.py').write_text(CONFIG)
    write_mini_city(folder / 'data/mini_city', MiniCity(train=4, val=1), 1)
    prepare_cityscapes(folder / 'data/mini_city', Options(workers=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        cfg = Config.fromfile('coral.py')
        assert cfg.default_hooks.late_launch.launch.coral == 200
        launch = dict.fromkeys(cfg.default_hooks.late_launch.launch, 0)
        cfg.merge_from_dict(
            {
                'work_dir': str(folder / 'work'),
                'model.backbone.init_cfg': None,
                'train_cfg': dict(max_iters=ITERATIONS, val_interval=ITERATIONS),
                'param_scheduler': [dict(type='ConstantLR', by_epoch=False)],
                'default_hooks.logger.interval': 1,
                'default_hooks.late_launch.launch': {**launch, 'coral': LAUNCH},
                'train_dataloader.batch_size': 1,
            }
        )
        for name in ('train', 'val', 'test'):
            cfg[f'{name}_dataloader'].update(num_workers=0, persistent_workers=False)
        yield cfg


@pytest.mark.slow
def test_the_term_is_trained_and_logged(cfg):
    runner = Runner.from_cfg(cfg)
    runner.train()
    log = [
        json.loads(line)
        for line in next(Path(cfg.work_dir).glob('*/vis_data/scalars.json'))
        .read_text()
        .splitlines()
    ]
    steps = [line for line in log if 'loss' in line]
    assert len(steps) == ITERATIONS
    assert ['coral/loss' in line for line in steps] == [
        step >= LAUNCH for step in range(ITERATIONS)
    ]
    assert steps[-1]['coral/launched'] == 1
    assert steps[-1]['coral/loss'] > 0
    assert steps[-1]['coral/trace_source'] > 0

    # Its loss alone moves the backbone, down to the first layer trained.
    model = runner.model
    batch = model.data_preprocessor(next(iter(runner.train_dataloader)), training=True)
    losses = model(**batch, mode='loss')
    first = next(p for p in model.backbone.parameters() if p.requires_grad)
    (gradient,) = torch.autograd.grad(losses['coral/loss'], first)
    assert gradient.isfinite().all() and gradient.any()


def test_the_term_is_the_equation(cfg, make_domain):
    term = MODELS.build(cfg.model.alignments.coral)
    # Of the second source image the lower half is padding.
    source = torch.randn(2, 3, 4, 4)
    target = 2 * torch.randn(1, 3, 4, 4)
    losses = term.loss(
        make_domain([(16, 16), (8, 16)], (16, 16), taps=(source,)),
        make_domain([(16, 16)], (16, 16), taps=(target,)),
    )
    seen = torch.cat([source[0].flatten(1), source[1, :, :2].flatten(1)], 1)
    difference = torch.cov(seen) - torch.cov(target[0].flatten(1))
    torch.testing.assert_close(
        losses['loss'], difference.square().sum() / (4 * 3**2) * term.loss_weight
    )
