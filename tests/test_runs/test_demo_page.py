"""What the demo's page says of good and of poor results."""

import math

import pytest

from mmdet_ifan.runs.demo_page import changes_in_words, next_step, result_in_words

CLASSES = ['car', 'bus', 'train']
ERRORS = dict(
    heights=[9.0, 40.0],
    objects=[50, 50],
    states={
        'source-only': {'found': 30, 'detections': 33},
        'iFAN': {'found': 60, 'detections': 70},
    },
    found=dict(iFAN=[20, 40]),
)


def runs(base: float, method: float, best: float, source: float = 80.0) -> dict:
    """Make metrics of the three rows; target has no train."""

    def metrics(target: float, **values: float) -> dict[str, float]:
        return {
            'target/mAP50': target,
            'target/AP50/train': math.nan,
            **{f'target/AP50/{name}': value for name, value in values.items()},
        }

    return {
        'source-only': metrics(base) | {'source/mAP50': 80.0},
        'iFAN': metrics(method, car=70.0, bus=60.0) | {'source/mAP50': source},
        'oracle': metrics(best, car=75.0, bus=72.5) | {'source/mAP50': 50.0},
    }


@pytest.mark.parametrize(
    ('values', 'verdict'),
    [
        ((40.0, 70.0, 80.0), 'boxes, reaches 70.0: 75 % of the gap.'),
        ((40.0, 41.0, 80.0), 'reaches 41.0: adaptation made no difference.'),
        ((40.0, 39.0, 80.0), 'reaches 39.0: adaptation made no difference.'),
        ((40.0, 30.0, 80.0), 'reaches 30.0: adaptation did harm.'),
        ((40.0, 60.0, 41.0), 'there is no gap to recover'),
        ((40.0, 60.0, 30.0), 'there is no gap to recover'),
    ],
)
def test_result(values: tuple, verdict: str) -> None:
    assert verdict in result_in_words(*values)


@pytest.mark.parametrize(
    ('source', 'price'),
    [
        (75.0, '5.0 points below source-only. Of'),
        (79.0, '1.0 points below source-only, which is within the noise. Of'),
        (84.0, '4.0 points above source-only. Of'),
    ],
)
def test_price_and_errors(source: float, price: str) -> None:
    line = changes_in_words(runs(40.0, 70.0, 80.0, source), ERRORS)
    assert price in line
    assert line.endswith(
        'Of 100 objects in the fog it finds 60 (source-only: 30) with 70 '
        'detections (33).'
    )


def test_next_step_after_success() -> None:
    line = next_step(runs(40.0, 70.0, 80.0), CLASSES, ERRORS, [90.0], 3)
    assert '--seed 4' in line
    assert 'bus, 12.5 points below the oracle' in line
    assert 'up to 9 px high iFAN finds 40 %, of the largest quarter 80 %' in line


def test_next_step_after_failure() -> None:
    accuracies = [50.0] * 8 + [90.0, 100.0]
    line = next_step(runs(40.0, 41.0, 80.0), CLASSES, ERRORS, accuracies, 3)
    assert 'signals.md' in line and 'It was 95 % in the last fifth' in line
    assert 'It was' not in next_step(runs(40.0, 41.0, 80.0), CLASSES, ERRORS, [], 3)
    assert 'It was 90 %' in next_step(
        runs(40.0, 41.0, 80.0), CLASSES, ERRORS, [90.0], 3
    )


def test_next_step_without_a_gap() -> None:
    line = next_step(runs(40.0, 60.0, 41.0), CLASSES, ERRORS, [90.0], 3)
    assert 'max_iters' in line
