"""A method compared with source-only and oracle: gain, gap recovered."""

import math
from collections.abc import Mapping, Sequence

#: Metrics of one run by the evaluator's names, in percent.
Metrics = Mapping[str, float]
#: The metric that methods are compared by.
TARGET_MAP = 'target/mAP50'


def gap_recovered(source_only: float, method: float, oracle: float) -> float:
    """Compute how much of the gap from source-only to oracle a method closes.

    The share makes gains comparable across data sets.

    Args:
        source_only (float): Target mAP50 of source-only, in percent.
        method (float): Target mAP50 of the method, in percent.
        oracle (float): Target mAP50 of the oracle, in percent.

    Returns:
        float: Percent; below 0 if the method harms, NaN if the oracle is not
        above source-only.
    """
    if oracle <= source_only:
        return float('nan')
    return 100 * (method - source_only) / (oracle - source_only)


def summary_table(
    runs: Mapping[str, Metrics], source: str = 'source', target: str = 'target'
) -> list[list[str]]:
    """Lay out the mAP50 of several runs on both domains.

    Args:
        runs (Mapping[str, Metrics]): Metrics by row name, among them
            ``source-only`` and ``oracle``.
        source (str): What the source is called. Defaults to 'source'.
        target (str): What the target is called. Defaults to 'target'.

    Returns:
        list[list[str]]: A heading and a row per run. A dash is where there is
        no gap to recover.
    """
    base, best = (runs[row][TARGET_MAP] for row in ('source-only', 'oracle'))
    rows = [['mAP50 (%)', source, target, 'gap recovered']]
    for name, metrics in runs.items():
        value = metrics[TARGET_MAP]
        gap = gap_recovered(base, value, best)
        share = '–' if math.isnan(gap) else f'{gap:.0f} %'
        rows.append(
            [
                name,
                f'{metrics["source/mAP50"]:.1f}',
                f'{value:.1f}',
                '' if name == 'source-only' else share,
            ]
        )
    return rows


def classes_table(
    runs: Mapping[str, Metrics], classes: Sequence[str]
) -> list[list[str]]:
    """Lay out the AP50 of each class on target, a column for each run.

    Args:
        runs (Mapping[str, Metrics]): Metrics by the name of the run.
        classes (Sequence[str]): The classes.

    Returns:
        list[list[str]]: A heading and a row per class. A dash is where target
        has no box of the class.
    """
    rows = [['AP50 (%)', *runs]]
    for name in classes:
        aps = [
            metrics.get(f'target/AP50/{name}', math.nan) for metrics in runs.values()
        ]
        rows.append([name, *('–' if math.isnan(ap) else f'{ap:.1f}' for ap in aps)])
    return rows


def to_markdown(rows: Sequence[Sequence[str]]) -> str:
    """Write a table, whose first row is the heading, as Markdown."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    rule = ['-' * first, *('-' * (width - 1) + ':' for width in others)]
    return ''.join(
        ' | '.join([f'| {name:{first}}', *map(str.rjust, cells, others)]) + ' |\n'
        for name, *cells in (rows[0], rule, *rows[1:])
    )
