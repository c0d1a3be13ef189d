"""A run that scores its checkpoints, on a pair without any target label."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmdet_ifan.analysis.curves import read_scalars
from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes

ROOT = Path(__file__).resolve().parents[2]
HOOK = dict(type='mmdet_ifan.runs.selection_hook.SelectionHook', images=2)


@pytest.mark.slow
def test_run_names_checkpoints_and_learns_the_same(tmp_path):
    root = tmp_path / 'mini_city'
    write_mini_city(root, MiniCity(train=4, val=2), 1)
    prepare_cityscapes(root, Options(workers=1))
    for path in (root / 'annotations').glob('*val_foggy*'):
        path.unlink()
    weights, folders = [], (tmp_path / 'with', tmp_path / 'without')
    for folder, hooks in zip(folders, ([HOOK], []), strict=True):
        cfg = Config.fromfile(ROOT / 'configs/source-only/source-only_mini-city.py')
        for loader in (cfg.train_dataloader, cfg.test_dataloader):
            loader.update(num_workers=0, persistent_workers=False, batch_size=2)
            for domain in ('source', 'target'):
                loader.dataset[domain].data_root = f'{root}/'
        cfg.update(val_dataloader=None, val_evaluator=None, val_cfg=None)
        cfg.update(
            work_dir=str(folder),
            custom_hooks=hooks,
            param_scheduler=[],
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=2),
            randomness=dict(seed=0),
            experiment_name=str(folder),
        )
        # One of that name, of another test, would write elsewhere.
        cfg.visualizer.name = str(folder)
        cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
        Runner.from_cfg(cfg).train()
        weights.append(torch.load(folder / 'iter_2.pth', weights_only=False))
    content = json.loads((folders[0] / 'selection/selection.json').read_text())
    assert set(content['candidates']) == {'iter_1', 'iter_2'}
    assert content['picks']['last'] == ['iter_2']
    logged = [s for s in read_scalars(folders[0]) if 'selection/fis' in s]
    assert [s['step'] for s in logged] == [1, 2]
    log = next(folders[0].glob('*/*.log')).read_text()
    assert 'Without a target label' in log and 'last chooses iter_2.' in log
    for name, value in weights[0]['state_dict'].items():
        assert torch.equal(value, weights[1]['state_dict'][name]), name
