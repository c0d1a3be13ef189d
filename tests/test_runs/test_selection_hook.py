"""A run that scores its checkpoints, on a pair without any target label."""

import json
from pathlib import Path

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.config import Config
from mmengine.runner import Runner

from mmdet_ifan.analysis.curves import read_scalars
from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes
from mmdet_ifan.runs.selection_hook import SelectionHook  # noqa: F401
from mmdet_ifan.utils.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
HOOK = dict(type='mmdet_ifan.runs.selection_hook.SelectionHook', images=2)


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny pair without any target label."""
    root = tmp_path_factory.mktemp('pair') / 'mini_city'
    write_mini_city(root, MiniCity(train=4, val=2), 1)
    prepare_cityscapes(root, Options(workers=1))
    for path in (root / 'annotations').glob('*val_foggy*'):
        path.unlink()
    return root


def train(root: Path, folder: Path, hooks: list[dict], **options: object) -> None:
    """Train for two iterations, or as many as the options say."""
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
        experiment_name=f'{folder}{options}',
    )
    # One of that name, of another test, would write elsewhere.
    cfg.visualizer.name = f'{folder}{options}'
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
    cfg.merge_from_dict(options)
    Runner.from_cfg(cfg).train()


def candidates(folder: Path) -> set[str]:
    """Name what the hook has scored."""
    content = json.loads((folder / 'selection/selection.json').read_text())
    return set(content['candidates'])


@pytest.mark.slow
def test_run_names_checkpoints_and_learns_the_same(root, tmp_path):
    weights, folders = [], (tmp_path / 'with', tmp_path / 'without')
    for folder, hooks in zip(folders, ([HOOK], []), strict=True):
        train(root, folder, hooks)
        weights.append(torch.load(folder / 'iter_2.pth', weights_only=False))
    content = json.loads((folders[0] / 'selection/selection.json').read_text())
    assert set(content['candidates']) == {'iter_1', 'iter_2'}
    assert content['picks']['last'] == ['iter_2']
    # Those that the pool decides are no curve, and those of a disturbed pass cost it.
    logged = [s for s in read_scalars(folders[0]) if 'selection/source_ap' in s]
    assert [s['step'] for s in logged] == [1, 2]
    assert not {'selection/consensus', 'selection/fis'} & set(logged[-1])
    log = next(folders[0].glob('*/*.log')).read_text()
    assert 'Without a target label' in log and 'iter_2.' in log
    for name, value in weights[0]['state_dict'].items():
        assert torch.equal(value, weights[1]['state_dict'][name]), name


@pytest.mark.slow
def test_a_resumed_run_scores_what_is_new(root, tmp_path):
    train(root, tmp_path / 'a', [HOOK])
    options = {
        'load_from': str(tmp_path / 'a/iter_2.pth'),
        'resume': True,
        'train_cfg.max_iters': 3,
    }
    train(root, tmp_path / 'b', [HOOK], **options)
    assert candidates(tmp_path / 'b') == {'iter_3'}
    # Those of a run before are no candidates of one that starts anew.
    train(root, tmp_path / 'a', [HOOK], **{'train_cfg.max_iters': 1})
    assert candidates(tmp_path / 'a') == {'iter_1'}


@pytest.mark.slow
def test_no_checkpoint_ends_a_run(root, tmp_path):
    elsewhere = tmp_path / 'elsewhere'
    train(
        root,
        tmp_path / 'run',
        [HOOK],
        **{'default_hooks.checkpoint.out_dir': str(elsewhere)},
    )
    # It stands in the run's own folder below.
    assert candidates(tmp_path / 'run') == {'iter_1', 'iter_2'}
    (elsewhere / 'run/iter_0.pth').write_bytes(b'PK')
    train(
        root,
        tmp_path / 'run',
        [HOOK],
        **{'default_hooks.checkpoint.out_dir': str(elsewhere)},
    )
    log = max((tmp_path / 'run').glob('*/*.log')).read_text()
    assert 'The checkpoints are not scored: ' in log and 'iter_0.pth' in log


@pytest.mark.parametrize('wrong', [dict(images=0), dict(scores=['luck'])])
def test_settings_are_checked_at_once(wrong):
    with pytest.raises(DataError, match='image|luck'):
        HOOKS.build(dict(HOOK, **wrong))
