"""The commands of tools/analysis, on a tiny pair."""

import json
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from processes import run_tool

from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/ifan/ifan_mini-city.py'


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and two untrained detectors."""
    folder = tmp_path_factory.mktemp('analysis')
    write_mini_city(folder / 'data/mini_city', MiniCity(train=1, val=6), 1)
    prepare_cityscapes(folder / 'data/mini_city', Options(workers=1))
    init_default_scope('mmdet')
    cfg = Config.fromfile(CONFIG)
    classes = cfg.test_dataloader.dataset.target.metainfo.classes
    for seed in range(2):
        torch.manual_seed(seed)
        model = MODELS.build(cfg.model)
        model.init_weights()
        torch.save(
            dict(
                meta=dict(dataset_meta=dict(classes=classes)),
                state_dict=model.state_dict(),
            ),
            folder / f'{seed}.pth',
        )
    return folder


def run(folder: Path, tool: str, *arguments: str, code: int = 0) -> str:
    """Run a tool; returns its output."""
    result = run_tool(f'analysis/{tool}', *arguments, cwd=folder)
    assert result.returncode == code, result.stderr
    return result.stdout + result.stderr


def test_errors(folder):
    said = run(
        folder,
        'errors.py',
        str(CONFIG),
        '0.pth',
        '1.pth',
        '--out',
        'errors',
        '--score-thr',
        '0.1',
        '--names',
        'a',
        'b',
    )
    text = (folder / 'errors/errors.md').read_text()
    assert '## target: a → b' in text and text in said
    data = json.loads((folder / 'errors/errors.json').read_text())
    assert sum(c['objects'] for c in data['target'].values()) > 0
    # The same scenes, clear and in fog.
    assert {k: c['objects'] for k, c in data['source'].items()} == {
        k: c['objects'] for k, c in data['target'].items()
    }
    assert cv2.imread(str(folder / 'errors/errors.png')) is not None


@pytest.mark.parametrize(
    ('tool', 'name', 'sentence'),
    [
        ('errors.py', 'swapped', 'has them in another order: person'),
        ('features.py', 'swapped', 'has them in another order: person'),
        ('detections.py', 'swapped', 'has them in another order: person'),
        ('features.py', 'less', 'does not fit the config: 1 weights'),
    ],
)
def test_checkpoints_that_say_otherwise(folder, tool, name, sentence):
    content = torch.load(folder / '0.pth')
    if name == 'swapped':
        classes = content['meta']['dataset_meta']['classes']
        content['meta']['dataset_meta']['classes'] = classes[::-1]
    else:
        del content['state_dict']['rpn_head.rpn_reg.bias']
    torch.save(content, folder / f'{name}.pth')
    checkpoints = (
        (f'{name}.pth', '0.pth')
        if tool == 'errors.py'
        else (f'a={name}.pth', 'b=0.pth')
    )
    said = run(folder, tool, str(CONFIG), *checkpoints, '--out', 'no.png', code=2)
    assert f'error: {name}.pth ' in said and sentence in said
    assert 'Traceback' not in said
    assert not (folder / 'no.png').exists()


def test_features_without_an_object(folder):
    path = folder / 'data/mini_city/annotations/instances_val.json'
    content = json.loads(path.read_text())
    path.with_name('empty.json').write_text(json.dumps(dict(content, annotations=[])))
    said = run(
        folder,
        'features.py',
        str(CONFIG),
        'a=0.pth',
        '--out',
        'none.png',
        '--cfg-options',
        'test_dataloader.dataset.source.ann_file=annotations/empty.json',
        code=2,
    )
    assert 'error: No test image of source has an object' in said
    assert 'Traceback' not in said
    assert not (folder / 'none.png').exists()


def test_features(folder):
    said = run(
        folder,
        'features.py',
        str(CONFIG),
        'a=0.pth',
        'b=1.pth',
        '--out',
        'features.png',
    )
    data = json.loads((folder / 'features.json').read_text())
    assert list(data) == ['a', 'b'] and 'a: A-distance' in said
    assert all(
        0 <= d['a_distance'] <= 2 and -1 <= d['silhouette'] <= 1 for d in data.values()
    )
    assert cv2.imread(str(folder / 'features.png')) is not None


@pytest.mark.parametrize('options', [(), ('--evenly',)])
def test_detections(folder, options):
    out = f'new{len(options)}/detections.png'
    run(
        folder,
        'detections.py',
        str(CONFIG),
        'a=0.pth',
        'b=1.pth',
        '--out',
        out,
        '-n',
        '2',
        '--score-thr',
        '0.1',
        *options,
    )
    height, width = cv2.imread(str(folder / out)).shape[:2]
    # Two scenes, twice as wide as high, in three columns.
    assert width > 2 * height


@pytest.mark.parametrize('options', [(), ('--evenly',)])
def test_detections_of_few_objects(folder, options):
    target = Config.fromfile(CONFIG).test_dataloader.dataset.target
    path = folder / target.data_root / target.ann_file
    truth = json.loads(path.read_text())
    truth['annotations'] = truth['annotations'][:2]
    path.with_name('few.json').write_text(json.dumps(truth))
    (folder / 'few.py').write_text(
        f"_base_ = '{CONFIG}'\ntest_dataloader = dict(dataset=dict(\n"
        "    target=dict(ann_file='annotations/few.json')))\n"
    )
    said = run(
        folder,
        'detections.py',
        'few.py',
        'a=0.pth',
        '--out',
        'few.png',
        *options,
        code=2,
    )
    assert 'error: No target image of the test set holds three obj' in said
    assert not (folder / 'few.png').exists()


def test_curves(folder):
    scalars = folder / 'work_dirs/a/20261101_000000/vis_data/scalars.json'
    scalars.parent.mkdir(parents=True)
    scalars.write_text('{"step": 20, "loss_cls": 1.0}\n')
    shutil.copytree(folder / 'work_dirs/a', folder / 'work_dirs/b')
    run(folder, 'curves.py', 'work_dirs/a', 'work_dirs/b', '--out', 'curves.png')
    data = json.loads((folder / 'curves.json').read_text())
    assert data['b']['curves']['detection loss'] == dict(steps=[20], values=[1.0])
    assert cv2.imread(str(folder / 'curves.png')) is not None
    # Two folders of one name are told apart by their paths.
    shutil.copytree(folder / 'work_dirs/a', folder / 'work_dirs/old/a')
    run(
        folder,
        'curves.py',
        'work_dirs/a',
        'work_dirs/old/a',
        'work_dirs/b',
        '--out',
        'curves.png',
    )
    data = json.loads((folder / 'curves.json').read_text())
    assert list(data) == ['work_dirs/a', 'work_dirs/old/a', 'b']
