"""The scores of a pool: table, plot, choices, and what makes them doubtful."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import rankdata

from ..utils.errors import DataError, name_some
from .label_free_scores import Distributions, consensus, das, ranked

#: Scores by name, and the disturbed pass that each needs besides the clean one. The
#: first one is the default: it orders the table and is the one to choose by.
SCORES = dict(
    pdr_free='',
    pdr='',
    das='fis',
    das_rank='fis',
    fis='fis',
    fis_iou='fis',
    fis_kl='fis',
    bos='bos',
    bos_max='bos',
    confidence='',
    entropy='',
    infomax='',
    atc='',
    consensus='',
    source_ap='',
)
#: Scores that other candidates change.
POOLED = ('das', 'das_rank', 'consensus')
#: Share of the best ``pdr_free`` of a run by which a later one is lower if the run has
#: spoilt (docs/lab/selection.md).
FALLEN = 0.2
#: Lowest score of the detections that consensus compares.
SURE = 0.3


def check_scores(scores: Iterable[str]) -> None:
    """Check that there are such scores.

    Args:
        scores (Iterable[str]): Names.

    Raises:
        DataError: If there are not.
    """
    for score in scores:
        if score not in SCORES:
            raise DataError(f'there is no score {score}: take of {", ".join(SCORES)}.')


def sure_detections(image: Distributions) -> list[list[float]]:
    """Write the detections of an image that consensus compares, as rows."""
    sure = image.scores >= SURE
    columns = [image.labels[sure, None], image.boxes[sure].round(2)]
    return np.concatenate(columns, axis=1).tolist()


def _read(rows: Sequence[Sequence[float]]) -> Distributions:
    """Read the sure detections of an image."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    ones = np.ones(len(table))
    return Distributions(table[:, 1:], table[:, 0].astype(int), ones, ones[:, None])


def score_pool(records: Mapping[str, Mapping[str, Any]]) -> dict[str, dict]:
    """Compute the scores of all candidates, those that need the pool too.

    Args:
        records (Mapping): Output of :func:`measure` for each candidate.

    Returns:
        dict[str, dict]: The scores by name, for each candidate; a score that
        was not measured is NaN.
    """
    names = sorted(records)
    pool: dict[str, dict] = {
        name: {
            score: {
                **records[name]['clean'],
                **records[name].get('fis', {}),
                **records[name].get('bos', {}),
            }.get(score, math.nan)
            for score in SCORES
        }
        for name in names
    }
    fis, pdr = ([pool[name][part] for name in names] for part in ('fis', 'pdr'))
    shared: dict[str, Sequence[float]] = dict(
        das=das(fis, pdr).tolist(),
        das_rank=das(fis, pdr, ranked).tolist(),
        consensus=consensus(
            [list(map(_read, records[name]['detections'])) for name in names]
        ),
    )
    for score, values in shared.items():
        for name, value in zip(names, values, strict=True):
            pool[name][score] = value
    return pool


def ranks(values: Sequence[float]) -> np.ndarray:
    """Rank scores, the highest 1; ties share a rank, and NaN is last."""
    scores = np.asarray(values, dtype=np.float64)
    return rankdata(-np.where(np.isnan(scores), -math.inf, scores))


def best(values: Mapping[str, float]) -> list[str]:
    """Name the candidates with the highest score, several if they tie."""
    known = {name: value for name, value in values.items() if not math.isnan(value)}
    return [name for name, value in known.items() if value == max(known.values())]


def as_good(records: Mapping[str, Mapping], pool: Mapping[str, Mapping]) -> list[str]:
    """Name the candidates that ``pdr_free`` does not separate from its best.

    Their difference from the best is within twice its standard error, by
    leaving out each group of images once (the jackknife).

    Args:
        records (Mapping): Output of :func:`measure` for each candidate.
        pool (Mapping): Output of :func:`score_pool`.

    Returns:
        list[str]: The best, then the others in the order of the score; all, if
        there are too few images to tell; none, if none has the score.
    """
    known = [name for name in pool if not math.isnan(pool[name]['pdr_free'])]
    known.sort(key=lambda name: -pool[name]['pdr_free'])
    found = []
    for name in known:
        differences = np.subtract(
            *(records[n]['clean']['pdr_free_without'] for n in (known[0], name))
        )
        number = len(differences)
        error = (number - 1) ** 0.5 * differences.std() if number > 1 else math.inf
        if pool[known[0]]['pdr_free'] - pool[name]['pdr_free'] <= 2 * error:
            found.append(name)
    return found


def choose(
    pool: Mapping[str, Mapping], iterations: Mapping[str, int], runs: Mapping[str, str]
) -> str | None:
    """Choose the run of the best by ``pdr_free``, and its last that has not fallen.

    Within a healthy run the score says less than the iteration, whatever images it
    is measured on; only a fall of more than ``FALLEN`` has meant harm.

    Args:
        pool (Mapping): Output of :func:`score_pool`.
        iterations (Mapping): Iteration of each candidate.
        runs (Mapping): Run of each candidate.

    Returns:
        str | None: A candidate; None if fewer than two have a ``pdr_free``.
    """
    known = {name: row['pdr_free'] for name, row in pool.items()}
    if sum(not math.isnan(value) for value in known.values()) < 2:
        return None
    first = best(known)[0]
    return max(
        (
            name
            for name, value in known.items()
            if runs[name] == runs[first] and value >= (1 - FALLEN) * known[first]
        ),
        key=iterations.__getitem__,
    )


def warnings_of(records: Mapping[str, Mapping], number: int) -> list[str]:
    """Say what makes the scores of a pool doubtful.

    Args:
        records (Mapping): Output of :func:`measure` for each candidate.
        number (int): Number of target images.

    Returns:
        list[str]: Sentences.
    """
    found = []
    if len(records) < 2:
        found.append('A single candidate says nothing: give others to compare it with.')
    for name, record in sorted(records.items()):
        boxes, lightest = record['clean']['boxes'], record['clean']['lightest']
        others = [r['clean']['boxes'] for n, r in records.items() if n != name]
        middle = float(np.median(others)) if others else boxes
        if not middle / 2 <= boxes <= 2 * middle:
            found.append(
                f'{name} detects {boxes:.1f} boxes an image, the median of the '
                f'others is {middle:.1f}: look at its detections.'
            )
        if lightest < 1:
            found.append(
                f'{name} hardly predicts one of the classes (sum of its '
                f'probabilities {lightest:.2f}): PDR is unreliable.'
            )
        used = min(
            (record[part]['used'] for part in ('fis', 'bos') if part in record),
            default=number,
        )
        if used < number / 2:
            found.append(
                f'{name} gave boxes to compare in only {used} of {number} '
                'images: too few to tell.'
            )
    return found


def verdict(
    records: Mapping[str, Mapping],
    pool: Mapping[str, Mapping],
    iterations: Mapping[str, int],
    runs: Mapping[str, str],
    scores: Sequence[str],
) -> tuple[dict[str, list[str]], list[str]]:
    """Say which candidate to take, which one each score takes, and what is doubtful.

    Args:
        records (Mapping): Output of :func:`measure` for each candidate.
        pool (Mapping): Output of :func:`score_pool`.
        iterations (Mapping): Iteration of each candidate.
        runs (Mapping): Run of each candidate.
        scores (Sequence[str]): The scores.

    Returns:
        tuple: The picks of these scores, of ``last`` and of
        :func:`choose`, as ``choice``; and sentences. A score that fewer than
        two candidates have picks none.
    """
    values = {s: {name: row[s] for name, row in pool.items()} for s in scores}
    values['last'] = dict(iterations)
    picks = {
        score: best(known)
        if sum(not math.isnan(value) for value in known.values()) > 1
        else []
        for score, known in values.items()
    }
    by_choice: dict[tuple[str, ...], list[str]] = {}
    for score, names in picks.items():
        if names and (score != 'last' or len(names) < len(pool)):
            by_choice.setdefault(tuple(names), []).append(score)
    said = [
        f'{", ".join(by)} {"prefer" if len(by) > 1 else "prefers"} {name_some(names)}.'
        for names, by in by_choice.items()
    ]
    free, plain = (set(picks.get(score, ())) for score in ('pdr_free', 'pdr'))
    if free and plain and not free & plain:
        said.append(
            'pdr_free and pdr disagree: the features of one candidate are larger.'
        )
    chosen = choose(pool, iterations, runs) if 'pdr_free' in scores else None
    picks['choice'] = [] if chosen is None else [chosen]
    if chosen is not None:
        first, *others = as_good(records, pool)
        why = 'the best by pdr_free'
        if chosen != first:
            why = f'the last of the run of {first}, {why}, that is not much lower'
        said.insert(0, f'Choose {chosen}, {why}.')
        spoilt = [
            name
            for name, run in runs.items()
            if run == runs[chosen] and iterations[name] > iterations[chosen]
        ]
        if spoilt:
            said.append(
                f'After {chosen} the run spoils: pdr_free of {name_some(spoilt)} is '
                f'more than {FALLEN:.0%} below the best, or missing. Look at what was '
                'launched then.'
            )
        if others:
            said.append(
                f'pdr_free does not separate {first} from {name_some(others)}: they '
                'differ by less than twice the standard error.'
            )
    return picks, said


def pool_table(
    pool: Mapping[str, Mapping],
    records: Mapping[str, Mapping],
    iterations: Mapping[str, int],
    scores: Sequence[str],
) -> list[list[str]]:
    """Lay out a pool, best first by the first score that is known.

    Args:
        pool (Mapping): Output of :func:`score_pool`.
        records (Mapping): Output of :func:`measure` for each candidate.
        iterations (Mapping): Iteration of each candidate.
        scores (Sequence[str]): Scores, a column each.

    Returns:
        list[list[str]]: A heading and a row per candidate; a cell has the
        score, its deviation over the repeats if there are some, and the rank.
    """
    places = {
        s: dict(zip(pool, ranks([v[s] for v in pool.values()]), strict=True))
        for s in scores
    }
    known = [s for s in scores if any(not math.isnan(v[s]) for v in pool.values())]
    rows = [['candidate', 'iteration', *known, 'boxes an image', 'images used']]
    order = sorted(pool, key=lambda n: (places[known[0]][n] if known else 0, n))
    for name in order:
        cells = []
        for score in known:
            deviation = records[name].get(score, {}).get('deviation', math.nan)
            spread = '' if math.isnan(deviation) else f' ± {deviation:.3f}'
            place = f'{places[score][name]:g}'
            cells.append(f'{pool[name][score]:.4g}{spread} ({place})')
        used = [records[name][p]['used'] for p in ('fis', 'bos') if p in records[name]]
        rows.append(
            [
                name,
                str(iterations[name]),
                *cells,
                f'{records[name]["clean"]["boxes"]:.1f}',
                str(min(used)) if used else '',
            ]
        )
    return rows


def plot_pool(
    pool: Mapping[str, Mapping],
    iterations: Mapping[str, int],
    runs: Mapping[str, str],
    scores: Sequence[str],
    path: Path,
) -> None:
    """Draw each score against the iteration, a line for each run.

    Args:
        pool (Mapping): Output of :func:`score_pool`.
        iterations (Mapping): Iteration of each candidate.
        runs (Mapping): Run of each candidate.
        scores (Sequence[str]): Scores, a panel each.
        path (Path): PNG to write.
    """
    columns = min(len(scores), 5)
    rows = -(-len(scores) // columns)
    figure = Figure(figsize=(3.2 * columns, 0.6 + 2.6 * rows), layout='constrained')
    for number, score in enumerate(scores, 1):
        axes = figure.add_subplot(rows, columns, number)
        for run in sorted(set(runs.values())):
            names = sorted((n for n in pool if runs[n] == run), key=iterations.get)  # type: ignore[arg-type]
            axes.plot(
                [iterations[name] for name in names],
                [pool[name][score] for name in names],
                'o-',
                label=run,
            )
        axes.set_title(score)
        axes.set_xlabel('iteration')
        axes.grid(alpha=0.3)
    figure.legend(
        *axes.get_legend_handles_labels(), loc='outside lower center', ncols=3
    )
    figure.savefig(path, dpi=110)
