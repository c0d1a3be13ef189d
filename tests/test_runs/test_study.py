"""A whole study on a dozen scenes, and the arithmetic of its table."""

import json
import runpy
import shutil
import statistics
import sys
from functools import partial
from pathlib import Path

import mmcv
import pytest
from processes import run_tool

from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes
from mmdet_ifan.runs.study import Study, fingerprint
from mmdet_ifan.runs.study_table import study_table

ROOT = Path(__file__).resolve().parents[2]
run_study = partial(run_tool, 'study.py')
IFAN = ROOT / 'configs/ifan/ifan_mini-city.py'
CONFIG = """
_base_ = 'mmdet_ifan::{name}.py'
train_cfg = dict(max_iters=2, val_interval=2)
param_scheduler = []
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
"""
LAUNCHED = """
default_hooks = dict(late_launch=dict(launch=dict(adda=0)))
"""
BROKEN = """
model = dict(neck=dict(
    _delete_=True, type='HierarchicalDomainNeck',
    in_channels=(24, 40, 80, 112), taps=(7, )))
"""


def metrics(target: float, source: float = 60.0) -> dict[str, float]:
    """Give the metrics of one run."""
    return {
        'target/mAP50': target,
        'source/mAP50': source,
        'target/AP50/car': target,
        'minutes': 3.0,
        'gib': 1.0,
    }


def test_table_pairs_the_seeds():
    runs = {
        'source-only_x': {0: metrics(30.0), 1: metrics(40.0)},
        'ifan_vgg16_city2foggy': {0: metrics(45.0), 1: metrics(43.0), 7: metrics(44.0)},
        'oracle_x': {0: metrics(60.0), 1: metrics(70.0)},
        'adda_x': {},
    }
    heading, *rows = study_table(runs, ['car'])
    table = {row[0]: dict(zip(heading, row, strict=True)) for row in rows}
    assert list(table) == ['source-only_x', 'ifan_vgg16_city2foggy', 'oracle_x']
    row = table['ifan_vgg16_city2foggy']
    assert row['seeds'] == '3'
    assert row['target mAP50'] == '44.0 ± 1.0'
    # Seed 7 has no source-only run: the gains are 15 and 3.
    assert row['gain'] == f'9.0 ± {statistics.stdev([15, 3]):.1f}'
    # 15 of 30 and 3 of 30.
    assert row['gap recovered'] == f'30.0 ± {statistics.stdev([50, 10]):.1f} %'
    assert row['paper'] == '35.3'
    assert table['source-only_x']['gain'] == ''
    assert table['oracle_x']['gap recovered'] == '100.0 ± 0.0 %'


def test_table_without_gap_and_without_box():
    runs = {
        'source-only_x': {0: metrics(40.0), 1: metrics(41.0)},
        'ifan_x': {0: metrics(42.0), 1: metrics(43.0)},
        # On seed 0 there is no gap; on seed 1, 2 of 9 are recovered.
        'oracle_x': {0: metrics(39.0), 1: metrics(50.0)},
    }
    heading, *rows = study_table(runs, ['car', 'train'])
    table = {row[0]: dict(zip(heading, row, strict=True)) for row in rows}
    assert table['ifan_x']['gap recovered'] == '22.2 %'
    assert table['ifan_x']['gain'] == '2.0 ± 0.0'
    assert {row['train'] for row in table.values()} == {'-'}
    assert table['ifan_x']['car'] == '42.5'
    runs['oracle_x'] = {0: metrics(39.0), 1: metrics(41.0)}
    heading, *rows = study_table(runs, ['car'])
    assert {row[heading.index('gap recovered')] for row in rows} == {''}


def test_pair_written_from_the_template(tmp_path):
    """Its classes are its target's; its metrics exist already."""
    config = ROOT / 'configs/template/own_pair.py'
    finished = dict(
        metrics(30.0), config=fingerprint(config), **{'target/AP50/cat': 25.0}
    )
    (tmp_path / 'metrics.json').write_text(json.dumps({'own_pair': {'0': finished}}))
    study = Study([config], [0], tmp_path)
    assert study.train() == []
    assert '| own_pair' in study.write_table()
    (row,) = json.loads((tmp_path / 'table.json').read_text())
    assert (row['cat'], row['dog']) == ('25.0', '-')


LAUNCHES = {
    'merged': 'default_hooks = dict(late_launch=dict(launch=dict(instance=321)))',
    'fewer': 'default_hooks = dict(late_launch=dict(launch=dict('
    '_delete_=True, image=0)))',
    'own': "custom_hooks = [dict(type='LateLaunchHook', launch={})]",
    'teacher': "default_hooks = dict(teacher=dict(type='TeacherHook'))",
    'momentum': "default_hooks = dict(teacher=dict(type='TeacherHook', momentum=0.1))",
    'watching': 'default_hooks = dict(logger=dict(interval=3))',
    'for itself': 'side = 128',
}


@pytest.mark.parametrize(
    ('imports', 'same'),
    [
        # As configs had it before patch_mmengine was a module.
        (['mmdet_ifan'], True),
        (['mmdet_ifan', 'json'], False),
    ],
)
def test_patches_are_no_setting_that_matters(tmp_path, imports, same):
    config = IFAN
    path = tmp_path / 'own.py'
    path.write_text(
        f'_base_ = {str(config)!r}\ncustom_imports = dict(imports={imports!r})\n'
    )
    assert (fingerprint(path) == fingerprint(config)) == same


def test_some_hooks_are_settings_that_matter(tmp_path):
    """Though they are among hooks that only watch."""
    config = IFAN
    prints = {'': fingerprint(config)}
    for name, text in LAUNCHES.items():
        path = tmp_path / f'{name}.py'
        path.write_text(f'_base_ = {str(config)!r}\n{text}\n')
        prints[name] = fingerprint(path)
    for name in ('watching', 'for itself'):
        assert prints.pop(name) == prints['']
    assert len(set(prints.values())) == 6


@pytest.mark.parametrize('study', ['study_mini-city', 'study_teacher'])
def test_our_studies_are_of_our_configs(study):
    """Or `make study` would refuse to go on from them."""
    path = ROOT / 'docs/data' / study / 'metrics.json'
    for name, runs in json.loads(path.read_text()).items():
        (config,) = ROOT.glob(f'configs/[!_]*/{name}.py')
        assert {run['config'] for run in runs.values()} == {fingerprint(config)}, name


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A folder with tiny data and configs of two iterations."""
    write_mini_city(tmp_path / 'data/mini_city', MiniCity(train=4, val=4), 1)
    prepare_cityscapes(tmp_path / 'data/mini_city', Options(workers=1))
    for row in ('source-only', 'adda'):
        text = CONFIG.format(name=f'{row}_mini-city')
        if row == 'adda':
            text += LAUNCHED + BROKEN
        (tmp_path / f'{row}.py').write_text(text)
    return tmp_path


@pytest.mark.slow
def test_study_resumes_where_it_stopped(pair):
    arguments = ('source-only.py', 'adda.py', '--out', 'metrics')
    first = run_study(*arguments, cwd=pair)
    # The failed run is reported; the other has its metrics.
    assert first.returncode == 1
    assert 'adda.py' in first.stderr and 'console.log' in first.stderr
    assert 'taps names each at most once' in first.stderr
    folder = pair / 'metrics'
    path = folder / 'metrics.json'
    finished = json.loads(path.read_text())
    assert finished.keys() == {'source-only'}
    run = finished['source-only']['0']
    assert run['minutes'] > 0 and run['gib'] > 0
    assert 0 <= run['target/mAP50'] <= 100
    work = pair / 'work_dirs/metrics'
    (source_only,) = work.glob('source-only_*_seed-0')

    # Once fixed, only the failed run is trained, even without checkpoints, and here
    # in two processes.
    shutil.rmtree(source_only)
    (pair / 'adda.py').write_text(CONFIG.format(name='adda_mini-city') + LAUNCHED)
    second = run_study(*arguments, '--processes', '2', cwd=pair)
    assert second.returncode == 0, second.stderr
    assert not any(work.glob('source-only_*'))
    # Other settings, another folder.
    assert len(list(work.glob('adda_*_seed-0'))) == 2
    finished = json.loads(path.read_text())
    assert finished.keys() == {'source-only', 'adda'}
    assert finished['source-only'] == {'0': run}
    assert '| adda' in (folder / 'table.md').read_text()
    assert '| adda' in second.stdout
    rows = json.loads((folder / 'table.json').read_text())
    assert [row['AP50 (%)'] for row in rows] == ['source-only', 'adda']
    assert min(mmcv.imread(str(folder / 'study.png')).shape[:2]) > 200

    # With --no-train, a missing seed is not trained.
    shown = run_study(*arguments, '--seeds', '0', '1', '--no-train', cwd=pair)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == second.stdout
    none = run_study(*arguments, '--seeds', '1', '--no-train', cwd=pair)
    assert none.returncode == 2
    assert 'has no metrics of these configs and seeds' in none.stderr
    assert not any(work.glob('*_seed-1'))

    # Another config has the same name.
    with (pair / 'source-only.py').open('a') as config:
        config.write('optim_wrapper = dict(optimizer=dict(lr=1.0))\n')
    third = run_study(*arguments, cwd=pair)
    assert third.returncode == 2
    assert 'made with other settings of source-only.py' in third.stderr
    assert json.loads(path.read_text()) == finished

    # Without its metrics, the run is trained again in another folder.
    del finished['source-only']
    path.write_text(json.dumps(finished))
    fourth = run_study('source-only.py', *arguments[2:], cwd=pair, anew=True)
    assert fourth.returncode == 0, fourth.stderr
    again = json.loads(path.read_text())
    assert again['source-only']['0']['config'] != run['config']
    assert again['adda'] == finished['adda']
    assert len(list(work.glob('source-only_*'))) == 1


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (('absent.py',), "there is no config 'absent.py'"),
        ((str(IFAN),) * 2, 'the same name'),
        ((str(IFAN), '--jobs', '0'), '--jobs must be at least 1, but is 0'),
        ((str(IFAN), '--processes', '0'), '--processes must be at least 1, but is 0'),
    ],
)
def test_refuses_what_cannot_be_meant(tmp_path, arguments, sentence):
    result = run_study(*arguments, '--out', 'metrics', cwd=tmp_path)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert not (tmp_path / 'metrics').exists()


def test_refuses_more_processes_than_gpus(monkeypatch, capsys):
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    command = ['study.py', str(IFAN), '--out', 'metrics', '--processes', '4']
    monkeypatch.setattr(sys, 'argv', command)
    with pytest.raises(SystemExit, match='2'):
        runpy.run_path(str(ROOT / 'tools/study.py'), run_name='__main__')
    assert capsys.readouterr().err == (
        'error: --processes 4 needs a GPU for each process, but there are 2: '
        'lower it.\n'
    )


def test_refuses_processes_that_cannot_share_out_a_batch(tmp_path):
    result = run_study(str(IFAN), '--processes', '3', '--out', 'metrics', cwd=tmp_path)
    assert result.returncode == 2
    assert 'error: --processes 3 cannot share out the batch' in result.stderr
    assert 'which are of 4' in result.stderr
    assert not (tmp_path / 'metrics').exists()
