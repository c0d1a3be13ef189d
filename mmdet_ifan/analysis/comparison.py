"""A method compared with source-only and oracle: gain, gap recovered."""

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


def comparison_table(
    runs: Mapping[str, Metrics], classes: Sequence[str]
) -> list[list[str]]:
    """Lay out several runs like the paper's Table 3.

    Args:
        runs (Mapping[str, Metrics]): Metrics by row name, among them
            ``source_only`` and ``oracle``.
        classes (Sequence[str]): Classes, a column each.

    Returns:
        list[list[str]]: A heading and a row per run: target AP50 of each
        class, mAP50 on target and on source, gain over source-only, gap
        recovered.
    """
    base, best = (runs[row][TARGET_MAP] for row in ('source_only', 'oracle'))
    rows = [
        ['AP50 (%)', *classes, 'target mAP50', 'source mAP50', 'gain', 'gap recovered']
    ]
    for name, metrics in runs.items():
        aps = [metrics.get(f'target/AP50/{c}', float('nan')) for c in classes]
        row = [*aps, metrics[TARGET_MAP], metrics['source/mAP50']]
        gain, gap = '', ''
        if name != 'source_only':
            gain = f'{metrics[TARGET_MAP] - base:+.1f}'
            gap = f'{gap_recovered(base, metrics[TARGET_MAP], best):.0f} %'
        rows.append([name, *(f'{value:.1f}' for value in row), gain, gap])
    return rows


def to_markdown(rows: Sequence[Sequence[str]]) -> str:
    """Write a table, whose first row is the heading, as Markdown."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    rule = ['-' * first, *('-' * (width - 1) + ':' for width in others)]
    return ''.join(
        ' | '.join([f'| {name:{first}}', *map(str.rjust, cells, others)]) + ' |\n'
        for name, *cells in (rows[0], rule, *rows[1:])
    )
