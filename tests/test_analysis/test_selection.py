"""Choosing among checkpoints: the same bits with and without target labels."""

import copy
import json
import math
import random
import runpy
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from processes import run_tool

from mmdet_ifan.analysis import selection
from mmdet_ifan.analysis.label_free_scores import Distributions
from mmdet_ifan.analysis.selection import Images, Selection, Settings, over_draws
from mmdet_ifan.analysis.selection_page import (
    SCORES,
    as_good,
    best,
    choose,
    ranks,
    score_pool,
    sure_detections,
    verdict,
    warnings_of,
)
from mmdet_ifan.deployment.checkpoint_config import detector_of
from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes
from mmdet_ifan.utils.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = {
    name: ROOT / f'configs/{name}/{name}_mini-city.py'
    for name in ('ifan', 'strong-weak')
}
SETTINGS = Settings(images=3)


@pytest.fixture(scope='module')
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny pair and two untrained detectors."""
    folder = tmp_path_factory.mktemp('selection')
    write_mini_city(folder / 'data/mini_city', MiniCity(train=4, val=3), 1)
    prepare_cityscapes(folder / 'data/mini_city', Options(workers=1))
    init_default_scope('mmdet')
    for number, (name, path) in enumerate(CONFIGS.items()):
        torch.manual_seed(number)
        cfg = Config.fromfile(path)
        model = MODELS.build(cfg.model)
        model.init_weights()
        classes = cfg.test_dataloader.dataset.target.metainfo.classes
        meta = dict(
            dataset_meta=dict(classes=classes), cfg=cfg.pretty_text, iter=100 + number
        )
        torch.save(
            dict(meta=meta, state_dict=model.state_dict()), folder / f'{name}.pth'
        )
    return folder


def config_of(root: Path) -> Config:
    """Give the config of the pair in a folder."""
    cfg = Config.fromfile(CONFIGS['ifan'])
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        for domain in ('source', 'target'):
            loader.dataset[domain].data_root = f'{root}/data/mini_city/'
    return cfg


def select(
    root: Path,
    out: Path,
    names: list[str] | None = None,
    scores: tuple[str, ...] = tuple(SCORES),
    cfg: Config | None = None,
) -> dict:
    """Score the two detectors."""
    cfg = cfg or config_of(root)
    images = Images(cfg, 3)
    pool = Selection(
        images, SETTINGS, out, partial(detector_of, cfg=cfg, classes=images.classes)
    )
    names = names or list(CONFIGS)
    return pool.measure({name: str(root / f'{name}.pth') for name in names}, scores)


@pytest.fixture(scope='module')
def first(pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a first selection."""
    out = tmp_path_factory.mktemp('first')
    select(pair, out)
    return out


def contents(out: Path, root: Path | None = None) -> dict[str, bytes]:
    """Read what a selection of a copy of the pair has written, pictures aside."""
    return {
        str(path.relative_to(out)): path.read_bytes().replace(str(root).encode(), b'')
        for path in sorted(out.rglob('*'))
        if path.suffix in ('.json', '.md')
    }


@pytest.mark.slow
def test_measures_every_score(first):
    content = json.loads((first / 'selection.json').read_text())
    for name, row in content['candidates'].items():
        assert set(row['scores']) == set(SCORES)
        assert all(value is not None for value in row['scores'].values()), name
        fis, bos = row['fis'], row['bos']
        assert fis['fis'] == pytest.approx(fis['fis_iou'] + fis['fis_kl'])
        assert 0 < bos['bos_max'] <= bos['bos'] < 1
        assert fis['used'] == bos['used'] == 3
        clean = row['clean']
        assert len(clean['pdr_free_without']) == 3
        assert min(clean['pdr_free_without']) < clean['pdr_free']
        assert max(clean['pdr_free_without']) > clean['pdr_free']
    assert content['picks']['last'] == ['strong-weak']
    assert content['settings']['step'] == 0.01
    assert (first / 'selection.png').stat().st_size > 0
    assert len(contents(first)) == 4


@pytest.mark.slow
def test_a_second_run_is_the_same_bits(pair, first, tmp_path):
    select(pair, tmp_path)
    assert contents(tmp_path) == contents(first)


@pytest.mark.slow
@pytest.mark.parametrize('labels', ['absent', 'shuffled'])
def test_reads_no_target_label(pair, first, tmp_path, labels):
    root = tmp_path / 'pair'
    shutil.copytree(pair, root)
    folder = root / 'data/mini_city/annotations'
    for path in folder.glob('*foggy*.json'):
        content = json.loads(path.read_text())
        if 'train' in path.name:
            # The list of the target's images is in the same file.
            content['annotations'] = []
        elif labels == 'absent':
            path.unlink()
            continue
        else:
            boxes = [a['bbox'] for a in content['annotations']]
            random.Random(0).shuffle(boxes)
            for annotation, box in zip(content['annotations'], boxes, strict=True):
                annotation['bbox'] = box
                annotation['category_id'] = content['categories'][0]['id']
        path.write_text(json.dumps(content))
    if labels == 'absent':
        shutil.rmtree(root / 'data/mini_city/gtFine')
    select(root, tmp_path / 'out')
    assert contents(tmp_path / 'out', root) == contents(first, pair)


@pytest.mark.slow
def test_a_folder_of_target_images_is_enough(pair, first, tmp_path):
    cfg = config_of(pair)
    folder = tmp_path / 'images'
    folder.mkdir()
    for number, item in enumerate(Images(cfg, 3).target):
        path = Path(item['data_samples'].img_path)
        shutil.copy(path, folder / f'{number}.png')
    cfg.train_dataloader.dataset.target = dict(
        type='UnlabelledDataset', images=str(folder)
    )
    del cfg.test_dataloader.dataset['target']
    select(pair, tmp_path / 'out', cfg=cfg)
    assert contents(tmp_path / 'out') == contents(first)


@pytest.mark.slow
def test_neither_order_nor_scores_matter(pair, first, tmp_path):
    select(pair, tmp_path, ['strong-weak', 'ifan'])
    assert contents(tmp_path) == contents(first)
    few = select(pair, tmp_path / 'few', scores=('bos', 'atc'))
    whole = json.loads((first / 'selection.json').read_text())
    for name, row in few['candidates'].items():
        assert 'fis' not in row
        for score in ('bos', 'atc'):
            assert row['scores'][score] == whole['candidates'][name]['scores'][score]


@pytest.mark.slow
def test_a_pool_grows_and_resumes(pair, first, tmp_path, monkeypatch):
    select(pair, tmp_path, ['ifan'])
    select(pair, tmp_path, ['ifan'], ('bos',))
    select(pair, tmp_path)
    assert contents(tmp_path) == contents(first)
    monkeypatch.setattr(selection, 'measure', None)
    # Nothing is measured again, under whatever names.
    select(pair, tmp_path)
    assert contents(tmp_path) == contents(first)


@pytest.mark.slow
def test_leaves_the_weights_as_they_are(pair):
    cfg = config_of(pair)
    model, iteration = detector_of(str(pair / 'ifan.pth'), cfg)
    assert iteration == 100
    before = {k: v.numpy().tobytes() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    selection.measure(model, Images(cfg, 1), SETTINGS, {'fis', 'bos'})
    assert {k: v.numpy().tobytes() for k, v in model.state_dict().items()} == before
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(m._forward_pre_hooks for m in model.backbone.modules())


@pytest.mark.slow
def test_source_ap_is_that_of_testing(pair, first, tmp_path):
    cfg = config_of(pair)
    for loader in (cfg.test_dataloader, cfg.train_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.update(work_dir=str(tmp_path), load_from=str(pair / 'ifan.pth'))
    cfg.default_hooks.pop('preflight', None)
    metrics = Runner.from_cfg(copy.deepcopy(cfg)).test()
    content = json.loads((first / 'selection.json').read_text())
    assert content['candidates']['ifan']['scores']['source_ap'] == pytest.approx(
        metrics['source/mAP50'], abs=1e-3
    )


@pytest.mark.slow
def test_refuses_a_labelled_target(pair):
    cfg = config_of(pair)
    cfg.train_dataloader.dataset.target = cfg.test_dataloader.dataset.source
    with pytest.raises(DataError, match='must be an UnlabelledDataset'):
        Images(cfg, 3)
    del cfg.train_dataloader.dataset['target']
    with pytest.raises(DataError, match='give the config of a pair'):
        Images(cfg, 3)


def record(
    fis: list, pdr: float, without: tuple = (), boxes: float = 5, **clean: float
) -> dict:
    """Make a candidate's record."""
    ratios = dict(pdr=pdr, pdr_free=pdr / 10, pdr_free_without=without)
    clean = dict(ratios, boxes=boxes, lightest=9.0, source_ap=50.0) | clean
    return dict(
        clean=clean,
        fis=over_draws([[[value] for value in fis]], 'fis'),
        detections=[[[0, 0, 0, 9, 9]]],
    )


def test_choices_and_doubts():
    nan = math.nan
    records = dict(
        a=record([0.9, 0.92], 20, (1.9, 2.1)),
        b=record([0.7, 0.72], 30, (2.9, 3.1), boxes=11),
        # Further from the second than the groups of images are apart.
        c=record([0.8, 0.82], 60, (5.8, 6.2)),
        lost=record([nan, nan], nan, (nan, nan), lightest=0.3),
    )
    pool = score_pool(records)
    assert [pool[n]['das'] for n in 'abc'] == pytest.approx([1, 0.25, 1.5])
    assert math.isnan(pool['lost']['das']) and math.isnan(pool['a']['bos'])
    assert ranks([pool[n]['das'] for n in pool]).tolist() == [2, 3, 1, 4]
    about = dict(a=1, b=2, c=3, lost=3), dict.fromkeys(records, 'run')
    scores = 'pdr_free', 'das', 'bos', 'pdr'
    picks, said = verdict(records, pool, *about, scores)
    assert picks == dict(
        pdr_free=['c'], das=['c'], bos=[], pdr=['c'], last=['c', 'lost'], choice=['c']
    )
    assert said == [
        'Choose c, the best by pdr_free.',
        'pdr_free, das, pdr prefer c.',
        'last prefers c, lost.',
    ]
    assert verdict(records, pool, *about, ('das',))[0]['choice'] == []
    # Twice as large features have a PDR four times as large.
    records['b'] = record([0.7], 70, (2.9, 3.1), boxes=11, pdr_free=3.0)
    _, said = verdict(records, score_pool(records), *about, ('pdr_free', 'pdr'))
    assert said[1:3] == ['pdr_free prefers c.', 'pdr prefers b.']
    assert 'pdr_free and pdr disagree' in said[4]
    doubts = ' '.join(warnings_of(records, 2))
    assert 'b detects 11.0 boxes an image, the median of the others is 5.0' in doubts
    assert 'lost hardly predicts' in doubts and 'in only 0 of 2' in doubts
    two = {name: records[name] for name in 'ab'}
    assert [s.split(' d')[0] for s in warnings_of(two, 1)] == ['a', 'b']
    alone = dict(a=records['a'])
    picks, said = verdict(alone, score_pool(alone), *about, ('pdr_free',))
    assert picks['choice'] == said == []
    assert warnings_of(alone, 1) == [
        'A single candidate says nothing: give others to compare it with.'
    ]
    assert best(dict(a=nan, b=nan)) == []


def test_noise_is_that_of_the_images():
    # Differences 1 - d and 1 + d without one of two groups: the jackknife's
    # standard error is d.
    for d, good in ((0.4, ['a']), (0.6, ['a', 'b'])):
        records = dict(a=record([0.5], 30, (2 - d, 2 + d)), b=record([0.5], 20, (1, 1)))
        assert as_good(records, score_pool(records)) == good
    # Too few images to tell.
    few = dict(b=record([0.5], 20), a=record([0.5], 30), c=record([0.5], math.nan))
    assert as_good(few, score_pool(few)) == ['a', 'b']


@pytest.mark.parametrize(('late', 'choice'), [(2.5, 'late'), (2.3, 'early')])
def test_of_the_best_ones_run_the_last_that_has_not_fallen(late, choice):
    records = dict(
        early=record([0.5], 30, (3.0, 3.0)),
        late=record([0.5], 10 * late, (late, late)),
        other=record([0.5], 29, (2.5, 3.3)),
        spoilt=record([0.5], 10, (1.0, 1.0)),
        lost=record([math.nan], math.nan, (math.nan, math.nan)),
    )
    pool = score_pool(records)
    iterations = dict(early=1, late=2, spoilt=3, lost=4, other=5)
    runs = dict.fromkeys(records, 'run') | dict(other='longer')
    picks, said = verdict(records, pool, iterations, runs, ('pdr_free',))
    assert picks['choice'] == [choice]
    assert (
        said[0]
        == {
            'early': 'Choose early, the best by pdr_free.',
            'late': 'Choose late, the last of the run of early, the best by pdr_free, '
            'that is not much lower.',
        }[choice]
    )
    assert said[-1] == (
        'pdr_free does not separate early from other: they differ by less than twice '
        'the standard error.'
    )
    lower = 'spoilt' if choice == 'late' else 'late, spoilt'
    doubt = f'After {choice} the run spoils: pdr_free of {lower}, lost is more than 20%'
    assert sum(sentence.startswith(doubt) for sentence in said) == 1
    # The best, if every candidate is a run.
    runs = dict(zip(records, records, strict=True))
    assert choose(pool, iterations, runs) == 'early'


def test_averages_over_draws_and_images():
    values = [[[0.2, 1], [math.nan, math.nan]], [[0.4, 2], [0.8, 4]]]
    found = over_draws(values, 'bos', 'bos_max')
    assert found['bos'] == pytest.approx((0.2 + 0.6) / 2)
    assert found['bos_max'] == pytest.approx((1 + 3) / 2)
    assert found['deviation'] == pytest.approx(np.std([0.2, 0.6], ddof=1))
    assert found['used'] == 2


def test_consensus_compares_sure_detections_alone():
    image = Distributions(
        np.array([[0, 0, 10, 10.004], [1, 1, 2, 2]]),
        np.array([2, 0]),
        np.array([0.9, 0.2]),
        np.zeros((2, 4)),
    )
    assert sure_detections(image) == [[2, 0, 0, 10, 10]]


@pytest.mark.slow
def test_the_command(pair, first, tmp_path):
    folder = pair / 'run'
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(CONFIGS):
        shutil.copy(pair / f'{name}.pth', folder / f'iter_{100 + number}.pth')
    arguments = [CONFIGS['ifan'], folder, '--out', tmp_path / 'out', '--images', 3]
    result = run_tool('analysis/selection.py', *arguments, cwd=pair)
    assert result.returncode == 0, result.stderr
    assert 'prefer iter_101.' in result.stdout
    assert '- Measured with images 3, repeats 1, seed 0, mode relative' in result.stdout
    found, expected = (
        json.loads((out / 'selection.json').read_text())['candidates']
        for out in (tmp_path / 'out', first)
    )
    for number, name in enumerate(CONFIGS):
        file = folder / f'iter_{100 + number}.pth'
        assert found.pop(file.stem) == dict(expected[name], path=str(file))
    assert not found
    for wrong, sentence in (
        (['nothing'], "there is no checkpoint 'nothing'"),
        ([folder, '--scores', 'luck'], 'there is no score luck'),
        ([folder, '--step', 0], 'must be a finite number above 0'),
        ([folder, '--device', 'abacus'], 'abacus cannot be used here'),
    ):
        result = run_tool(
            'analysis/selection.py',
            CONFIGS['ifan'],
            *wrong,
            '--out',
            tmp_path / 'no',
            cwd=pair,
        )
        assert result.returncode == 2 and sentence in result.stderr


def test_names_of_candidates(pair, tmp_path, monkeypatch):
    folders = [tmp_path / name / 'run' for name in 'ab']
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / 'iter_2.pth').touch()
    monkeypatch.syspath_prepend(ROOT / 'tools')
    named = runpy.run_path(str(ROOT / 'tools/analysis/selection.py'))['candidates']
    a, b = (str(folder / 'iter_2.pth') for folder in folders)
    assert named([str(folders[0])]) == {'iter_2': a}
    assert named([str(folders[0]), f'other={folders[1]}']) == {
        'run/iter_2': a,
        'other/iter_2': b,
    }
    assert named([f'x={a}', b]) == {'x': a, 'iter_2': b}
    monkeypatch.chdir(folders[0])
    assert list(named(['.', f'x={b}'])) == ['run/iter_2', 'x']
    with pytest.raises(ValueError, match='both called run/iter_2: give NAME=PATH'):
        named(list(map(str, folders)))
    with pytest.raises(ValueError, match='has no iter_'):
        named([str(tmp_path)])


@pytest.mark.parametrize(
    'wrong',
    [
        dict(images=0),
        dict(repeats=0),
        dict(mode='typo'),
        dict(step=0.0),
        dict(step=math.nan),
        dict(dropout=1.0),
    ],
)
def test_settings_that_cannot_be_meant(wrong):
    with pytest.raises(DataError, match=str(next(iter(wrong.values())))):
        Settings(**wrong)


@pytest.mark.slow
def test_measures_again_what_depends_on_the_config(pair):
    cfg = config_of(pair)
    digest = Images(cfg, 2).digest
    assert Images(copy.deepcopy(cfg), 2).digest == digest
    assert Images(cfg, 3).digest != digest
    smaller = copy.deepcopy(cfg)
    smaller.test_dataloader.dataset.pipeline[1].scale = (128, 64)
    # For a checkpoint without a config.
    strict = copy.deepcopy(cfg)
    strict.model.test_cfg.rcnn.score_thr = 0.5
    unlabelled = copy.deepcopy(cfg)
    path = Path(cfg.test_dataloader.dataset.source.ann_file)
    content = json.loads((pair / 'data/mini_city' / path).read_text())
    del content['annotations'][0]
    (pair / 'fewer.json').write_text(json.dumps(content))
    unlabelled.test_dataloader.dataset.source.ann_file = str(pair / 'fewer.json')
    for other in (smaller, strict, unlabelled):
        assert Images(other, 2).digest != digest


@pytest.mark.slow
def test_a_damaged_measure_is_made_again(pair, first, tmp_path, capsys):
    for number, texts in enumerate(
        (('{"clean": {', '[1, 2]'), ('null', '{"clean": {}}'))
    ):
        shutil.copytree(first, tmp_path / str(number))
        files = (tmp_path / str(number) / 'candidates').iterdir()
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        select(pair, tmp_path / str(number))
        assert contents(tmp_path / str(number)) == contents(first)


@pytest.mark.slow
def test_modules_that_the_config_imports_are_trusted(pair, tmp_path):
    loaded = torch.load(pair / 'ifan.pth', weights_only=False)
    text = loaded['meta']['cfg'] + "\ncustom_imports = dict(imports=['json.tool'])\n"
    loaded['meta']['cfg'] = text
    torch.save(loaded, tmp_path / 'own.pth')
    cfg = config_of(pair)
    with pytest.raises(DataError, match='import what it needs by custom_imports'):
        detector_of(str(tmp_path / 'own.pth'), cfg)
    for imports in ('json.tool', ['json.tool']):
        cfg.custom_imports = dict(imports=imports)
        assert detector_of(str(tmp_path / 'own.pth'), cfg)[1] == 100


@pytest.mark.slow
def test_refuses_other_detectors(pair, tmp_path):
    cfg = config_of(pair)
    images = Images(cfg, 1)
    pool = Selection(images, SETTINGS, tmp_path, lambda _: (torch.nn.Identity(), 1))
    with pytest.raises(DataError, match='holds a Identity: .* Leave it out'):
        pool.measure({'x': str(pair / 'ifan.pth')})


@pytest.mark.slow
def test_who_detects_nothing_has_no_ratio(pair):
    cfg = config_of(pair)
    model, _ = detector_of(str(pair / 'ifan.pth'), cfg)
    model.test_cfg.rcnn.score_thr = 1.0
    found = selection.measure(model, Images(cfg, 2), SETTINGS, ())['clean']
    assert found['boxes'] == 0
    assert math.isnan(found['pdr']) and math.isnan(found['pdr_free'])
