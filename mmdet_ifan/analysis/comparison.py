"""A method beside source-only and oracle: gain and gap recovered."""
from collections.abc import Mapping, Sequence

#: Metrics of one run, in percent, as the evaluator names them.
Metrics = Mapping[str, float]
#: The one that methods are compared by.
TARGET_MAP = 'target/mAP50'


def gap_recovered(source_only: float, method: float, oracle: float) -> float:
    """Share of the gap between source-only and oracle that a method closes.

    It makes gains comparable across data sets.

    Args:
        source_only (float): Target mAP50 of training on source alone.
        method (float): Target mAP50 of the method.
        oracle (float): Target mAP50 of training on target labels.

    Returns:
        float: In percent; below 0 if the method harms, NaN if the oracle is
        not above source-only.
    """
    if oracle <= source_only:
        return float('nan')
    return 100 * (method - source_only) / (oracle - source_only)


def comparison_table(runs: Mapping[str, Metrics],
                     classes: Sequence[str]) -> list[list[str]]:
    """Lay several runs out as the paper's Table 3.

    Args:
        runs (Mapping[str, Metrics]): Metrics by row name; ``source_only`` and
            ``oracle`` must be among them.
        classes (Sequence[str]): Classes, a column each.

    Returns:
        list[list[str]]: A heading and a row per run: AP50 per class on
        target, mAP50 on target and on source, gain over source-only, gap
        recovered.
    """
    base, best = (runs[row][TARGET_MAP] for row in ('source_only', 'oracle'))
    rows = [[
        'AP50 (%)', *classes, 'target mAP50', 'source mAP50', 'gain',
        'gap recovered'
    ]]
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
    """Write a table, its first row the heading, as Markdown."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        '| ' + ' | '.join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        + ' |' for row in rows
    ]
    rule = '| ' + ' | '.join(
        '-' * width if i == 0 else '-' * (width - 1) + ':'
        for i, width in enumerate(widths)) + ' |'
    return '\n'.join([lines[0], rule, *lines[1:]]) + '\n'
