"""The demo's page: what its runs show, and what to try next."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from ..analysis.comparison import (
    TARGET_MAP,
    Metrics,
    classes_table,
    gap_recovered,
    summary_table,
)
from ..analysis.errors import sizes_table, states_table
from ..analysis.report import Section, facts_of, write_report

#: Config by the name of its row, in the order of the tables.
RUNS = {
    'source-only': 'source-only_mini-city',
    'iFAN': 'ifan_mini-city',
    'oracle': 'oracle_mini-city',
}
#: Lowest score of a detection that is drawn or counted.
SCORE = 0.5
#: Points of mAP50 by which two runs of one config differ, seed to seed.
NOISE = 2.0


def write_page(folder: Path) -> Path:
    """Write report.html of a finished demo.

    Args:
        folder (Path): Its results.

    Returns:
        Path: The page.
    """
    results = json.loads((folder / 'results.json').read_text())
    config = RUNS['iFAN']
    # As the run has written it.
    cfg = Config.fromfile(folder / config / f'{config}.py')
    runs, errors = results['runs'], results['errors']
    classes = list(cfg.metainfo.classes)
    base, method, best = (runs[row][TARGET_MAP] for row in RUNS)
    gap = gap_recovered(base, method, best)
    write_report(
        folder / 'report.html',
        'Mini City, clear to dense fog: '
        + (
            f'iFAN recovers {gap:.0f} % of the gap'
            if best - base >= NOISE
            else 'no gap to recover'
        ),
        [
            result_in_words(base, method, best),
            changes_in_words(runs, errors),
            next_step(
                runs, classes, errors, results['domain_accuracy'], results['seed']
            ),
        ],
        sections(folder, runs, classes, errors, results['features']),
        facts_of(cfg, results['seed']),
        cfg.pretty_text,
    )
    return folder / 'report.html'


def result_in_words(base: float, method: float, best: float) -> str:
    """Say what adaptation reached on target, whether it helped or not.

    Args:
        base (float): Target mAP50 of source-only, in percent.
        method (float): Target mAP50 of iFAN, in percent.
        best (float): Target mAP50 of the oracle, in percent.

    Returns:
        str: The first line of the page.
    """
    if best - base < NOISE:
        return (
            f'In dense fog the oracle, trained with its boxes, reaches {best:.1f} '
            f'mAP50 and source-only {base:.1f}: there is no gap to recover, and '
            f'the {method:.1f} of iFAN say nothing about it.'
        )
    seen = (
        f'In dense fog source-only reaches {base:.1f} mAP50, the oracle, trained '
        f'with its boxes, {best:.1f}. iFAN, which saw foggy images without boxes, '
        f'reaches {method:.1f}'
    )
    if method - base < NOISE:
        verdict = 'did harm' if method - base <= -NOISE else 'made no difference'
        return f'{seen}: adaptation {verdict}.'
    return f'{seen}: {gap_recovered(base, method, best):.0f} % of the gap.'


def changes_in_words(runs: Mapping[str, Metrics], errors: Mapping) -> str:
    """Say what adaptation cost on source, and what became of the errors.

    Args:
        runs (Mapping[str, Metrics]): Metrics by row.
        errors (Mapping): Output of :func:`count_errors` on target.

    Returns:
        str: The second line of the page.
    """
    change = runs['iFAN']['source/mAP50'] - runs['source-only']['source/mAP50']
    price = (
        f'On clear scenes iFAN is {abs(change):.1f} points '
        f'{"above" if change > 0 else "below"} source-only'
        + (', which is within the noise' if abs(change) < NOISE else '')
    )
    before, after = (errors['states'][row] for row in ('source-only', 'iFAN'))
    return (
        f'{price}. Of {sum(errors["objects"])} objects in the fog it finds '
        f'{after["found"]} (source-only: {before["found"]}) with '
        f'{after["detections"]} detections ({before["detections"]}).'
    )


def next_step(
    runs: Mapping[str, Metrics],
    classes: Sequence[str],
    errors: Mapping,
    accuracies: Sequence[float],
    seed: int,
) -> str:
    """Say what to try next, as the figures suggest.

    Args:
        runs (Mapping[str, Metrics]): Metrics by row.
        classes (Sequence[str]): Class names.
        errors (Mapping): Output of :func:`count_errors` on target.
        accuracies (Sequence[float]): Mean accuracy of iFAN's domain
            classifiers in percent, over the run; empty if it was not logged.
        seed (int): Seed of the runs.

    Returns:
        str: The third line of the page.
    """
    base, method, best = (runs[row][TARGET_MAP] for row in RUNS)
    if best - base < NOISE:
        return (
            'Next: train for longer (train_cfg.max_iters), until the oracle is '
            'clearly above source-only. Before that, nothing can be adapted.'
        )
    if method - base < NOISE:
        last = accuracies[-math.ceil(len(accuracies) / 5) :]
        accuracy = (
            f' It was {sum(last) / len(last):.0f} % in the last fifth of this run.'
            if last
            else ''
        )
        return (
            'Next: compare the domain accuracy under Training with '
            f'docs/guide/signals.md, which names causes and settings.{accuracy}'
        )
    behind = {
        name: runs['oracle'][key] - runs['iFAN'][key]
        for name in classes
        if not math.isnan(runs['iFAN'].get(key := f'target/AP50/{name}', math.nan))
    }
    worst = max(behind, key=lambda name: behind[name])
    small, large = (
        100 * errors['found']['iFAN'][part] / errors['objects'][part]
        for part in (0, -1)
    )
    return (
        f'Left to gain: {worst}, {behind[worst]:.1f} points below the oracle, and '
        f'small objects: of those up to {errors["heights"][0]:.0f} px high iFAN '
        f'finds {small:.0f} %, of the largest quarter {large:.0f} %. Next: another '
        f'seed (tools/demo.py --seed {seed + 1}), as {NOISE:.0f} points may be chance, '
        'then your own images (docs/guide/own_pair.md).'
    )


def sections(
    folder: Path,
    runs: Mapping[str, Metrics],
    classes: Sequence[str],
    errors: Mapping,
    features: Mapping[str, Mapping[str, float]],
) -> list[Section]:
    """Lay out tables and pictures.

    Args:
        folder (Path): Folder of the pictures.
        runs (Mapping[str, Metrics]): Metrics by row.
        classes (Sequence[str]): Class names.
        errors (Mapping): Output of :func:`count_errors` on target.
        features (Mapping): Output of :func:`plot_embedding`.

    Returns:
        list[Section]: The parts of the page.
    """
    return [
        Section(
            'Results',
            'Source-only is the same training without adaptation, the oracle is '
            'trained on the foggy images with their boxes. The second table is of '
            'dense fog.',
            [summary_table(runs, 'clear', 'dense fog'), classes_table(runs, classes)],
        ),
        Section(
            'Detections in dense fog',
            f'Scenes at even distances in the validation set, not a selection. A '
            f'detection is drawn from a score of {SCORE} on.',
            picture=folder / 'detections.png',
            alt='Foggy scenes, a row each: true boxes, then the boxes that '
            'source-only and iFAN detect',
            look='wide',
        ),
        Section(
            'Errors in dense fog',
            f'At a score of {SCORE}. Mislocalised: a detection of the class overlaps '
            'the object too little. Confused: one of another class overlaps it. '
            'A false detection overlaps no object. The second table has a quarter of '
            'the objects in each row.',
            [states_table(errors), sizes_table(errors)],
            folder / 'errors.png',
            'Bars of the objects of each class that source-only and iFAN find, '
            'mislocalise, confuse and miss',
        ),
        Section(
            'Features',
            'Objects of both domains, as the detector sees them (t-SNE). A-distance: '
            '0 if a linear classifier cannot tell clear from foggy, 2 if it always '
            'can. Silhouette: larger if the classes are better separated.',
            [
                [
                    ['features', 'A-distance', 'silhouette'],
                    *(
                        [
                            row,
                            *(f'{m[key]:.2f}' for key in ('a_distance', 'silhouette')),
                        ]
                        for row, m in features.items()
                    ),
                ]
            ],
            folder / 'features.png',
            'Points of objects, a panel each for source-only, iFAN and oracle, '
            'coloured by class, filled if clear and hollow if foggy',
            'plot wide',
        ),
        Section(
            'Training',
            "The detection loss is on clear images, the oracle's on foggy ones. "
            "Dotted: launches of iFAN's terms. At a domain accuracy of 50 % the "
            'classifiers cannot tell the domains apart.',
            picture=folder / 'curves.png',
            alt='Detection loss, alignment loss and domain accuracy over iterations',
            look='plot wide',
        ),
    ]
