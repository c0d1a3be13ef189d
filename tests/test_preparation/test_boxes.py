import math

import pytest

from mmdet_ifan.preparation.boxes import Box, clean_boxes


def clean(*edges, **attributes):
    return clean_boxes([Box('cat', *edges, **attributes)], 20, 30, 'a.xml')


@pytest.mark.parametrize(
    'edges, bbox',
    [
        ((0, 0, 30, 20), [0, 0, 30, 20]),
        ((2.5, 3.25, 10, 9), [2.5, 3.25, 7.5, 5.75]),
        # Up to one pixel beyond the border is rounding.
        ((-1, -1, 31, 21), [0, 0, 30, 20]),
        ((29, 19, 30, 20), [29, 19, 1, 1]),
    ],
)
def test_good_boxes(edges, bbox):
    (box,), problems = clean(*edges)
    assert box.bbox() == bbox and problems == []


def test_whole_numbers_are_written_as_such():
    (box,), _ = clean(1.0, 2.0, 4.0, 8.0)
    assert str(box.bbox()) == '[1, 2, 3, 6]'


@pytest.mark.parametrize(
    'edges, bbox',
    [
        ((-1.5, 2, 10, 9), [0, 2, 10, 7]),
        ((2, -8, 10, 9), [2, 0, 8, 9]),
        ((2, 3, 45, 9), [2, 3, 28, 6]),
        ((2, 3, 10, 22), [2, 3, 8, 17]),
    ],
)
def test_boxes_over_the_border_are_cut(edges, bbox):
    (box,), (problem,) = clean(*edges)
    assert box.bbox() == bbox
    assert problem.kind == 'boxes cut at the border'


@pytest.mark.parametrize(
    'edges, kind',
    [
        ((5, 5, 5, 9), 'boxes without area'),
        ((5, 5, 9, 5), 'boxes without area'),
        ((9, 5, 5, 9), 'boxes without area'),
        # MMDetection drops boxes narrower than a pixel.
        ((5, 5, 5.9, 9), 'boxes without area'),
        ((30, 5, 40, 9), 'boxes outside the image'),
        ((-9, 5, 0, 9), 'boxes outside the image'),
        ((5, 19.5, 9, 40), 'boxes outside the image'),
        ((math.nan, 5, 9, 9), 'unreadable boxes'),
        ((5, 5, math.inf, 9), 'unreadable boxes'),
    ],
)
def test_bad_boxes_are_left_out(edges, kind):
    boxes, (problem,) = clean(*edges)
    assert boxes == [] and problem.kind == kind
    assert problem.sentence.startswith('a.xml has a cat box (')


def test_area_of_the_object_is_kept_unless_its_box_is_cut():
    assert clean(1, 1, 9, 9, area=30)[0][0].area == 30
    assert clean(1, 1, 35, 9, area=30)[0][0].area is None
