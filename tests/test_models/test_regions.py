"""Boxes of an image grouped into regions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet_ifan.models.layers import cut_patches, first_members, k_means

#: Two groups, not in order.
POINTS = [(10, 10), (14, 10), (12, 16), (100, 50), (104, 50), (12, 8)]
COORDINATES = st.tuples(st.integers(0, 12), st.integers(0, 12))


def far(a, b):
    """Squared distance."""
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def nearest(point, centres):
    """Number of the nearest centre, the first of several."""
    distances = [far(point, centre) for centre in centres]
    return distances.index(min(distances))


def k_means_by_hand(points, num_groups):
    """Group points one by one."""
    centres = [points[0]]
    while len(centres) < num_groups:
        distances = [min(far(p, c) for c in centres) for p in points]
        centres.append(points[distances.index(max(distances))])

    def grouped():
        groups = [[] for _ in centres]
        for i, point in enumerate(points):
            groups[nearest(point, centres)].append(i)
        return groups

    for _ in range(10):
        for k, group in enumerate(grouped()):
            if group:
                centres[k] = tuple(
                    sum(points[i][axis] for i in group) / len(group) for axis in (0, 1)
                )
    groups = [
        group or [nearest(centre, points)]
        for group, centre in zip(grouped(), centres, strict=True)
    ]
    return centres, groups


def members(own):
    """Indices of each group's points."""
    return [row.nonzero().flatten().tolist() for row in own]


def test_two_groups():
    centres, own = k_means(torch.tensor(POINTS), 2)
    assert centres.tolist() == [[12, 11], [102, 50]]
    assert members(own) == [[0, 1, 2, 5], [3, 4]]
    assert k_means_by_hand(POINTS, 2) == ([(12, 11), (102, 50)], members(own))


@settings(deadline=None, derandomize=True, max_examples=200)
@given(points=st.lists(COORDINATES, min_size=1, max_size=12), groups=st.integers(1, 5))
def test_groups_are_those_found_one_by_one(points, groups):
    """Also of fewer points than groups, and of points in one place."""
    centres, own = k_means(torch.tensor(points, dtype=torch.double), groups)
    expected, expected_members = k_means_by_hand(points, groups)
    torch.testing.assert_close(
        centres, torch.tensor(expected, dtype=torch.double), rtol=0, atol=1e-9
    )
    assert members(own) == expected_members
    assert own.any(dim=1).all()


def test_centres_are_exact_in_mixed_precision():
    points = torch.tensor(POINTS).float() + 1000
    expected = k_means(points, 2)
    with torch.autocast('cpu', torch.bfloat16):
        centres, own = k_means(points, 2)
    assert torch.equal(centres, expected[0])
    assert torch.equal(own, expected[1])


@pytest.mark.parametrize(
    ('number', 'expected'),
    [(1, [[0], [3]]), (2, [[0, 1], [3, 4]]), (3, [[0, 1, 2], [3, 4, 3]])],
)
def test_first_members_are_repeated_from_the_front(number, expected):
    _, own = k_means(torch.tensor(POINTS), 2)
    assert first_members(own, number).tolist() == expected


def test_first_members_of_one_point():
    _, own = k_means(torch.tensor([[5, 5]]), 3)
    assert first_members(own, 2).tolist() == [[0, 0]] * 3


@pytest.mark.parametrize(
    ('centre', 'corner'),
    [
        ((10.0, 20.0), (0, 0)),
        ((250.0, 100.0), (192, 64)),
        ((128.0, 64.0), (96, 32)),
        # Cut to integers.
        ((128.9, 64.9), (96, 32)),
    ],
)
def test_patches_stay_in_the_image(centre, corner):
    """In 256 x 128 px, in a batch that is padded."""
    image = torch.rand(3, 150, 300)
    (patch,) = cut_patches(image, torch.tensor([centre]), 64, (128, 256))
    x, y = corner
    assert torch.equal(patch, image[:, y : y + 64, x : x + 64])


def test_a_patch_may_be_all_of_the_image():
    image = torch.rand(3, 20, 30)
    patches = cut_patches(image, torch.tensor([[3.0, 3.0], [8.0, 1.0]]), 8, (8, 8))
    assert torch.equal(patches, image[None, :, :8, :8].expand(2, -1, -1, -1))
