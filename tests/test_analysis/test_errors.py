"""Errors that adaptation fixed and introduced."""

import cv2
import numpy as np
import pytest

from mmdet_ifan.analysis.detections import Detections, Truth
from mmdet_ifan.analysis.errors import (
    STATES,
    compare_errors,
    count_errors,
    errors_table,
    judge,
    plot_errors,
    sizes_table,
    states_table,
)

CLASSES = ['cat', 'dog']


def truth(*objects: tuple[int, tuple], crowds: tuple = ()) -> Truth:
    """Make an image with (label, box) objects."""
    return Truth(
        '',
        np.array([box for _, box in objects]).reshape(-1, 4),
        np.array([label for label, _ in objects], dtype=int),
        np.array(crowds).reshape(-1, 4),
    )


def found(*detections: tuple[int, tuple]) -> Detections:
    """Make detections, best first."""
    boxes = np.array([box for _, box in detections], dtype=float)
    return Detections(
        boxes.reshape(-1, 4),
        np.array([label for label, _ in detections], dtype=int),
        np.linspace(0.9, 0.5, len(detections)),
    )


BOX = (0, 0, 10, 10)
#: IoU with BOX: 0.6, 0.25 and 0.05.
CLOSE, NEAR, FAR = (0, 0, 10, 6), (0, 0, 5, 5), (0, 0, 1, 5)
ELSEWHERE = (50, 50, 60, 60)


@pytest.mark.parametrize(
    ('detections', 'state', 'false'),
    [
        ([], 'missed', []),
        ([(0, CLOSE)], 'found', []),
        # The best of those that match counts.
        ([(0, NEAR), (0, CLOSE)], 'found', []),
        ([(1, CLOSE)], 'confused', []),
        ([(0, NEAR)], 'mislocalised', []),
        ([(1, NEAR)], 'missed', []),
        ([(0, NEAR), (1, CLOSE)], 'confused', []),
        ([(0, FAR)], 'missed', [0]),
        ([(0, CLOSE), (1, ELSEWHERE)], 'found', [1]),
    ],
)
def test_one_object(detections, state, false):
    states, labels = judge(truth((0, BOX)), found(*detections))
    assert [STATES[s] for s in states] == [state]
    assert labels.tolist() == false


def test_a_detection_finds_one_object_only():
    # Two cats side by side under one wide box, and each under its own.
    left, right = (0, 0, 10, 10), (0, 1, 10, 11)
    both = truth((0, left), (0, right))
    states, false = judge(both, found((0, left)))
    assert sorted(STATES[s] for s in states) == ['found', 'mislocalised']
    states, false = judge(both, found((0, left), (0, right)))
    assert [STATES[s] for s in states] == ['found', 'found']
    # The second takes the object that is still free.
    states, false = judge(both, found((0, left), (0, left)))
    assert [STATES[s] for s in states] == ['found', 'found']
    assert not len(false)


def test_crowds_and_empty_images_count_neither_way():
    states, false = judge(truth(crowds=(BOX,)), found((0, CLOSE)))
    assert not len(states) and not len(false)
    # Nor one that is a small part of a large crowd.
    assert not len(judge(truth(crowds=(BOX,)), found((0, FAR)))[1])
    states, false = judge(truth(), found((1, CLOSE)))
    assert false.tolist() == [1]
    states, false = judge(truth(), found())
    assert not len(states) and not len(false)


def test_changes_are_counted_by_class(tmp_path):
    images = [truth((0, BOX), (1, ELSEWHERE)), truth((0, BOX))]
    before = [found((1, ELSEWHERE)), found((0, CLOSE), (1, ELSEWHERE))]
    after = [found((0, CLOSE)), found((1, CLOSE))]
    counts = compare_errors(images, before, after, CLASSES)
    cat, dog = counts['cat'], counts['dog']
    assert (cat['objects'], cat['fixed'], cat['broken']) == (2, 1, 1)
    assert (cat['missed before'], cat['missed after']) == (1, 0)
    assert (cat['confused before'], cat['confused after']) == (0, 1)
    assert (dog['objects'], dog['fixed'], dog['broken']) == (1, 0, 1)
    assert (dog['false before'], dog['false after']) == (1, 0)
    for count in counts.values():
        for when in ('before', 'after'):
            assert count['objects'] == sum(count[f'{state} {when}'] for state in STATES)

    table = errors_table(counts)
    assert table[0][:3] == ['class', 'objects', 'found']
    assert [row[0] for row in table[1:]] == [*CLASSES, 'all']
    assert table[-1][1:3] == ['3', '2 → 1']
    path = tmp_path / 'errors.png'
    plot_errors(dict(source=counts, target=counts), ('a', 'b'), path)
    assert cv2.imread(str(path)).shape[1] > 800


def test_errors_by_size():
    # Heights of 10, 20, 30 and 40, in two images; the smallest is missed by
    # one detector, and a cat is taken for a dog by the other.
    boxes = [(0, 0, 10, height) for height in (10, 20, 30, 40)]
    truths = [
        truth((0, boxes[3]), (1, boxes[0])),
        truth((0, boxes[2]), (0, (50, 0, 60, 20))),
    ]
    detectors = dict(
        first=[found((0, boxes[3])), found((0, boxes[2]), (0, (50, 0, 60, 20)))],
        second=[
            found((0, boxes[3]), (1, boxes[0])),
            found((0, boxes[2]), (1, (50, 0, 60, 20)), (0, (80, 0, 90, 9))),
        ],
    )
    counts = count_errors(truths, detectors, parts=2)
    assert counts['heights'] == [20.0, 40.0] and counts['objects'] == [2, 2]
    assert states_table(counts) == [
        ['number', 'first', 'second'],
        ['found', '3', '3'],
        ['mislocalised', '0', '0'],
        ['confused', '0', '1'],
        ['missed', '1', '0'],
        ['detections', '3', '5'],
        ['false detections', '0', '1'],
    ]
    assert sizes_table(counts) == [
        ['found (%), by height', 'first', 'second'],
        ['0 to 20 px', '50', '50'],
        ['20 to 40 px', '100', '100'],
    ]
    # Fewer objects than parts.
    few = count_errors(truths[:1], dict(first=detectors['first'][:1]))
    assert few['objects'] == [1, 1] and few['found'] == dict(first=[0, 1])
