"""Train iFAN on Mini City and compare it with source-only and oracle.

It renders the data, trains a short source-only warm start (the stand-in for
the ImageNet weights of the paper) and from it, for as many iterations each,
source-only, iFAN and oracle. An interrupted demo goes on where it stopped.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from mmengine.config import Config
from tqdm import tqdm

from mmdet_ifan.datasets.cityscapes_to_coco import format_summaries, prepare
from mmdet_ifan.datasets.disk import DataError
from mmdet_ifan.datasets.mini_city import MiniCity, write_mini_city
from mmdet_ifan.evaluation import comparison_table, gap_recovered, to_markdown
from mmdet_ifan.evaluation.detection_figure import draw_comparison

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'configs'
DATA = Path('data/mini_city')
CITY = MiniCity()
#: Row of the table and config, in the order of training.
RUNS = dict(
    source_only='source-only_mini-city',
    ifan='ifan_mini-city',
    oracle='oracle_mini-city')
WARM_START = 'warm-start_mini-city'


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


class Training:
    """One training as a sub-process, watched through its scalars.

    Args:
        config (str): Name of the config.
        folder (Path): Work folder.
        seed (int): Seed.
        load_from (Path, optional): Checkpoint to start from.
            Defaults to None.
    """

    def __init__(self,
                 config: str,
                 folder: Path,
                 seed: int,
                 load_from: Path | None = None) -> None:
        self.path = CONFIGS / f'{config}.py'
        cfg = Config.fromfile(self.path)
        self.max_iters: int = cfg.train_cfg.max_iters
        self.launch: dict[str, int] = cfg.custom_hooks[0].launch
        self.folder = folder
        self.checkpoint = folder / f'iter_{self.max_iters}.pth'
        self.command = [
            sys.executable,
            str(ROOT / 'tools/train.py'),
            str(self.path), '--work-dir',
            str(folder), '--seed',
            str(seed), '--resume'
        ]
        if load_from is not None:
            self.command += ['--cfg-options', f'load_from={load_from}']

    @property
    def work(self) -> float:
        """float: Rough cost in iterations of plain Faster R-CNN."""
        # A launched alignment costs about half a plain iteration.
        return self.max_iters + sum(
            0.5 * (self.max_iters - start) for start in self.launch.values())

    def scalars(self) -> list[dict]:
        """Read what the run has logged, oldest first."""
        files = sorted(self.folder.glob('*/vis_data/scalars.json'))
        lines = [line for f in files for line in f.read_text().splitlines()]
        return [json.loads(line) for line in lines if line.endswith('}')]

    def metrics(self) -> dict[str, float] | None:
        """Give the last evaluation, None if the run is not finished."""
        if not self.checkpoint.exists():
            return None
        evaluations = [s for s in self.scalars() if 'target/mAP50' in s]
        return evaluations[-1] if evaluations else None

    def progress(self) -> float:
        """Give the share of the iterations that are done."""
        steps = [s['step'] for s in self.scalars() if 'loss' in s]
        return steps[-1] / self.max_iters if steps else 0.

    def run(self, bar: tqdm) -> dict[str, float]:
        """Train, unless it is done, and move the bar.

        Args:
            bar (tqdm): Counts work over all trainings.

        Returns:
            dict[str, float]: Metrics of the final evaluation.
        """
        start = bar.n
        if self.metrics() is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            log = self.folder / 'console.log'
            with log.open('a') as stream:
                process = subprocess.Popen(
                    self.command, stdout=stream, stderr=stream)
                try:
                    while process.poll() is None:
                        bar.update(start + self.work * self.progress() - bar.n)
                        time.sleep(2)
                finally:
                    process.terminate()
            metrics = self.metrics()
            if process.returncode or metrics is None:
                tail = '\n'.join(log.read_text().splitlines()[-15:])
                sys.exit(f'{tail}\nerror: {" ".join(self.command)} failed; '
                         f'all that it said is in {log}.')
        bar.update(start + self.work - bar.n)
        return self.metrics() or {}


def prepare_data() -> None:
    """Render Mini City and make its COCO files, unless they are there."""
    workers = os.cpu_count() or 1
    try:
        write_mini_city(DATA, CITY, workers)
        format_summaries(prepare(DATA, workers=workers))
    except DataError as error:
        sys.exit(f'error: {error}')


def train(warm: Training,
          runs: dict[str, Training]) -> dict[str, dict[str, float]]:
    """Train the warm start and the rows of the table."""
    total = warm.work + sum(run.work for run in runs.values())
    results = {}
    layout = '{desc}{percentage:3.0f}% |{bar}| {elapsed}, {remaining} left'
    with tqdm(
            total=total,
            bar_format=layout,
            mininterval=1 if sys.stderr.isatty() else 30) as bar:
        bar.set_description('training warm start')
        warm.run(bar)
        for row, run in runs.items():
            bar.set_description(f'training {row}')
            results[row] = run.run(bar)
    return results


def write_results(folder: Path, seed: int,
                  results: dict[str, dict[str, float]]) -> str:
    """Write results.json and results.md; returns the table."""
    classes = Config.fromfile(CONFIGS / f'{RUNS["ifan"]}.py').metainfo.classes
    table = to_markdown(comparison_table(results, classes))
    key = 'target/mAP50'
    report: dict = {
        row: {
            name: value
            for name, value in metrics.items()
            if name.startswith(('source/', 'target/'))
        }
        for row, metrics in results.items()
    }
    report['gap_recovered'] = gap_recovered(
        *(results[row][key] for row in ('source_only', 'ifan', 'oracle')))
    report['seed'] = seed
    (folder / 'results.json').write_text(json.dumps(report, indent=2))
    (folder / 'results.md').write_text(
        f'Mini City, clear to foggy, seed {seed}\n\n{table}')
    return table


def main() -> None:
    """Run the demo."""
    args = parse_args()
    default = 'demo' if args.seed == 0 else f'demo_seed-{args.seed}'
    folder = args.work_dir or Path('work_dirs') / default
    folder.mkdir(parents=True, exist_ok=True)
    start = time.time()
    prepare_data()
    warm = Training(WARM_START, folder / WARM_START, args.seed)
    runs = {
        row: Training(config, folder / config, args.seed, warm.checkpoint)
        for row, config in RUNS.items()
    }
    results = train(warm, runs)
    table = write_results(folder, args.seed, results)
    drawn = {row: runs[row] for row in ('source_only', 'ifan')}
    draw_comparison(
        configs={row: run.path for row, run in drawn.items()},
        checkpoints={row: run.checkpoint for row, run in drawn.items()},
        out=folder / 'detections.png')
    print(f'\n{table}\nThe demo took {(time.time() - start) / 60:.0f} minutes.'
          f' Results: {folder}/results.json, results.md, detections.png')


if __name__ == '__main__':
    main()
