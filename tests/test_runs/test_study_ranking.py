"""Settings ranked on a pair whose target has no label at all."""

import json
import math

import pytest
from processes import run_tool

from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes
from mmdet_ifan.runs.study_ranking import mean_scores

CONFIG = """
_base_ = 'mmdet_ifan::source-only_mini-city.py'
train_cfg = dict(max_iters=2)
param_scheduler = []
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False)
val_dataloader = val_evaluator = val_cfg = None
optim_wrapper = dict(optimizer=dict(lr={lr}))
"""


def test_the_best_on_average():
    pools = [dict(a=1.0, b=3.0, c=2.0), dict(a=80.0, b=70.0, c=math.nan)]
    assert mean_scores(pools[:1]) == dict(b=1.0, c=0.5, a=0.0)
    assert list(mean_scores(pools[:1])) == ['b', 'c', 'a']
    assert mean_scores(pools) == pytest.approx(
        dict(a=0.5, b=0.5, c=math.nan), nan_ok=True
    )
    # Nothing to compare is no reason to prefer what cannot be scored.
    assert list(mean_scores([dict(a=math.nan, b=0.0)])) == ['b', 'a']


@pytest.mark.slow
def test_a_study_without_target_labels(tmp_path):
    root = tmp_path / 'data/mini_city'
    write_mini_city(root, MiniCity(train=4, val=2), 1)
    prepare_cityscapes(root, Options(workers=1))
    for path in (root / 'annotations').glob('*val_foggy*'):
        path.unlink()
    for name, lr in (('low', 1e-4), ('high', 1e-2)):
        (tmp_path / f'{name}.py').write_text(CONFIG.format(lr=lr))
    command = ['low.py', 'high.py', '--out', 'tried', '--rank-by', 'das']
    early = run_tool('study.py', *command, '--no-train', cwd=tmp_path)
    assert early.returncode == 2
    assert 'There is no last checkpoint of low, seed 0' in early.stderr
    done = run_tool('study.py', *command, '--rank-images', 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    pool = json.loads((tmp_path / 'tried/selection/seed-0/selection.json').read_text())
    assert len(pool['candidates']) == 2
    # At the larger rate two steps leave nothing that is detected.
    assert pool['candidates']['high']['scores']['das'] is None
    page = (tmp_path / 'tried/ranking.md').read_text()
    assert 'Best: low.' in page and page in done.stdout
    assert '- Seed 0: high detects 0.0 boxes an image' in page
    # Both are finished: nothing is trained again.
    again = run_tool(
        'study.py', *command, '--rank-images', 2, '--no-train', cwd=tmp_path
    )
    assert again.returncode == 0 and page in again.stdout
    wrong = run_tool('study.py', *command[:-1], 'luck', cwd=tmp_path)
    assert (
        wrong.returncode == 2 and '--rank-by luck is none of pdr_free' in wrong.stderr
    )
