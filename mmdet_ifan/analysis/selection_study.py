"""Measure the scores themselves: how well do they follow the target's AP?

The only part of the selection that reads target labels, by way of the metrics
of finished runs. It joins two files by the candidates' names.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
from scipy.stats import kendalltau, pearsonr, spearmanr

from ..utils.errors import DataError, name_some
from .comparison import TARGET_MAP
from .selection_page import ranks

#: Difference in AP points below which the order of a pair says nothing.
NOISE = 2.0
#: Pools whose values fit into a cell.
SHOWN = 3
MEASURES = ('spearman', 'kendall', 'pearson', 'pairs', 'regret')


def join(
    candidates: Mapping[str, Mapping], metrics: Mapping, seed: int | None = None
) -> dict[str, dict]:
    """Put each candidate's target mAP50 beside its scores.

    Args:
        candidates (Mapping): Those of ``selection.json``.
        metrics (Mapping): A study's ``metrics.json``, by config and seed, or
            metrics by the candidates' names.
        seed (int, optional): Seed of the study's runs. Defaults to None, for
            metrics by name.

    Returns:
        dict[str, dict]: ``scores``, ``iteration``, whether it is ``chosen``
        and ``target_ap``, in percent, of each candidate.

    Raises:
        DataError: If a candidate is missing.
    """
    found = {
        name: each if seed is None else each.get(str(seed), {})
        for name, each in metrics.items()
    }
    missing = [name for name in candidates if TARGET_MAP not in found.get(name, {})]
    if missing:
        raise DataError(
            f'The metrics have no {TARGET_MAP} of {name_some(missing)}'
            f'{"" if seed is None else f" with seed {seed}"}: leave these '
            'candidates out, or give the file with their metrics.'
        )
    return {
        name: dict(
            scores=row['scores'],
            iteration=row['iteration'],
            chosen=row['chosen'],
            target_ap=found[name][TARGET_MAP],
        )
        for name, row in candidates.items()
    }


def follow(scores: Sequence[float], aps: Sequence[float]) -> dict[str, float]:
    """Compare the order of scores with that of the APs.

    Args:
        scores (Sequence[float]): Higher is better; NaN is last.
        aps (Sequence[float]): AP of the same candidates, in percent.

    Returns:
        dict[str, float]: ``spearman`` and ``kendall`` of the ranks, in
        [-1, 1]; ``pearson`` of the values that are not NaN; ``pairs``, the
        share of pairs more than two points of AP apart that are ordered
        rightly; NaN if not defined, as for scores that are all equal; and
        ``regret``, the best AP minus the AP of the choice, or the mean over a
        tie.
    """
    places, truth = -ranks(scores), np.asarray(aps, dtype=np.float64)
    values = np.asarray(scores, dtype=np.float64)
    known = ~np.isnan(values)
    rightly = [
        places[i] > places[j]
        for i in range(len(truth))
        for j in range(len(truth))
        if truth[i] - truth[j] > NOISE
    ]
    different = np.ptp(places) > 0 and np.ptp(truth) > 0
    enough = known.sum() > 1 and np.ptp(values[known]) > 0 and np.ptp(truth[known]) > 0
    chosen = truth[places == places.max()]
    return dict(
        spearman=float(spearmanr(places, truth)[0]) if different else math.nan,
        kendall=float(kendalltau(places, truth)[0]) if different else math.nan,
        pearson=float(pearsonr(values[known], truth[known])[0]) if enough else math.nan,
        pairs=float(np.mean(rightly)) if rightly and different else math.nan,
        regret=float(truth.max() - chosen.mean()),
    )


def study_pool(candidates: Mapping[str, Mapping]) -> dict[str, dict[str, float]]:
    """Measure all scores of a pool.

    Args:
        candidates (Mapping): Output of :func:`join`, NaN for a missing score.

    Returns:
        dict[str, dict[str, float]]: Output of :func:`follow` for each score
        and for ``last``, the iteration; and the regret of the ``choice``, if
        there is one, of a ``random`` one and of the ``worst``.
    """
    rows = list(candidates.values())
    aps = [row['target_ap'] for row in rows]
    found = {
        score: follow([row['scores'][score] for row in rows], aps)
        for score in rows[0]['scores']
    }
    found['last'] = follow([row['iteration'] for row in rows], aps)
    chosen = [row['target_ap'] for row in rows if row['chosen']]
    if chosen:
        found['choice'] = dict(regret=max(aps) - float(np.mean(chosen)))
    found['random'] = dict(regret=max(aps) - float(np.mean(aps)))
    found['worst'] = dict(regret=max(aps) - min(aps))
    return found


def study_table(
    pools: Sequence[Mapping[str, Mapping[str, float]]],
    measures: Sequence[str] = MEASURES,
) -> list[list[str]]:
    """Lay out the measures, a row for each score.

    Args:
        pools (Sequence): Output of :func:`study_pool` for each pool.
        measures (Sequence[str]): Columns. Defaults to all.

    Returns:
        list[list[str]]: A heading and rows. A cell has the value of each pool
        in order and, of several, their mean; of more than ``SHOWN`` pools the
        mean and, in brackets, the worst.
    """
    rows = [['score', *measures]]
    for score in dict.fromkeys(score for pool in pools for score in pool):
        row = [score]
        for measure in measures:
            values = [pool.get(score, {}).get(measure, math.nan) for pool in pools]
            known = [value for value in values if not math.isnan(value)]
            digits = 1 if measure == 'regret' else 2
            if not known:
                row.append('')
                continue
            average = fmean(known)
            if len(pools) > SHOWN:
                worst = max(known) if measure == 'regret' else min(known)
                row.append(f'{average:.{digits}f} ({worst:.{digits}f})')
                continue
            cell = ' / '.join(
                '–' if math.isnan(v) else f'{v:.{digits}f}' for v in values
            )
            if len(known) == len(pools) > 1:
                cell += f' ({average:.{digits}f})'
            row.append(cell)
        rows.append(row)
    return rows
