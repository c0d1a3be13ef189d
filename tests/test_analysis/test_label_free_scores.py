"""Scores without target labels, against values worked out by hand."""

import math

import numpy as np
import pytest

from mmdet_ifan.analysis.label_free_scores import (
    Distributions,
    Prototypes,
    agreement,
    confidence,
    consensus,
    das,
    entropy,
    flatness,
    information,
    log_softmax,
    prototype_ratio,
    ranked,
    stability,
    thresholded_confidence,
)


def detections(*found: tuple[list[float], list[float]]) -> Distributions:
    """Make detections from boxes and distributions, background last."""
    boxes = np.array([box for box, _ in found], dtype=float).reshape(-1, 4)
    probs = np.array([p for _, p in found], dtype=float).reshape(-1, 3)
    foreground = probs[:, :-1]
    return Distributions(
        boxes, foreground.argmax(axis=1), foreground.max(axis=1), np.log(probs)
    )


CLEAN = detections(
    ([0, 0, 10, 10], [0.8, 0.1, 0.1]), ([20, 0, 30, 10], [0.1, 0.6, 0.3])
)
DISTURBED = detections(
    ([1, 0, 11, 10], [0.7, 0.1, 0.2]),
    ([20, 0, 30, 8], [0.2, 0.5, 0.3]),
    ([40, 0, 50, 10], [0.1, 0.1, 0.8]),
)
NOTHING = detections()


def test_flatness():
    iou, kl = flatness(CLEAN, DISTURBED)
    assert iou == pytest.approx((0.8182 + 0.8) / 2, abs=1e-4)
    assert kl == pytest.approx(-(0.0452 + 0.0475) / 2, abs=1e-4)
    assert iou + kl == pytest.approx(0.7628, abs=1e-4)
    assert flatness(CLEAN, CLEAN) == (1.0, pytest.approx(0, abs=1e-12))


def test_flatness_of_a_certain_detector_is_finite():
    certain = Distributions(
        np.array([[0.0, 0, 10, 10]]),
        np.array([0]),
        np.array([1.0]),
        log_softmax(np.array([[200, 0]], dtype=np.float32)),
    )
    unsure = Distributions(
        certain.boxes, certain.labels, certain.scores, np.log([[0.5, 0.5]])
    )
    # Half of the disturbed probability lies where the clean one is e^-200.
    assert flatness(certain, unsure)[1] == pytest.approx(math.log(2) - 100)


def test_stability():
    over_smaller, over_larger, changed = stability(CLEAN, DISTURBED)
    assert over_smaller == pytest.approx(0.8091, abs=1e-4)
    assert over_larger == pytest.approx(0.5394, abs=1e-4)
    assert changed == 0
    swapped = Distributions(
        CLEAN.boxes, 1 - CLEAN.labels, CLEAN.scores, CLEAN.log_probs
    )
    assert stability(CLEAN, swapped) == (1, 1, 1)


def test_images_without_detections_are_skipped():
    assert np.isnan(flatness(CLEAN, NOTHING)).all()
    one, both = stability(CLEAN, NOTHING), stability(NOTHING, NOTHING)
    assert math.isnan(one[0]) and one[1] == 0
    assert np.isnan(both).all()


def test_prototypes():
    features = np.array([[1, 0], [0, 1], [1, 1]])
    probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    prototypes = Prototypes()
    # In two steps, as of two images.
    prototypes.add(features[:1], probs[:1])
    prototypes.add(features[1:], probs[1:])
    expected = [[0.8750, 0.4375], [0.4286, 0.9286]]
    assert prototypes.centres() == pytest.approx(np.array(expected), abs=1e-4)
    assert sum(prototypes.weights) == pytest.approx([1.6, 1.4])
    assert prototypes.centres(without=1).tolist() == [[1, 0], [1, 0]]
    assert (prototypes.centres(without=2) == prototypes.centres()).all()


@pytest.mark.parametrize(
    ('scale', 'classes', 'ratio', 'free'),
    [(1, 3, 65.0005, 4.0207), (2, 3, 260.0021, 4.0207), (1, 2, 65.9697, 4.0406)],
)
def test_prototype_ratio(scale, classes, ratio, free):
    source = np.array([[0.0, 0], [4, 0], [0, 3]])[:classes]
    found = prototype_ratio(scale * source, scale * (source + [0, 1]))
    assert found == pytest.approx((ratio, free), abs=1e-4)


def test_ratio_of_equal_domains_is_finite():
    same = np.array([[0.0, 0], [4, 0]])
    assert all(
        math.isfinite(value) and value > 1e9 for value in prototype_ratio(same, same)
    )


def test_sum_depends_on_the_pool():
    fis, pdr = [0.90, 0.70, 0.80], [20, 30, 60]
    assert das(fis, pdr) == pytest.approx([1, 0.25, 1.5])
    assert das(fis[:2], pdr[:2]) == pytest.approx([1, 1])
    assert das(fis, pdr, ranked) == pytest.approx([1, 0.5, 1.5])
    # A candidate without one of the two does not move the others.
    assert das([*fis, math.nan], [*pdr, 1e9]) == pytest.approx(
        [1, 0.25, 1.5, math.nan], nan_ok=True
    )
    assert das([0.5, 0.5], [1, 2]) == pytest.approx([0, 1])
    assert np.isnan(das([0.9], [20])).all()


def test_confidence_and_entropy():
    # Of an image without detections nothing is counted.
    assert confidence([CLEAN, NOTHING]) == pytest.approx(0.7)
    assert entropy([CLEAN, NOTHING]) == pytest.approx(-0.7685, abs=1e-4)
    assert math.isnan(confidence([NOTHING])) and math.isnan(entropy([NOTHING]))


def test_information_wants_sure_and_balanced_detections():
    box = [0, 0, 10, 10]
    sure = detections((box, [0.899, 0.001, 0.1]), (box, [0.001, 0.899, 0.1]))
    alike = detections((box, [0.899, 0.001, 0.1]), (box, [0.899, 0.001, 0.1]))
    assert information([sure]) == pytest.approx(math.log(2), abs=0.02)
    assert information([alike]) == pytest.approx(0, abs=1e-9)
    assert math.isnan(information([NOTHING]))


def test_thresholded_confidence():
    scores, right = np.array([0.9, 0.8, 0.4, 0.6, 0.2]), np.array([1, 1, 1, 0, 0])
    target = np.array([0.95, 0.7, 0.55, 0.3])
    assert thresholded_confidence(scores, right, target) == 0.75
    # If every source detection is right, or wrong, so is every target's.
    assert thresholded_confidence(scores, np.ones(5), target) == 1
    assert thresholded_confidence(scores, np.zeros(5), target) == 0
    assert math.isnan(thresholded_confidence(scores, right, target[:0]))


def test_agreement():
    one = [0, 0, 10, 10], [0.8, 0.1, 0.1]
    two = [20, 0, 30, 10], [0.1, 0.6, 0.3]
    far = [60, 0, 70, 10], [0.5, 0.4, 0.1]
    unsure = [80, 0, 90, 10], [0.25, 0.25, 0.5]
    fewer, more = detections(one, two, unsure), detections(far, two, one)
    assert agreement([fewer], [more]) == pytest.approx(0.8)
    relabelled = detections(one, (two[0], [0.6, 0.1, 0.3]))
    assert agreement([fewer], [relabelled]) == pytest.approx(0.5)
    assert math.isnan(agreement([NOTHING], [NOTHING]))
    pool = [[fewer], [more], [relabelled]]
    # Of the second and third: one of 2 · 1 / (3 + 2).
    assert consensus(pool) == pytest.approx([0.65, 0.6, 0.45])
    assert np.isnan(consensus(pool[:1])).all()
