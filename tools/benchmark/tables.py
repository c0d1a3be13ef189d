"""The tables of docs/lab/performance.md, from ``bench.json``."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdet_ifan.analysis.comparison import to_markdown

Rows = list[list[str]]
#: Parts below this share of a step are added to the others.
SMALL_SHARE = 0.01


def make_tables(bench: Mapping[str, Any]) -> dict[str, str]:
    """Lay out the measurements.

    Args:
        bench (Mapping[str, Any]): Content of ``bench.json``; sections may be
            missing.

    Returns:
        dict[str, str]: The tables ``steps``, ``parts``, ``rest`` (inference
        and loading) and ``growth``, as Markdown.
    """
    steps: Rows = [
        [
            'step',
            'seconds',
            '/ stock',
            'quartiles',
            '/ stock on source alone',
            'peak MiB',
            'memory / stock',
        ]
    ]
    rest: Rows = [['what', 'ms', 'ratio', 'quartiles']]
    parts: dict[str, dict[str, float]] = {}
    for section, figures in bench.items():
        kind, _, where = section.partition('/')
        where = where.replace('/', ', ')
        if kind == 'steps':
            for name, row in figures.items():
                steps.append(
                    [
                        f'{where}: {name}',
                        f'{row["seconds"]:.2f}',
                        f'{row["median"]:.2f}',
                        _quartiles(row),
                        f'{row["alone"]:.2f}',
                        f'{row["peak_bytes"] / 2**20:.0f}',
                        f'{row["memory"]:.2f}',
                    ]
                )
            *_, last = (name for name in figures if name.startswith('ifan: '))
            for name in (next(iter(figures)), last):
                parts[f'{where}: {name}'] = _shares(figures[name]['parts'])
        elif kind in ('inference', 'loading'):
            rest += [
                [
                    f'{kind}, {where}: {name}',
                    f'{1000 * row["seconds"]:.1f}',
                    f'{row["median"]:.3f}',
                    _quartiles(row),
                ]
                for name, row in figures.items()
            ]
    return dict(
        steps=to_markdown(steps),
        parts=to_markdown(_columns(parts)),
        rest=to_markdown(rest),
        growth=to_markdown(_growth(bench.get('growth/mini', []))),
    )


def _quartiles(row: Mapping[str, float]) -> str:
    """Write the spread of the ratios."""
    return f'{row["low"]:.2f} to {row["high"]:.2f}'


def _shares(seconds: Mapping[str, float]) -> dict[str, float]:
    """Divide a step's parts by their sum; the small ones become ``other``."""
    total = sum(seconds.values())
    shares = {'other': 0.0}
    for name, value in seconds.items():
        name = name if value >= SMALL_SHARE * total else 'other'
        shares[name] = shares.get(name, 0.0) + value / total
    return shares


def _columns(shares: Mapping[str, Mapping[str, float]]) -> Rows:
    """Lay out a column for each profiled step."""
    names = dict.fromkeys(
        name for column in shares.values() for name in column if name != 'other'
    )
    return [['share of the step (%)', *shares]] + [
        [
            name,
            *(
                f'{100 * column[name]:.1f}' if name in column else ''
                for column in shares.values()
            ),
        ]
        for name in (*names, 'other')
    ]


def _growth(rows: Sequence[Mapping[str, Any]]) -> Rows:
    """Lay out a row for each value."""
    return [
        [
            'what grows',
            'to',
            'ms',
            'stock, ms',
            'time / stock',
            'peak MiB',
            'memory / stock',
            'pair terms, ms',
        ]
    ] + [
        [
            row['axis'],
            '×'.join(map(str, row['value']))
            if isinstance(row['value'], Sequence)
            else str(row['value']),
            f'{1000 * row["seconds"]:.0f}',
            f'{1000 * row["stock"]:.0f}',
            f'{row["median"]:.2f}',
            f'{row["peak_bytes"] / 2**20:.0f}',
            f'{row["memory"]:.2f}',
            f'{1000 * row["pairs"]:.1f}',
        ]
        for row in rows
    ]
