"""The benchmark on tiny detectors: what it counts, not how fast it is."""

import copy
import json
import runpy
import sys
import time
from pathlib import Path

import pytest
import torch
from benchmark.detectors import Load, TrainStep
from benchmark.growth import growth
from benchmark.inference import inference_cost
from benchmark.loading import loading_cost
from benchmark.profiling import profile_parts
from benchmark.tables import make_tables
from benchmark.timing import ratios, time_in_turn
from benchmark.training import _steps, training_cost
from mmengine.config import Config
from torch import nn

from mmdet_ifan.analysis.page_tables import put_tables
from mmdet_ifan.models.alignments import ObjectRelationHead

ROOT = Path(__file__).resolve().parents[1]
LOAD = Load((64, 96), batch=1, instances=2)


@pytest.fixture
def cfg(tiny_cfg, configs) -> Config:
    """A whole config around the tiny detector."""
    cfg = Config.fromfile(configs / 'ifan/ifan_mini-city.py')
    cfg.model = tiny_cfg
    return cfg


# Timing


def test_variants_take_turns():
    order = []
    times = time_in_turn(
        dict(a=lambda: order.append('a'), b=lambda: order.append('b')), 3
    )
    assert order == ['a', 'b'] * 3
    assert [len(values) for values in times.values()] == [3, 3]


def test_sleep_of_others_is_not_counted():
    if torch.cuda.is_available():
        pytest.skip('With CUDA, wall-clock time is measured.')
    times = time_in_turn(dict(sleep=lambda: time.sleep(0.2)), 1)
    assert times['sleep'][0] < 0.1


def test_ratios_are_those_of_each_round():
    # The machine is twice as slow in the second round, for both.
    figures = ratios(dict(a=[1, 2, 1, 1, 1], b=[3, 6, 3, 4, 2]), 'a')
    assert figures['a'] == dict(seconds=1, median=1, low=1, high=1)
    assert figures['b'] == dict(seconds=3, median=3, low=3, high=3)


# Profiles


class Halves(nn.Module):
    """Two layers: the first is a part and holds a part."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(400, 400, bias=False))
        self.second = nn.Linear(400, 1, bias=False)

    def step(self) -> None:
        x = torch.ones(1000, 400)
        self.second(self.first(x)).sum().backward()


def test_profile_shares_forward_and_backward_out():
    model = Halves()
    model.step()
    parts = [(model.first, 'forward', 'outer'), (model.first[0], 'forward', 'inner')]
    profiles = []
    for _ in range(5):
        model.zero_grad()
        profile = profile_parts(model.step, parts)
        assert set(profile.seconds) == {'other', 'outer', 'inner'}
        assert all(value >= 0 for value in profile.seconds.values())
        profiles.append(profile.seconds)
    # Other processes take the core for as long as a step, but not at each.
    seconds = {part: min(times[part] for times in profiles) for part in profiles[0]}
    # Forward and backward of the one large product.
    assert seconds['inner'] > seconds['outer'] + seconds['other']
    # The methods are the class's again.
    assert 'forward' not in vars(model.first)
    if not torch.cuda.is_available():
        # x, the first output, its gradient and that of the first weight.
        million = 1000 * 400 * 4
        assert 3 * million <= profile.peak_bytes <= 3 * million + 2e6


def test_peak_is_not_the_sum():

    def one_after_the_other() -> None:
        for _ in range(5):
            torch.zeros(1_000_000)

    if not torch.cuda.is_available():
        peak = profile_parts(one_after_the_other, []).peak_bytes
        assert peak == pytest.approx(4e6, rel=0.01)


# What is measured


@pytest.mark.slow
def test_training_cost_names_every_variant(cfg):
    figures = training_cost({'ifan': cfg}, LOAD, 1)
    assert list(figures) == [
        'stock',
        'stock, source alone',
        'ifan: nothing',
        'ifan: image',
        'ifan: image + instance',
        'ifan: image + instance + correlation',
    ]
    assert figures['stock']['median'] == figures['stock']['memory'] == 1
    assert figures['stock, source alone']['alone'] == 1
    peaks = [row['peak_bytes'] for row in figures.values()]
    # One image needs less than two; each alignment needs more.
    assert peaks[1] < peaks[0] and peaks[2:] == sorted(peaks[2:])
    parts = [set(row['parts']) for row in figures.values()]
    assert not any(
        part.startswith(('image:', 'instance:', 'correlation:')) for part in parts[2]
    )
    assert {
        'image: classifiers',
        'instance: classifiers',
        'correlation: RoIAlign',
        'correlation: embedding',
        'backbone',
        'RPN',
        'RoIAlign',
        'box head',
        'optimizer',
    } <= parts[-1]


def test_steps_leave_the_weights_alone(cfg):
    """Otherwise variants would be compared on different work."""
    steps = _steps({'ifan': cfg}, LOAD, all_launched_only=True)
    assert list(steps) == [
        'stock',
        'stock, source alone',
        'ifan: image + instance + correlation',
    ]
    before = {
        name: [p.clone() for p in step.detector.parameters()]
        for name, step in steps.items()
    }
    for name, step in steps.items():
        step()
        for parameter, old in zip(
            step.detector.parameters(), before[name], strict=True
        ):
            assert torch.equal(parameter, old), name


@pytest.fixture
def taught(cfg) -> Config:
    """MTOR around the same detector."""
    taught = copy.deepcopy(cfg)
    taught.model.neck = dict(type='LastTap')
    taught.model.alignments = dict(mtor=dict(type='ObjectRelationHead'))
    return taught


@pytest.mark.parametrize(('least', 'measured'), [(64, True), (65, False)])
def test_a_term_that_needs_larger_images_is_left_out(
    cfg, taught, monkeypatch, least, measured
):
    monkeypatch.setattr(ObjectRelationHead, 'min_image_size', least)
    steps = _steps(dict(ifan=cfg, mtor=taught), LOAD, all_launched_only=True)
    assert ('mtor: mtor' in steps) == measured


def test_a_teacher_is_held_and_averaged(cfg, taught):
    """As in a run with a ``TeacherHook``."""
    nothing, mtor = list(_steps(dict(ifan=cfg, mtor=taught), LOAD, True).values())[-2:]
    assert nothing.average is None
    plain = TrainStep(mtor.detector, taught, mtor.batch)
    weights = sum(
        p.numel() * p.element_size() for p in mtor.detector.state_dict().values()
    )
    assert mtor.held_bytes - plain.held_bytes == pytest.approx(weights, abs=100)
    mtor()
    assert mtor.detector.teacher is mtor.average.module
    assert not mtor.average.module.training
    assert mtor.average.steps == 1


def test_inference_and_loading(cfg):
    assert set(inference_cost(cfg, (64, 96), 1)) == {'stock', 'iFAN', 'exported'}
    figures = loading_cost(cfg, (32, 64), 4, 1)
    assert figures['singly']['median'] == 1
    assert figures['paired']['seconds'] > 0


@pytest.mark.slow
def test_growth_grows(cfg):
    cfg.model.alignments.correlation.object_cfg = dict(
        score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=4
    )
    rows = growth(cfg, 1, {'images of a domain': (1, 4)})
    assert [row['value'] for row in rows] == [1, 4]
    assert rows[1]['peak_bytes'] > rows[0]['peak_bytes']


# Tables


def test_tables_replace_those_of_the_page(tmp_path):
    row = dict(
        seconds=2.0,
        median=1.234,
        low=1.2,
        high=1.3,
        alone=2.0,
        memory=1.1,
        peak_bytes=3 * 2**20,
        parts=dict(backbone=0.75, RPN=0.25, other=0.001),
    )
    bench = {
        'machine': dict(device='x'),
        'steps/mini/256x128': {'stock': row, 'ifan: image': row},
        'loading/256x128': dict(singly=row),
    }
    page = tmp_path / 'page.md'
    names = ('steps', 'parts', 'rest', 'growth')
    page.write_text(
        'before\n'
        + ''.join(f'<!-- {name} -->\nold\n<!-- /{name} -->\n' for name in names)
    )
    tables = make_tables(bench)
    for _ in range(2):
        put_tables(tables, page)
        text = page.read_text()
        assert text.startswith('before') and 'old' not in text
        assert all(text.count(table) == 1 for table in tables.values())
    assert '| mini, 256x128: ifan: image |' in text
    assert '1.23 | 1.20 to 1.30' in text
    assert 'backbone' in text and '74.9' in text
    start, end = '<!-- steps -->\n', '<!-- /steps -->\n'
    for wrong in ('nothing', end + start, start + end + start, start + 2 * end):
        page.write_text(wrong)
        with pytest.raises(ValueError, match='needs the line <!-- steps -->'):
            put_tables(tables, page)
        assert page.read_text() == wrong


def test_tool_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    out = tmp_path / 'bench.json'
    out.write_text(json.dumps({'machine': dict(device='kept')}))
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.setattr(
        sys, 'argv', ['bench.py', '--out', str(out), '--only', 'machine']
    )
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / 'tools/bench.py'), run_name='__main__')
    assert stop.value.code == 0
    assert json.loads(out.read_text()) == {'machine': dict(device='kept')}
    assert f'The measurements are in {out}.' in capsys.readouterr().out
