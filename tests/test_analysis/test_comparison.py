"""Gain, gap recovered and the table, by hand."""

import math

import pytest

from mmdet_ifan.analysis.comparison import comparison_table, gap_recovered, to_markdown


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


def test_comparison_table() -> None:
    runs = dict(
        source_only=metrics(20.0, 60.0, car=30.0, bus=10.0),
        ifan=metrics(30.0, 55.0, car=45.0),
        oracle=metrics(40.0, 41.0, car=50.0, bus=30.0),
    )
    rows = comparison_table(runs, ('car', 'bus'))
    assert rows[0][1:3] == ['car', 'bus']
    assert rows[1] == ['source_only', '30.0', '10.0', '20.0', '60.0', '', '']
    # A class without a box on target has no AP.
    assert rows[2] == ['ifan', '45.0', 'nan', '30.0', '55.0', '+10.0', '50 %']
    assert rows[3][-2:] == ['+20.0', '100 %']


def test_markdown() -> None:
    assert to_markdown([['a', 'bb'], ['ccc', 'd']]) == (
        '| a   | bb |\n| --- | -: |\n| ccc |  d |\n'
    )
