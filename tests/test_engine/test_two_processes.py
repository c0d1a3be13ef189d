"""Two processes on CPUs: before, at and after each launch they agree."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmdet_ifan.datasets.mini_city import MiniCity, write_mini_city
from mmdet_ifan.datasets.preparation import Options
from mmdet_ifan.datasets.preparation.cityscapes import prepare_cityscapes

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
_base_ = 'mmdet_ifan::ifan_mini-city.py'
load_from = None
train_cfg = dict(max_iters=6, val_interval=100)
param_scheduler = []
train_dataloader = dict(
    batch_size=1, num_workers=0, persistent_workers=False)
custom_hooks = [dict(type='LateLaunchHook', {hook})]
work_dir = 'work'
"""
#: Trains, and after each iteration compares what the two processes have.
SCRIPT = """
import json, sys
sys.path[:0] = sys.argv[1:]
import torch
from mmengine.config import Config
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from _launch import join_processes_without_gpu
import mmdet_ifan

class Compare(Hook):
    history = []
    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        model = runner.model.module
        weights = torch.cat([p.flatten() for p in model.parameters()])
        launched = [name for name, alignment in model.all_alignments.items()
                    if alignment.launched]
        images = [sample.img_path for samples in
                  data_batch['data_samples'].values() for sample in samples]
        both = all_gather_object((weights.detach(), launched, images))
        self.history.append(dict(
            same_weights=torch.equal(both[0][0], both[1][0]),
            norm=weights.detach().double().norm().item(),
            launched=[b[1] for b in both], images=[b[2] for b in both]))

cfg = Config.fromfile('leaf.py')
cfg.launcher = 'pytorch'
join_processes_without_gpu(cfg)
runner = Runner.from_cfg(cfg)
runner.register_hook(Compare(), 'LOWEST')
# MORE
runner.train()
if is_main_process():
    open('history.json', 'w').write(json.dumps(Compare.history))
"""
#: The second process's first tap goes wrong at iteration 2.
SPOIL = """
from mmengine.dist import get_rank
runner.model.module.neck.classifiers[0].register_forward_hook(
    lambda module, args, output: output * float('nan')
    if runner.iter == 2 and get_rank() == 1 else None)
"""


@pytest.mark.parametrize(('hook', 'expected'), [
    ('launch=dict(image=0, instance=2, correlation=4)', [1, 1, 2, 2, 3, 3]),
    # Anything is stable: two windows of one iteration after each launch.
    ("when='plateau', window=1, tolerance=1e9, "
     'launch=dict(image=1, instance=(1, 5), correlation=(1, 5))',
     [0, 1, 1, 2, 2, 3]),
])
def test_processes_agree(tmp_path, hook, expected):
    history = train(tmp_path, CONFIG.format(hook=hook), SCRIPT)
    assert [len(step['launched'][0]) for step in history] == expected
    for step in history:
        assert step['same_weights']
        assert step['launched'][0] == step['launched'][1]
    # Each draws pairs of its own.
    assert any(step['images'][0] != step['images'][1] for step in history)


def test_processes_skip_a_step_together(tmp_path):
    config = CONFIG.format(hook='launch=dict(image=0)') + (
        "default_hooks = dict(finite_check=dict(action='skip'))")
    history = train(tmp_path, config, SCRIPT.replace('# MORE', SPOIL))
    norms = [step['norm'] for step in history]
    assert all(step['same_weights'] for step in history)
    assert norms[1] == norms[2]
    assert len(set(norms)) == len(norms) - 1
    # Only the one at fault has something to save.
    path, = tmp_path.rglob('nonfinite/*.json')
    assert path.name == 'iter_2_rank_1.json'
    term, = json.loads(path.read_text())['terms']
    assert term['term'] == 'image/loss_phi1'


def train(tmp_path: Path, config: str, script: str) -> list[dict]:
    """Train in two processes; give what they had after each iteration."""
    write_mini_city(tmp_path / 'data/mini_city', MiniCity(train=6, val=1), 1)
    prepare_cityscapes(tmp_path / 'data/mini_city', Options(workers=1))
    (tmp_path / 'leaf.py').write_text(config)
    (tmp_path / 'compare.py').write_text(script)
    result = subprocess.run(
        [
            sys.executable, '-m', 'torch.distributed.run', '--standalone',
            '--nproc-per-node', '2', 'compare.py', ROOT, ROOT / 'tools'
        ],
        cwd=tmp_path,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True)
    assert result.returncode == 0, result.stderr
    return json.loads((tmp_path / 'history.json').read_text())
