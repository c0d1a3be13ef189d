"""Train iFAN on Mini City and compare it with source-only and oracle.

It renders the data, trains a short source-only warm start (the stand-in for
the ImageNet weights of the paper) and from it, for as many iterations each,
source-only, iFAN and oracle. An interrupted demo goes on where it stopped.
"""
import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from _trainings import ROOT, Training, progress_bar, train
from mmengine.config import Config

from mmdet_ifan.datasets.disk import DataError
from mmdet_ifan.datasets.mini_city import MiniCity, write_mini_city
from mmdet_ifan.datasets.preparation import Options
from mmdet_ifan.datasets.preparation.cityscapes import prepare_cityscapes
from mmdet_ifan.evaluation import (
    TARGET_MAP,
    comparison_table,
    gap_recovered,
    to_markdown,
)
from mmdet_ifan.evaluation.curves import plot_curves, read_scalars
from mmdet_ifan.evaluation.detection_figure import draw_comparison
from mmdet_ifan.evaluation.report import facts_of, write_report

CONFIGS = ROOT / 'configs'
DATA = Path('data/mini_city')
CITY = MiniCity()
#: Row of the table and config, in the order of training.
RUNS = dict(
    source_only='source-only_mini-city',
    ifan='ifan_mini-city',
    oracle='oracle_mini-city')
WARM_START = 'warm-start_mini-city'
#: What the page shows, if it is there, and its caption; the last two are made
#: by tools/analysis.
PICTURES = {
    'detections.png': 'Detections on foggy scenes',
    'curves.png': 'Training',
    'errors.png': 'What became of the objects',
    'features.png': 'Features of both domains'
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of the trainings')
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='folder of the results (default: work_dirs/demo, for another '
        'seed work_dirs/demo_seed-N)')
    return parser.parse_args()


def prepare_data() -> None:
    """Render Mini City and make its COCO files, unless they are there."""
    workers = os.cpu_count() or 1
    try:
        write_mini_city(DATA, CITY, workers)
        report = prepare_cityscapes(DATA, Options(workers=workers))
    except DataError as error:
        sys.exit(f'error: {error}')
    print(*report.lines(), sep='\n')


def train_all(warm: Training, runs: dict[str, Training]) -> None:
    """Train the warm start, then the rows of the table from it."""
    with progress_bar([warm, *runs.values()]) as bar:
        bar.set_description('training warm start')
        train([warm], bar)
        stop_on_failure([warm])
        bar.set_description(f'training {", ".join(runs)}')
        train(list(runs.values()), bar)
    stop_on_failure(runs.values())


def stop_on_failure(trainings: Iterable[Training]) -> None:
    """End the demo if one of them has no result."""
    failures = [failure for t in trainings if (failure := t.failure())]
    if failures:
        sys.exit(failures[0])


def write_results(folder: Path, seed: int,
                  results: dict[str, dict[str, float]]) -> str:
    """Write results.json and results.md; returns the table."""
    classes = Config.fromfile(CONFIGS / f'{RUNS["ifan"]}.py').metainfo.classes
    table = to_markdown(comparison_table(results, classes))
    report: dict = dict(results)
    report['gap_recovered'] = gap_recovered(
        *(results[row][TARGET_MAP]
          for row in ('source_only', 'ifan', 'oracle')))
    report['seed'] = seed
    (folder / 'results.json').write_text(json.dumps(report, indent=2))
    (folder / 'results.md').write_text(
        f'Mini City, clear to foggy, seed {seed}\n\n{table}')
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
    plot_curves({
        row: read_scalars(folder / config)
        for row, config in RUNS.items()
    }, folder / 'curves.png')
    cfg = Config.fromfile(CONFIGS / f'{RUNS["ifan"]}.py')
    write_report(
        folder / 'report.html', 'Mini City, clear to foggy: '
        f'iFAN recovers {report["gap_recovered"]:.0f} % of the gap',
        comparison_table(results, cfg.metainfo.classes), {
            caption: folder / name
            for name, caption in PICTURES.items() if (folder / name).exists()
        }, facts_of(cfg, report['seed']), cfg.pretty_text)
    return folder / 'report.html'


def main() -> None:
    """Run the demo."""
    args = parse_args()
    default = 'demo' if args.seed == 0 else f'demo_seed-{args.seed}'
    folder = args.work_dir or Path('work_dirs') / default
    folder.mkdir(parents=True, exist_ok=True)
    start = time.time()
    prepare_data()
    warm = Training(CONFIGS / f'{WARM_START}.py', folder / WARM_START,
                    args.seed)
    runs = {
        row: Training(CONFIGS / f'{config}.py', folder / config, args.seed,
                      warm.checkpoint)
        for row, config in RUNS.items()
    }
    train_all(warm, runs)
    results = {row: run.figures() for row, run in runs.items()}
    table = write_results(folder, args.seed, results)
    drawn = {'source-only': runs['source_only'], 'iFAN': runs['ifan']}
    draw_comparison(
        configs={name: run.path for name, run in drawn.items()},
        checkpoints={name: run.checkpoint for name, run in drawn.items()},
        out=folder / 'detections.png')
    page = write_page(folder)
    print(f'\n{table}\nThe demo took {(time.time() - start) / 60:.0f} minutes.'
          f' Results: {folder}/results.json, results.md, detections.png; all '
          f'in one page: {page}')


if __name__ == '__main__':
    main()
