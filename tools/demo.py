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
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from tqdm import tqdm

from mmdet_ifan.datasets.disk import DataError
from mmdet_ifan.datasets.mini_city import MiniCity, write_mini_city
from mmdet_ifan.datasets.preparation import Options
from mmdet_ifan.datasets.preparation.cityscapes import prepare_cityscapes
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
        self.process: subprocess.Popen | None = None
        self.path = CONFIGS / f'{config}.py'
        cfg = Config.fromfile(self.path)
        self.max_iters: int = cfg.train_cfg.max_iters
        self.launch: dict[str, int] = cfg.custom_hooks[0].launch
        self.folder = folder
        self.log = folder / 'console.log'
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

    def work_done(self) -> float:
        """Give the part of the work that is done."""
        if self.metrics() is not None:
            return self.work
        steps = [s['step'] for s in self.scalars() if 'loss' in s]
        return self.work * steps[-1] / self.max_iters if steps else 0.

    def start(self, threads: int) -> None:
        """Start, or go on, in a process of its own.

        Args:
            threads (int): Threads of the process.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            # Interrupted in its last evaluation, which a resumed run would
            # not make up for: train again.
            self.checkpoint.unlink()
            (self.folder / 'last_checkpoint').unlink(missing_ok=True)
        with self.log.open('a') as stream:
            self.process = subprocess.Popen(
                self.command,
                stdout=stream,
                stderr=stream,
                env={**os.environ, 'OMP_NUM_THREADS': str(threads)})

    def finished(self) -> bool:
        """Tell whether the process is done; end the demo if it failed."""
        if self.process is None or self.process.poll() is None:
            return False
        if self.process.returncode or self.metrics() is None:
            tail = '\n'.join(self.log.read_text().splitlines()[-15:])
            sys.exit(f'{tail}\nerror: {" ".join(self.command)} failed; all '
                     f'that it said is in {self.log}.')
        return True

    def stop(self) -> None:
        """End the process; the next start goes on from its checkpoint."""
        if self.process is not None:
            self.process.terminate()


def prepare_data() -> None:
    """Render Mini City and make its COCO files, unless they are there."""
    workers = os.cpu_count() or 1
    try:
        write_mini_city(DATA, CITY, workers)
        report = prepare_cityscapes(DATA, Options(workers=workers))
    except DataError as error:
        sys.exit(f'error: {error}')
    print(*report.lines(), sep='\n')


def train(trainings: Sequence[Training], bar: tqdm) -> None:
    """Train what is not trained yet, as many at a time as there are cores.

    At this size a second core makes one training hardly faster, but two
    trainings beside each other take little longer than one.

    Args:
        trainings (Sequence[Training]): The trainings, the longest first.
        bar (tqdm): Counts their work.
    """
    cores = os.cpu_count() or 1
    waiting = [t for t in trainings if t.metrics() is None]
    jobs = max(1, min(cores, len(waiting)))
    running: list[Training] = []
    start = bar.n
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(waiting.pop(0))
                running[-1].start(cores // jobs)
            time.sleep(2)
            running = [t for t in running if not t.finished()]
            done = sum(training.work_done() for training in trainings)
            bar.update(start + done - bar.n)
    finally:
        for training in running:
            training.stop()
    bar.update(start + sum(t.work for t in trainings) - bar.n)


def train_all(warm: Training, runs: dict[str, Training]) -> None:
    """Train the warm start, then the rows of the table from it."""
    layout = '{desc}{percentage:3.0f}% |{bar}| {elapsed}, {remaining} left'
    with tqdm(
            total=warm.work + sum(run.work for run in runs.values()),
            bar_format=layout,
            mininterval=1 if sys.stderr.isatty() else 30) as bar:
        bar.set_description('training warm start')
        train([warm], bar)
        bar.set_description(f'training {", ".join(runs)}')
        train(sorted(runs.values(), key=lambda run: -run.work), bar)


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
    train_all(warm, runs)
    results = {row: run.metrics() or {} for row, run in runs.items()}
    table = write_results(folder, args.seed, results)
    drawn = {'source-only': runs['source_only'], 'iFAN': runs['ifan']}
    draw_comparison(
        configs={name: run.path for name, run in drawn.items()},
        checkpoints={name: run.checkpoint for name, run in drawn.items()},
        out=folder / 'detections.png')
    print(f'\n{table}\nThe demo took {(time.time() - start) / 60:.0f} minutes.'
          f' Results: {folder}/results.json, results.md, detections.png')


if __name__ == '__main__':
    main()
