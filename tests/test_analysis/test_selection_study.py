"""Measures of the scores, against values worked out by hand."""

import json
import math

import pytest
from processes import run_tool

from mmdet_ifan.analysis.selection_study import follow, join, study_pool, study_table
from mmdet_ifan.utils.errors import DataError

SCORES, APS = [0.2, 0.5, 0.4, 0.9, 0.6], [40, 48, 50, 55, 57]


def test_a_pool():
    found = follow(SCORES, APS)
    assert found == pytest.approx(
        dict(spearman=0.8, kendall=0.6, pearson=0.8253, pairs=1.0, regret=2.0), abs=1e-4
    )
    rows = {
        str(i): dict(
            scores=dict(das=score), iteration=100 * i, chosen=i == 2, target_ap=ap
        )
        for i, (score, ap) in enumerate(zip(SCORES, APS, strict=True))
    }
    pool = study_pool(rows)
    assert pool['das'] == found
    assert pool['last']['regret'] == 0
    assert pool['last']['spearman'] == pytest.approx(1)
    assert pool['choice'] == dict(regret=7)
    assert pool['random']['regret'] == 7 and pool['worst']['regret'] == 17


def test_ties_and_nothing():
    # NaN is last: the second of two.
    assert follow([1, math.nan], [30, 40])['spearman'] == pytest.approx(-1)
    # A choice among two that tie is that of either.
    assert follow([1, 1, 0], [30, 40, 50])['regret'] == 15
    equal = follow([1, 1], [30, 40])
    assert math.isnan(equal['spearman']) and math.isnan(equal['pairs'])
    # A choice among equals is a random one.
    assert equal['regret'] == 5
    # Within two points the order says nothing.
    assert math.isnan(follow([1, 2], [30, 31])['pairs'])


def test_metrics_of_a_study_and_by_name():
    study = dict(ifan={'2': {'target/mAP50': 70.0}}, adda={})
    rows = {
        name: dict(scores={}, iteration=5, chosen=True, fis=None)
        for name in ('ifan', 'adda')
    }
    joined = dict(scores={}, iteration=5, chosen=True, target_ap=70.0)
    assert join(dict(ifan=rows['ifan']), study, 2) == dict(ifan=joined)
    by_name = dict(ifan={'target/mAP50': 70.0}, other={})
    assert join(dict(ifan=rows['ifan']), by_name) == dict(ifan=joined)
    with pytest.raises(DataError, match='no target/mAP50 of adda with seed 2'):
        join(rows, study, 2)


def test_many_pools_are_summed_up():
    pools = [dict(das=dict(spearman=s, regret=r)) for s, r in ((1, 0), (0.4, 5))]
    empty = [dict(das=dict(spearman=math.nan, regret=1))]
    rows = study_table(pools + empty * 2, ('spearman', 'regret'))
    assert rows[1] == ['das', '0.70 (0.40)', '1.8 (5.0)']
    rows = study_table(pools + empty, ('spearman', 'regret'))
    assert rows[1] == ['das', '1.00 / 0.40 / –', '0.0 / 5.0 / 1.0 (2.0)']


@pytest.mark.slow
def test_the_command(tmp_path):
    rows = {
        f'm{i}': dict(scores=dict(das=score, bos=None), iteration=1000, chosen=i == 1)
        for i, score in enumerate(SCORES)
    }
    (tmp_path / 's.json').write_text(json.dumps(dict(candidates=rows)))
    metrics = {
        f'm{i}': {'2': {'target/mAP50': ap}, '3': {'target/mAP50': ap}}
        for i, ap in enumerate(APS)
    }
    (tmp_path / 'm.json').write_text(json.dumps(metrics))
    arguments = ['s.json', 's.json', '--metrics', 'm.json']
    result = run_tool(
        'analysis/selection_study.py',
        *arguments,
        '--seeds',
        2,
        3,
        '--out',
        'o.json',
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    cells = {
        row.split('|')[1].strip(): [cell.strip() for cell in row.split('|')[2:-1]]
        for row in result.stdout.splitlines()
        if row.startswith('|')
    }
    assert cells['das'][0] == '0.80 / 0.80 (0.80)'
    assert cells['das'][4] == '2.0 / 2.0 (2.0)'
    # All are of one iteration, or have no score: none is preferred.
    assert cells['last'][0] == cells['bos'][0] == ''
    assert cells['choice'][4] == '9.0 / 9.0 (9.0)'
    assert cells['last'][4] == '7.0 / 7.0 (7.0)'
    pools = json.loads((tmp_path / 'o.json').read_text())
    assert len(pools) == 2 and pools[1]['m3'] == dict(rows['m3'], target_ap=55)
    wrong = run_tool(
        'analysis/selection_study.py', 'm.json', '--metrics', 'm.json', cwd=tmp_path
    )
    assert wrong.returncode == 2 and 'm.json has no candidates' in wrong.stderr
    failed = run_tool('analysis/selection_study.py', *arguments, cwd=tmp_path)
    assert failed.returncode == 2 and 'no target/mAP50 of m0' in failed.stderr
