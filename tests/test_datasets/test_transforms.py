"""Transforms for views of an image."""

import math

import numpy as np
import pytest
from mmdet.registry import TRANSFORMS

from mmdet_ifan.datasets import BlockMask, GaussianBlur


def noise(height: int, width: int) -> np.ndarray:
    """Draw an image without a black pixel."""
    return np.random.randint(1, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(('height', 'width', 'side'), [(64, 96, 16), (50, 70, 32)])
def test_blocks_are_black_or_as_they_were(height, width, side):
    """Also those that the image's end cuts."""
    mask = TRANSFORMS.build(dict(type='BlockMask', block_size=side))
    kinds = set()
    for _ in range(8):
        image = noise(height, width)
        result = mask(dict(img=image.copy(), kept='as it is'))
        assert result['kept'] == 'as it is'
        masked = result['img']
        assert masked.shape == image.shape and masked.dtype == np.uint8
        for y in range(0, height, side):
            for x in range(0, width, side):
                block, original = (
                    i[y : y + side, x : x + side] for i in (masked, image)
                )
                black = not block.any()
                assert black or np.array_equal(block, original)
                kinds.add(black)
    assert kinds == {True, False}


@pytest.mark.parametrize('ratio', [0.0, 0.3, 1.0])
def test_ratio_is_the_share_that_is_black(ratio):
    masked = BlockMask(block_size=1, ratio=ratio)(dict(img=noise(200, 200)))['img']
    assert (masked == 0).all(axis=2).mean() == pytest.approx(ratio, abs=0.01)


@pytest.mark.parametrize('sigma', [0.5, 2.0])
def test_a_point_becomes_a_bell(sigma):
    image = np.zeros((33, 33, 3), dtype=np.float32)
    image[16, 16] = 1.0
    blurred = GaussianBlur((sigma, sigma))(dict(img=image))['img']
    assert blurred.dtype == np.float32
    assert blurred.sum(axis=(0, 1)) == pytest.approx(1.0, abs=1e-3)
    for distance in (1, 2):
        expected = math.exp(-(distance**2) / (2 * sigma**2))
        assert blurred[16, 16 + distance] / blurred[16, 16] == pytest.approx(
            expected, rel=0.02
        )


def test_widths_are_drawn():
    image = noise(32, 32)
    blur = GaussianBlur((0.1, 3.0))
    results = [blur(dict(img=image))['img'] for _ in range(5)]
    contrasts = [result.std() for result in results]
    assert len(set(contrasts)) == 5 and max(contrasts) <= image.std()
    assert all(result.dtype == np.uint8 for result in results)


@pytest.mark.parametrize(
    'transform', [BlockMask(4), GaussianBlur()], ids=lambda t: type(t).__name__
)
def test_draws_with_the_state_that_a_checkpoint_holds(transform):
    image = noise(32, 32)
    state = np.random.get_state()
    first = transform(dict(img=image))['img']
    other = transform(dict(img=image))['img']
    np.random.set_state(state)
    assert np.array_equal(transform(dict(img=image))['img'], first)
    assert not np.array_equal(other, first)


@pytest.mark.parametrize(
    ('kind', 'settings', 'sentence'),
    [
        (BlockMask, dict(block_size=0), 'block_size of 1 px or more .* got 0 and'),
        (BlockMask, dict(ratio=1.5), r'ratio in \[0, 1\], but got 32 and 1.5'),
        (GaussianBlur, dict(sigma=(2.0, 0.1)), r'the largest .* got \(2.0, 0.1\)'),
        (GaussianBlur, dict(sigma=(0.0, 1.0)), r'such as \(0.1, 2.0\), but'),
        (GaussianBlur, dict(sigma=(1.0,)), r'such as \(0.1, 2.0\), but'),
    ],
)
def test_refuses(kind, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        kind(**settings)
