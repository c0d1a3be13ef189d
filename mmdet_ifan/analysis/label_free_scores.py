"""Scores that rank detectors on a target domain whose labels nobody has.

Every score is larger for the detector that it prefers; costs are negated. A
score that cannot be computed is NaN. Only boxes, class distributions and
features come in; nothing here reads an annotation of the target.

DAS: Yu et al., NeurIPS 2024. BoS: Yang et al., ICLR 2024. ATC: Garg et al.,
ICLR 2022. The consensus follows EnsV (NeurIPS 2024).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp
from scipy.stats import rankdata

#: Keeps a ratio finite if both domains have the same prototypes.
EPSILON = 1e-12
#: Groups of images, each of which is left out once to see how much a score depends
#: on the images.
GROUPS = 10


@dataclass
class Distributions:
    """An image's detections and how each spreads over the classes.

    Attributes:
        boxes (np.ndarray): Corners (N, 4) in pixels.
        labels (np.ndarray): Indices of the classes (N, ).
        scores (np.ndarray): Scores (N, ) in [0, 1].
        log_probs (np.ndarray): Natural logarithms of the probabilities of all
            classes and, last, the background, (N, C + 1), float64. Unlike the
            probabilities themselves they are finite for any logits.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    log_probs: np.ndarray


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits (N, K) into the logarithms of probabilities, in float64."""
    logits = logits.astype(np.float64)
    return logits - logsumexp(logits, axis=1, keepdims=True)


def ious(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute the IoU of all pairs of boxes.

    Args:
        first (np.ndarray): Corners (N, 4).
        second (np.ndarray): Corners (M, 4).

    Returns:
        np.ndarray: (N, M), in [0, 1]; 0 for boxes without area.
    """
    first, second = first.astype(np.float64), second.astype(np.float64)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas, others = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (first, second))
    return common / np.maximum(areas[:, None] + others[None] - common, EPSILON)


def mean(values: Sequence[float] | np.ndarray) -> float:
    """Average the values that are not NaN; NaN without any."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else math.nan


def flatness(clean: Distributions, disturbed: Distributions) -> tuple[float, float]:
    """Compare the detections of an image before and after a change of weights.

    Detections are matched, whatever their labels, at the least sum of the
    divergence of the disturbed from the clean distribution minus the IoU. FIS
    is the mean of the image's two values' sum over the images (DAS).

    Args:
        clean (Distributions): With the detector's own weights.
        disturbed (Distributions): With the changed ones.

    Returns:
        tuple[float, float]: Mean IoU, in [0, 1], and mean negative
        Kullback-Leibler divergence, <= 0, of the pairs; NaN if either side
        has no detection.
    """
    if not len(clean.boxes) or not len(disturbed.boxes):
        return math.nan, math.nan
    overlaps = ious(disturbed.boxes, clean.boxes)
    probs = np.exp(disturbed.log_probs)
    divergence = (probs * disturbed.log_probs).sum(axis=1)[:, None] - (
        probs @ clean.log_probs.T
    )
    pairs = linear_sum_assignment(divergence - overlaps)
    return float(overlaps[pairs].mean()), -float(divergence[pairs].mean())


def stability(
    clean: Distributions, disturbed: Distributions
) -> tuple[float, float, float]:
    """Compare the boxes of an image without and with dropout (BoS).

    Args:
        clean (Distributions): Without dropout.
        disturbed (Distributions): With dropout.

    Returns:
        tuple[float, float, float]: The matched IoU over the smaller number of
        boxes, which forgives each box that vanishes, NaN if one side has none;
        the same over the larger number, 0 if only one side has none, NaN if
        both; and the share of pairs whose label differs.
    """
    sizes = len(clean.boxes), len(disturbed.boxes)
    if not min(sizes):
        return math.nan, 0.0 if max(sizes) else math.nan, math.nan
    overlaps = ious(disturbed.boxes, clean.boxes)
    rows, columns = linear_sum_assignment(-overlaps)
    total = float(overlaps[rows, columns].sum())
    changed = disturbed.labels[rows] != clean.labels[columns]
    return total / min(sizes), total / max(sizes), float(changed.mean())


class Prototypes:
    """Mean feature of each class, weighted by the detector's own beliefs.

    Attributes:
        weights (list[np.ndarray]): Of each image the sum of each class's
            probabilities, (K, ); the background is a class, or one class
            would have no other.
        sums (list[np.ndarray]): Of each image the sum of the weighted
            features, (K, D).
    """

    def __init__(self) -> None:
        self.weights: list[np.ndarray] = []
        self.sums: list[np.ndarray] = []

    def add(self, features: np.ndarray, probs: np.ndarray) -> None:
        """Add an image.

        Args:
            features (np.ndarray): Pooled features of its proposals, (N, D).
            probs (np.ndarray): Their class probabilities, (N, K).
        """
        probs = probs.astype(np.float64)
        self.weights.append(probs.sum(axis=0))
        self.sums.append(probs.T @ features.astype(np.float64))

    def centres(self, without: int | None = None) -> np.ndarray:
        """Average over the images.

        Args:
            without (int, optional): A group of images to leave out, in [0,
                ``GROUPS``): every tenth image from this one on. Defaults to
                None.

        Returns:
            np.ndarray: The prototypes, (K, D).
        """
        kept = [i for i in range(len(self.sums)) if i % GROUPS != without]
        weights, sums = (
            np.sum([values[i] for i in kept], axis=0)
            for values in (self.weights, self.sums)
        )
        return sums / np.maximum(weights, EPSILON)[:, None]


def prototype_ratio(source: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Compare how far apart the classes are with how far the domains (PDR).

    Args:
        source (np.ndarray): Prototypes of the source, (K, D), K >= 2.
        target (np.ndarray): Those of the target.

    Returns:
        tuple[float, float]: PDR, which has the unit of a squared feature, and
        the same with cube root and no unit, which no scale of the features
        changes.
    """

    def apart(first: np.ndarray, second: np.ndarray) -> float:
        distances = np.linalg.norm(first[:, None] - second[None], axis=2)
        return float(distances[~np.eye(len(first), dtype=bool)].mean())

    same = float(np.linalg.norm(source - target, axis=1).mean()) + EPSILON
    product = apart(source, target) * apart(source, source) * apart(target, target)
    return product / same, product ** (1 / 3) / same


def ratios_without(source: Prototypes, target: Prototypes) -> list[float]:
    """Compute ``pdr_free`` without each group of images.

    Args:
        source (Prototypes): Those of the source.
        target (Prototypes): Those of the target.

    Returns:
        list[float]: Of each group, none if there are fewer than two.
    """
    groups = min(GROUPS, len(source.sums), len(target.sums))
    if groups < 2:
        return []
    return [
        prototype_ratio(source.centres(group), target.centres(group))[1]
        for group in range(groups)
    ]


def normalised(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Scale the scores of a pool to [0, 1]; equal ones to 0; NaN stays."""
    scores = np.asarray(values, dtype=np.float64)
    known = scores[~np.isnan(scores)]
    if not len(known) or known.max() == known.min():
        return scores * 0
    return (scores - known.min()) / (known.max() - known.min())


def ranked(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Replace the scores of a pool by ranks in [0, 1], best 1; NaN stays."""
    return normalised(rankdata(values, nan_policy='omit'))


def das(
    flatnesses: Sequence[float],
    ratios: Sequence[float],
    scale: Callable[[np.ndarray], np.ndarray] = normalised,
) -> np.ndarray:
    """Add FIS and PDR, which have no common unit until a pool scales them.

    Args:
        flatnesses (Sequence[float]): FIS of each candidate.
        ratios (Sequence[float]): PDR of each candidate.
        scale (Callable): :func:`normalised` or, deaf to outliers,
            :func:`ranked`.

    Returns:
        np.ndarray: In [0, 2] for each candidate; NaN for all if there is only
        one, which has nothing to be compared with.
    """
    if len(flatnesses) < 2:
        return np.full(len(flatnesses), math.nan)
    # A candidate that lacks one of them takes no part in the other's range.
    parts = np.array([flatnesses, ratios], dtype=np.float64)
    parts[:, np.isnan(parts).any(axis=0)] = math.nan
    return scale(parts[0]) + scale(parts[1])


def confidence(images: Sequence[Distributions]) -> float:
    """Average the scores of all detections of some images."""
    return mean(np.concatenate([image.scores for image in images]))


def entropy(images: Sequence[Distributions]) -> float:
    """Average the negative entropy of all detections, background included."""
    log_probs = np.concatenate([image.log_probs for image in images])
    return mean((np.exp(log_probs) * log_probs).sum(axis=1))


def information(images: Sequence[Distributions]) -> float:
    """Compute the mutual information of detection and class (infomax).

    Args:
        images (Sequence[Distributions]): The detections; the background is
            left out of their distributions.

    Returns:
        float: Entropy of the mean distribution minus mean entropy, >= 0.
    """
    log_probs = np.concatenate([image.log_probs[:, :-1] for image in images])
    if not len(log_probs):
        return math.nan
    log_probs = log_softmax(log_probs)
    probs = np.exp(log_probs)
    average = probs.mean(axis=0)
    whole = -(average * np.log(np.maximum(average, EPSILON))).sum()
    return float(whole + (probs * log_probs).sum(axis=1).mean())


def thresholded_confidence(
    scores: np.ndarray, right: np.ndarray, target_scores: np.ndarray
) -> float:
    """Estimate the target's precision (ATC).

    The threshold has as many right source detections below it as wrong ones
    above.

    Args:
        scores (np.ndarray): Scores of the source's detections, (N, ).
        right (np.ndarray): Whether each is right, (N, ).
        target_scores (np.ndarray): Scores of the target's, (M, ).

    Returns:
        float: Share of the target's detections from the threshold on.
    """
    if not len(scores) or not len(target_scores):
        return math.nan
    # Right ones below equal wrong ones above where as many detections lie
    # below as there are wrong ones.
    wrong = int((~right.astype(bool)).sum())
    edges = np.concatenate([[-math.inf], np.sort(scores), [math.inf]])
    threshold = (edges[wrong] + edges[wrong + 1]) / 2
    return float((target_scores >= threshold).mean())


def agreement(
    first: Sequence[Distributions],
    second: Sequence[Distributions],
    score_thr: float = 0.3,
) -> float:
    """Compute the F1 score of one detector's detections by another's.

    Args:
        first (Sequence[Distributions]): Detections in some images.
        second (Sequence[Distributions]): Another detector's in the same.
        score_thr (float): Lowest score that counts. Defaults to 0.3.

    Returns:
        float: In [0, 1]; a pair agrees if its label is the same and its IoU at
        least 0.5. NaN if neither detects anything.
    """
    agreeing = number = 0
    for one, other in zip(first, second, strict=True):
        a, b = one.scores >= score_thr, other.scores >= score_thr
        number += int(a.sum() + b.sum())
        pairs = ious(one.boxes[a], other.boxes[b]) >= 0.5
        pairs &= one.labels[a][:, None] == other.labels[b][None]
        agreeing += int(pairs[linear_sum_assignment(pairs, maximize=True)].sum())
    return 2 * agreeing / number if number else math.nan


def consensus(
    pool: Sequence[Sequence[Distributions]], score_thr: float = 0.3
) -> list[float]:
    """Average each candidate's agreement with all others.

    Args:
        pool (Sequence): Each candidate's detections in the same images.
        score_thr (float): Lowest score that counts. Defaults to 0.3.

    Returns:
        list[float]: In [0, 1]; NaN for a single candidate.
    """
    table = np.full((len(pool), len(pool)), math.nan)
    for i, first in enumerate(pool):
        for j in range(i):
            table[i, j] = table[j, i] = agreement(first, pool[j], score_thr)
    return [mean(row) for row in table]
