"""Gap recovered and tables, by hand."""

import math

import pytest

from mmdet_ifan.analysis.comparison import (
    classes_table,
    gap_recovered,
    summary_table,
    to_markdown,
)


def metrics(target: float, source: float, **classes: float) -> dict:
    """Give metrics under the evaluator's names."""
    aps = {f'target/AP50/{name}': ap for name, ap in classes.items()}
    return {'target/mAP50': target, 'source/mAP50': source, **aps}


@pytest.mark.parametrize(
    ('low', 'method', 'best', 'expected'),
    [
        (16.9, 35.3, 38.9, 83.6),  # The paper, Cityscapes to Foggy, VGG-16.
        (34.9, 46.9, 61.1, 45.8),  # The paper, SIM10K to Cityscapes, VGG-16.
        (20.0, 10.0, 40.0, -50.0),
        (20.0, 50.0, 40.0, 150.0),
    ],
)
def test_gap_recovered(low: float, method: float, best: float, expected: float) -> None:
    assert gap_recovered(low, method, best) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize('best', [20.0, 15.0])
def test_gap_without_a_gap(best: float) -> None:
    assert math.isnan(gap_recovered(20.0, 18.0, best))


RUNS = {
    'source-only': metrics(20.0, 60.0, car=30.0, bus=10.0),
    'iFAN': metrics(30.0, 55.0, car=45.0),
    'oracle': metrics(40.0, 41.0, car=50.0, bus=30.0),
}


def test_summary() -> None:
    assert summary_table(RUNS, 'day', 'night') == [
        ['mAP50 (%)', 'day', 'night', 'gap recovered'],
        ['source-only', '60.0', '20.0', ''],
        ['iFAN', '55.0', '30.0', '50 %'],
        ['oracle', '41.0', '40.0', '100 %'],
    ]


def test_summary_without_a_gap() -> None:
    runs = RUNS | dict(oracle=metrics(19.0, 41.0))
    assert [row[-1] for row in summary_table(runs)[1:]] == ['', '–', '–']


def test_classes() -> None:
    # A class without a box on target has no AP.
    assert classes_table(RUNS, ('car', 'bus')) == [
        ['AP50 (%)', 'source-only', 'iFAN', 'oracle'],
        ['car', '30.0', '45.0', '50.0'],
        ['bus', '10.0', '–', '30.0'],
    ]


def test_markdown() -> None:
    assert to_markdown([['a', 'bb'], ['ccc', 'd']]) == (
        '| a   | bb |\n| --- | -: |\n| ccc |  d |\n'
    )
