import numpy as np
import pytest

from mmdet_ifan.preparation.fog import SKY_DEPTH, depth_from_disparity, fill_holes

BASELINE, FOCAL = 0.2, 2000.0  # 400 / disparity


def stored(pixels):
    """Disparities in px as Cityscapes has them; None is a hole."""
    return np.array(
        [
            [0 if each is None else round(each * 256) + 1 for each in row]
            for row in pixels
        ],
        np.uint16,
    )


def depth_of(pixels, sky=None):
    pixels = stored(pixels)
    sky = np.zeros_like(pixels) if sky is None else np.array(sky)
    return depth_from_disparity(pixels, BASELINE, FOCAL, sky.astype(bool))


def by_hand(values, known):
    """The same rule, one pixel after the other."""
    filled = np.full(values.shape, np.nan)
    height, width = values.shape
    for y in range(height):
        for x in range(width):
            near = [values[y, i] for i in range(x, -1, -1) if known[y, i]][:1]
            near += [values[y, i] for i in range(x, width) if known[y, i]][:1]
            if near:
                filled[y, x] = min(near)
    for y in range(height):
        source = next(
            (row for row in [*range(y, -1, -1), *range(y, height)] if known[row].any()),
            None,
        )
        filled[y] = np.where(known[y].any(), filled[y], filled[source])
    return filled


def test_depth_by_hand():
    np.testing.assert_allclose(depth_of([[40, 20, 4]]), [[10, 20, 100]])


def test_no_disparity_and_very_little_are_the_sky():
    np.testing.assert_array_equal(
        depth_of([[0, 0.25, 40]]), [[SKY_DEPTH, SKY_DEPTH, 10]]
    )


def test_hole_beside_a_near_object_is_background():
    """The car at 10 m hides from one camera what is 40 m away."""
    np.testing.assert_allclose(
        depth_of([[4, 4, 4, 4, 4], [10, None, None, 40, 40]]),
        [[100] * 5, [40, 40, 40, 10, 10]],
    )
    np.testing.assert_allclose(
        depth_of([[4, 4, 4, 4, 4], [40, 40, None, None, 10]]),
        [[100] * 5, [10, 10, 40, 40, 40]],
    )


def test_hole_at_the_border_and_row_without_any():
    np.testing.assert_allclose(
        depth_of([[None] * 3, [None, 20, None], [None] * 3, [10, 10, 10], [None] * 3]),
        [[20] * 3, [20] * 3, [20] * 3, [40] * 3, [40] * 3],
    )


def test_sky_is_far_and_lends_nothing_to_its_neighbours():
    # A match in the sky is wrong; the hole belongs to the tower.
    depth = depth_of([[20, None, 40], [20, None, 40]], [[1, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(depth, [[SKY_DEPTH, 10, 10], [20, 20, 10]])


@pytest.mark.parametrize('seed', range(20))
def test_filling_equals_a_loop_over_pixels(seed):
    rng = np.random.default_rng(seed)
    values = rng.random((9, 11)).astype(np.float32)
    known = rng.random((9, 11)) < rng.choice([0.05, 0.3, 0.8])
    known[rng.integers(9), rng.integers(11)] = True
    np.testing.assert_array_equal(fill_holes(values, known), by_hand(values, known))


@pytest.mark.parametrize('pixels, sky', [([[None, None]], None), ([[9, 9]], [[1, 1]])])
def test_no_measurement(pixels, sky):
    with pytest.raises(ValueError, match='no measurement'):
        depth_of(pixels, sky)
