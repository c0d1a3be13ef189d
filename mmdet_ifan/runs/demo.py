"""The demo: source-only, iFAN and oracle on Mini City, and a page of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..analysis.comparison import (
    TARGET_MAP,
    classes_table,
    gap_recovered,
    summary_table,
    to_markdown,
)
from ..analysis.curves import plot_curves, read_scalars
from ..analysis.detection_figure import draw_comparison
from ..analysis.detections import detect, read_truth
from ..analysis.embedding import plot_embedding, roi_features
from ..analysis.errors import compare_errors, count_errors, plot_errors
from ..mini_city import MiniCity, write_mini_city
from ..preparation import Options
from ..preparation.cityscapes import prepare_cityscapes
from ..utils.errors import DataError
from ..utils.files import write_atomically
from ..utils.named_configs import config_path
from ..utils.processes import usable_cores
from .demo_page import RUNS, SCORE, write_page
from .training_run import TrainingRun, progress_bar, train_all

DATA = Path('data/mini_city')
CITY = MiniCity()


def run_demo(folder: Path, seed: int) -> str:
    """Render the data, train what is not trained yet, and write the results.

    Args:
        folder (Path): Where logs, checkpoints and results go.
        seed (int): Seed of the runs.

    Returns:
        str: The content of ``results.md``, a table of both domains and one of
        the classes. The folder also holds ``results.json``, the pictures and
        the page ``report.html``.

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
    for run in runs.values():
        if failure := run.failure():
            raise DataError(failure)
    results = folder / 'results.json'
    newest = max(run.checkpoint.stat().st_mtime for run in runs.values())
    if not results.exists() or results.stat().st_mtime < newest:
        write_results(folder, seed, runs)
    write_page(folder)
    return (folder / 'results.md').read_text()


def prepare_data() -> None:
    """Render Mini City and make its COCO files, unless they are there."""
    workers = usable_cores()
    write_mini_city(DATA, CITY, workers)
    report = prepare_cityscapes(DATA, Options(workers=workers))
    print(*report.lines(), sep='\n')


def write_results(folder: Path, seed: int, runs: Mapping[str, TrainingRun]) -> None:
    """Write results.md, the pictures and results.json.

    Args:
        folder (Path): Folder of the demo.
        seed (int): Seed of the runs.
        runs (Mapping[str, TrainingRun]): The finished runs by row.
    """
    metrics = {row: run.domain_metrics() for row, run in runs.items()}
    cfg = Config.fromfile(runs['iFAN'].path)
    summary = to_markdown(summary_table(metrics, 'clear', 'dense fog'))
    classes = to_markdown(classes_table(metrics, cfg.metainfo.classes))
    (folder / 'results.md').write_text(
        f'Mini City, clear to dense fog, seed {seed}\n\n{summary}\n'
        f'Classes in dense fog\n\n{classes}'
    )
    results = dict(
        seed=seed,
        runs=metrics,
        gap_recovered=gap_recovered(*(m[TARGET_MAP] for m in metrics.values())),
        **draw_pictures(folder, cfg, runs),
    )
    # Last: it tells that everything is there.
    write_atomically(folder / 'results.json', json.dumps(results, indent=1).encode())


def draw_pictures(
    folder: Path, cfg: Config, runs: Mapping[str, TrainingRun]
) -> dict[str, Any]:
    """Draw curves, detections, errors and features of the finished runs.

    Args:
        folder (Path): Where the pictures go.
        cfg (Config): Config of iFAN; the others' detectors are the same.
        runs (Mapping[str, TrainingRun]): The runs by row.

    Returns:
        dict[str, Any]: ``errors`` and ``features``, the output of
        :func:`count_errors` on target and of :func:`plot_embedding`, and
        ``domain_accuracy``, that of iFAN in percent at each logged step.
    """
    curves = plot_curves(
        {row: read_scalars(run.folder) for row, run in runs.items()},
        folder / 'curves.png',
    )
    compared = ('source-only', 'iFAN')
    draw_comparison(
        {row: runs[row].path for row in compared},
        {row: runs[row].checkpoint for row in compared},
        folder / 'detections.png',
        score_thr=SCORE,
    )
    truths, classes = read_truth(cfg, 'target')
    paths = [truth.path for truth in truths]
    found = {
        row: detect(cfg, run.checkpoint, paths, SCORE) for row, run in runs.items()
    }
    changes = compare_errors(truths, found['source-only'], found['iFAN'], classes)
    plot_errors({'dense fog': changes}, compared, folder / 'errors.png')
    features = plot_embedding(
        {row: roi_features(cfg, str(run.checkpoint)) for row, run in runs.items()},
        classes,
        folder / 'features.png',
    )
    accuracy = curves['iFAN']['curves'].get('domain accuracy (%)', dict(values=[]))
    return dict(
        errors=count_errors(truths, found),
        features=features,
        domain_accuracy=accuracy['values'],
    )
