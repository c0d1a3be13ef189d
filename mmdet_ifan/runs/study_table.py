"""Several methods on several seeds: mean, spread, gain, gap recovered."""

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import yaml
from matplotlib.figure import Figure

from ..analysis.comparison import TARGET_MAP, Metrics, gap_recovered
from ..utils.named_configs import package_folder

#: Metrics of a study's runs, by config and seed.
Runs = Mapping[str, Mapping[int, Metrics]]


@cache
def paper_ap50() -> dict[str, float]:
    """Read the iFAN paper's target AP50 from the metafiles of the configs.

    Returns:
        dict[str, float]: Percent, by the name of the config (Tables 1 to 4).
    """
    return {
        model['Name']: result['Metrics']['Paper AP50']
        for path in package_folder('configs').glob('*/metafile.yml')
        for model in yaml.safe_load(path.read_text())['Models']
        for result in model.get('Results', ())
        if 'Paper AP50' in result['Metrics']
    }


def mean_and_std(values: Sequence[float]) -> str:
    """Write the mean and, of several values, the sample's deviation.

    Args:
        values (Sequence[float]): The values; NaN stands for none.

    Returns:
        str: Text such as ``45.0 ± 1.2``; empty without values.
    """
    values = [value for value in values if not math.isnan(value)]
    if not values:
        return ''
    mean = f'{statistics.mean(values):.1f}'
    if len(values) == 1:
        return mean
    return f'{mean} ± {statistics.stdev(values):.1f}'


def _reference(runs: Runs, kind: str) -> Mapping[int, Metrics]:
    """Find the runs of ``source-only`` or ``oracle``, if there are any."""
    return next((seeds for name, seeds in runs.items() if name.startswith(kind)), {})


def _mean(seeds: Mapping[int, Metrics], key: str) -> float:
    """Average a metric over the seeds."""
    return statistics.mean(metrics[key] for metrics in seeds.values())


def _class_ap(seeds: Mapping[int, Metrics], name: str) -> str:
    """Write a class's mean target AP50, or ``-`` if it has no box."""
    key = f'target/AP50/{name}'
    if any(key not in metrics for metrics in seeds.values()):
        return '-'
    return f'{_mean(seeds, key):.1f}'


def study_table(runs: Runs, classes: Sequence[str]) -> list[list[str]]:
    """Lay out a study, a row for each config.

    Gain and gap recovered are computed for each seed, from source-only and
    oracle of the same seed, and then averaged. A seed whose oracle is not
    above source-only has no gap to recover and is left out; the cell is empty
    if no seed is left.

    Args:
        runs (Runs): Metrics by config and seed, with ``minutes`` and ``gib``.
        classes (Sequence[str]): Classes, a column each.

    Returns:
        list[list[str]]: A heading and a row per config; ``-`` for a class
        without a box in the test images.
    """
    source_only = _reference(runs, 'source-only')
    oracle = _reference(runs, 'oracle')
    rows = [
        [
            'AP50 (%)',
            'seeds',
            *classes,
            'target mAP50',
            'source mAP50',
            'gain',
            'gap recovered',
            'minutes',
            'GiB',
            'paper',
        ]
    ]
    for name, seeds in runs.items():
        if not seeds:
            continue
        paired = (
            []
            if seeds is source_only
            else [seed for seed in seeds if seed in source_only]
        )
        maps = {seed: metrics[TARGET_MAP] for seed, metrics in seeds.items()}
        gains = [maps[seed] - source_only[seed][TARGET_MAP] for seed in paired]
        gap = mean_and_std(
            [
                gap_recovered(
                    source_only[seed][TARGET_MAP], maps[seed], oracle[seed][TARGET_MAP]
                )
                for seed in paired
                if seed in oracle
            ]
        )
        paper = paper_ap50().get(name)
        rows.append(
            [
                name,
                str(len(seeds)),
                *(_class_ap(seeds, c) for c in classes),
                mean_and_std(list(maps.values())),
                mean_and_std([m['source/mAP50'] for m in seeds.values()]),
                mean_and_std(gains),
                f'{gap} %' if gap else '',
                f'{_mean(seeds, "minutes"):.1f}',
                f'{_mean(seeds, "gib"):.1f}',
                '' if paper is None else f'{paper:.1f}',
            ]
        )
    return rows


def plot_study(runs: Runs, path: Path) -> None:
    """Draw every run's target mAP50 and each config's mean.

    Args:
        runs (Runs): Metrics by config and seed.
        path (Path): PNG to write.
    """
    names = [name for name, seeds in runs.items() if seeds]
    figure = Figure(figsize=(8, 1 + 0.4 * len(names)), layout='constrained')
    axes = figure.add_subplot()
    for row, name in enumerate(names):
        values = [m[TARGET_MAP] for m in runs[name].values()]
        axes.plot(values, [row] * len(values), 'o', color='C0', alpha=0.4)
        mean = _mean(runs[name], TARGET_MAP)
        axes.plot(mean, row, '|', color='C0', ms=18, mew=3)
    axes.set_yticks(range(len(names)), [n.split('_')[0] for n in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis='x', alpha=0.3)
    for kind, style in (('source-only', ':'), ('oracle', '--')):
        seeds = _reference(runs, kind)
        if seeds:
            axes.axvline(
                _mean(seeds, TARGET_MAP), color='0.5', linestyle=style, label=kind
            )
    axes.set_xlabel('target mAP50 (%): a point per seed, a bar at the mean')
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc='outside upper right', ncols=2)
    figure.savefig(path, dpi=150)
