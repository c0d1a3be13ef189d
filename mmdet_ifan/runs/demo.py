"""The demo: source-only, iFAN and oracle on Mini City, and a page of them."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from mmengine.config import Config

from ..analysis.comparison import (
    TARGET_MAP,
    comparison_table,
    gap_recovered,
    to_markdown,
)
from ..analysis.curves import plot_curves, read_scalars
from ..analysis.detection_figure import draw_comparison
from ..analysis.report import facts_of, write_report
from ..mini_city import MiniCity, write_mini_city
from ..preparation import Options
from ..preparation.cityscapes import prepare_cityscapes
from ..utils.errors import DataError
from ..utils.named_configs import config_path
from .training_run import TrainingRun, progress_bar, train_all

DATA = Path('data/mini_city')
CITY = MiniCity()
#: Row of the table and config, in the order of training.
RUNS = dict(
    source_only='source-only_mini-city',
    ifan='ifan_mini-city',
    oracle='oracle_mini-city',
)
#: What the page shows, if it is there, and its caption; the last two are made
#: by tools/analysis.
PICTURES = {
    'detections.png': 'Detections on foggy scenes',
    'curves.png': 'Training',
    'errors.png': 'What became of the objects',
    'features.png': 'Features of both domains',
}


def run_demo(folder: Path, seed: int) -> str:
    """Render the data, train what is not trained yet, and write the results.

    Args:
        folder (Path): Where logs, checkpoints and results go.
        seed (int): Seed of the runs.

    Returns:
        str: The table, as Markdown. The folder holds it as ``results.md`` and
        ``results.json``, with ``detections.png`` and ``report.html``.

    Raises:
        DataError: If the data cannot be rendered or a run fails.
    """
    prepare_data()
    runs = {
        row: TrainingRun(Path(config_path(f'{config}.py')), folder / config, seed)
        for row, config in RUNS.items()
    }
    with progress_bar(runs.values()) as bar:
        bar.set_description(f'training {", ".join(runs)}')
        train_all(list(runs.values()), bar)
    stop_on_failure(runs.values())
    table = write_results(
        folder, seed, {row: run.domain_metrics() for row, run in runs.items()}
    )
    drawn = {'source-only': runs['source_only'], 'iFAN': runs['ifan']}
    draw_comparison(
        configs={name: run.path for name, run in drawn.items()},
        checkpoints={name: run.checkpoint for name, run in drawn.items()},
        out=folder / 'detections.png',
    )
    write_page(folder)
    return table


def prepare_data() -> None:
    """Render Mini City and make its COCO files, unless they are there."""
    workers = os.cpu_count() or 1
    write_mini_city(DATA, CITY, workers)
    report = prepare_cityscapes(DATA, Options(workers=workers))
    print(*report.lines(), sep='\n')


def stop_on_failure(runs: Iterable[TrainingRun]) -> None:
    """Raise a `DataError` if one of the runs has no result."""
    failures = [failure for run in runs if (failure := run.failure())]
    if failures:
        raise DataError(failures[0])


def write_results(folder: Path, seed: int, results: dict[str, dict[str, float]]) -> str:
    """Write results.json and results.md.

    Args:
        folder (Path): Folder of the demo.
        seed (int): Seed of the runs.
        results (dict[str, dict[str, float]]): Metrics by row.

    Returns:
        str: The table.
    """
    cfg = Config.fromfile(config_path(f'{RUNS["ifan"]}.py'))
    table = to_markdown(comparison_table(results, cfg.metainfo.classes))
    report: dict = dict(results)
    report['gap_recovered'] = gap_recovered(
        *(results[row][TARGET_MAP] for row in ('source_only', 'ifan', 'oracle'))
    )
    report['seed'] = seed
    (folder / 'results.json').write_text(json.dumps(report, indent=2))
    (folder / 'results.md').write_text(
        f'Mini City, clear to dense fog, seed {seed}\n\n{table}'
    )
    return table


def write_page(folder: Path) -> Path:
    """Write report.html of a finished demo.

    Args:
        folder (Path): Its results.

    Returns:
        Path: The page.
    """
    report = json.loads((folder / 'results.json').read_text())
    results = {row: report[row] for row in RUNS}
    plot_curves(
        {row: read_scalars(folder / config) for row, config in RUNS.items()},
        folder / 'curves.png',
    )
    cfg = Config.fromfile(config_path(f'{RUNS["ifan"]}.py'))
    write_report(
        folder / 'report.html',
        'Mini City, clear to dense fog: '
        f'iFAN recovers {report["gap_recovered"]:.0f} % of the gap',
        comparison_table(results, cfg.metainfo.classes),
        {
            caption: folder / name
            for name, caption in PICTURES.items()
            if (folder / name).exists()
        },
        facts_of(cfg, report['seed']),
        cfg.pretty_text,
    )
    return folder / 'report.html'
