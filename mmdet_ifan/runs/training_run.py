"""Training runs as sub-processes: watched, resumed, several at a time."""
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tqdm import tqdm

from ..analysis.curves import read_scalars
from ..engine.schedule.epochs import counts_epochs, length_of
from ..engine.schedule.late_launch_hook import launching_configs
from ..utils.named_configs import package_folder
from ..utils.processes import end_with_parent

#: In bytes. By default glibc gives large blocks back to the system after each
#: step and gets them again, page by page: on a CPU 4 % of a step's time.
KEEP_MEMORY = dict(
    MALLOC_MMAP_THRESHOLD_=str(2**25), MALLOC_TRIM_THRESHOLD_=str(2**30))


class TrainingRun:
    """A training run as a sub-process, watched through its scalars.

    Args:
        config (Path): The config.
        folder (Path): Work folder.
        seed (int): Seed.
    """

    def __init__(self, config: Path, folder: Path, seed: int) -> None:
        self.process: subprocess.Popen | None = None
        self.path = config
        cfg = Config.fromfile(config)
        self.batch_size: int = cfg.train_dataloader.batch_size
        by_epoch = counts_epochs(cfg.train_cfg)
        images = 0
        if by_epoch:
            init_default_scope('mmdet')
            images = len(DATASETS.build(cfg.train_dataloader.dataset))
        self.max_iters, epochs = length_of(cfg, images)
        hook = (launching_configs(cfg) or [dict(launch={})])[-1]
        # Of bounds, the later: the cost is an estimate.
        self.launches = [
            (start if isinstance(start, int) else start[1]) *
            (self.max_iters // epochs if hook.get('by_epoch') else 1)
            for start in hook['launch'].values()
        ]
        self.folder = folder
        self.log = folder / 'console.log'
        self.cost_file = folder / 'cost.json'
        self.started = 0.
        self.checkpoint = folder / (
            f'epoch_{epochs}.pth' if by_epoch else f'iter_{self.max_iters}.pth'
        )
        self.arguments = [
            str(self.path), '--work-dir',
            str(folder), '--seed',
            str(seed), '--resume'
        ]
        self.command: list[str] = []

    @property
    def work(self) -> float:
        """float: Rough cost in iterations of plain Faster R-CNN."""
        # A launched alignment costs about half a plain iteration.
        return self.max_iters + sum(
            0.5 * (self.max_iters - start) for start in self.launches)

    def metrics(self) -> dict[str, float] | None:
        """Give the last evaluation, None if the run is not finished."""
        if not self.checkpoint.exists():
            return None
        evaluations = [
            s for s in read_scalars(self.folder) if 'target/mAP50' in s
        ]
        return evaluations[-1] if evaluations else None

    def domain_metrics(self) -> dict[str, float]:
        """Give the metrics of the last evaluation in both domains."""
        return {
            name: value
            for name, value in (self.metrics() or {}).items()
            if name.startswith(('source/', 'target/'))
        }

    def work_done(self) -> float:
        """Give the part of the work that is done."""
        if self.metrics() is not None:
            return self.work
        steps = [s['step'] for s in read_scalars(self.folder) if 'loss' in s]
        return self.work * steps[-1] / self.max_iters if steps else 0.

    def start(self, processes: int, threads: int,
              gpus: Sequence[str] = ()) -> None:
        """Start or resume.

        Args:
            processes (int): How many share out each batch.
            threads (int): Threads of each.
            gpus (Sequence[str]): A GPU for each, as ``CUDA_VISIBLE_DEVICES``
                calls it. Defaults to none.
        """
        launcher: list[str] = []
        arguments = list(self.arguments)
        if processes > 1:
            # Standalone: runs at the same time take ports of their own.
            launcher = [
                '-m', 'torch.distributed.run', '--standalone',
                f'--nproc_per_node={processes}'
            ]
            arguments += ['--launcher', 'pytorch']
            arguments += [
                '--cfg-options', 'train_dataloader.batch_size='
                f'{self.batch_size // processes}'
            ]
        self.command = [
            sys.executable, *launcher,
            str(package_folder('tools') / 'train.py'), *arguments
        ]
        environment = {
            **KEEP_MEMORY, **os.environ, 'OMP_NUM_THREADS': str(threads)
        }
        if gpus:
            environment['CUDA_VISIBLE_DEVICES'] = ','.join(gpus)
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            # Interrupted in its last evaluation, which a resumed run would
            # not make up for: resume from the checkpoint before.
            self.checkpoint.unlink()
            (self.folder / 'last_checkpoint').unlink(missing_ok=True)
        self.started = time.time()
        with self.log.open('a') as stream:
            self.process = subprocess.Popen(
                self.command,
                stdout=stream,
                stderr=stream,
                env=environment,
                # However this one ends: killed, it ends nothing itself.
                preexec_fn=partial(end_with_parent, signal.SIGTERM))

    def finished(self) -> bool:
        """Tell whether the process is done, well or not."""
        if self.process is None or self.process.returncode is not None:
            return self.process is not None
        pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
        if not pid:
            return False
        self.process.returncode = os.waitstatus_to_exitcode(status)
        before = self.cost()
        cost = dict(
            minutes=before['minutes'] + (time.time() - self.started) / 60,
            # Linux gives kilobytes.
            gib=max(before['gib'], usage.ru_maxrss / 2**20))
        self.cost_file.write_text(json.dumps(cost))
        return True

    def cost(self) -> dict[str, float]:
        """Give ``minutes``, over all resumes, and the peak memory, ``gib``."""
        if not self.cost_file.exists():
            return dict(minutes=0., gib=0.)
        return json.loads(self.cost_file.read_text())

    def failure(self) -> str | None:
        """Say why there is no result; None if there is one."""
        if self.metrics() is not None:
            return None
        tail = '\n'.join(self.log.read_text().splitlines()[-15:])
        return (f'{tail}\nerror: {" ".join(self.command)} failed; all that it '
                f'said is in {self.log}.')

    def stop(self) -> None:
        """End the process; the next start resumes from its checkpoint."""
        if self.process is not None and not self.finished():
            self.process.terminate()


def visible_gpus() -> list[str]:
    """Name the GPUs that may be used, as ``CUDA_VISIBLE_DEVICES`` does."""
    count = torch.cuda.device_count()
    names = os.environ.get('CUDA_VISIBLE_DEVICES')
    return names.split(',')[:count] if names else list(map(str, range(count)))


def progress_bar(runs: Iterable[TrainingRun]) -> tqdm:
    """Make the bar that :func:`train_all` moves, as long as their work."""
    return tqdm(
        total=sum(run.work for run in runs),
        bar_format='{desc}{percentage:3.0f}% |{bar}| {elapsed}, {remaining} '
        'left',
        mininterval=1 if sys.stderr.isatty() else 30)


def train_all(runs: Sequence[TrainingRun],
              bar: tqdm,
              jobs: int | None = None,
              processes: int = 1,
              after: Callable[[TrainingRun], None] | None = None) -> None:
    """Train what is not trained yet; one that fails does not stop the others.

    With small images a second thread makes a run hardly faster, but two runs
    at the same time take little longer than one.

    Args:
        runs (Sequence[TrainingRun]): The runs; the longest go first.
        bar (tqdm): Counts their work.
        jobs (int, optional): How many at a time. Defaults to None, as many as
            there are GPUs or, without any, cores for.
        processes (int): Processes of each, which share out the batch. With
            GPUs, each has one of them. Defaults to 1.
        after (Callable, optional): Called with each run that has ended,
            well or not, as soon as it has. Defaults to None.
    """
    gpus, cores = visible_gpus(), os.cpu_count() or 1
    waiting = sorted((run for run in runs if run.metrics() is None),
                     key=lambda run: -run.work)
    jobs = jobs or (len(gpus) or cores) // processes
    jobs = max(1, min(jobs, len(waiting)))
    threads = max(1, cores // (jobs * processes))
    # More jobs than there are GPUs for share them.
    free = [[gpus[(job * processes + i) % len(gpus)] for i in range(processes)]
            if gpus else [] for job in range(jobs)]
    running: dict[TrainingRun, list[str]] = {}
    start = bar.n
    # Whoever ends this ends the runs: two of them in one folder, the second
    # started by the next study, would overwrite each other's files.
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(
        128 + number))
    try:
        while waiting or running:
            while waiting and free:
                run, its_gpus = waiting.pop(0), free.pop(0)
                running[run] = its_gpus
                run.start(processes, threads, its_gpus)
            time.sleep(2)
            for run in [run for run in running if run.finished()]:
                free.append(running.pop(run))
                if after is not None:
                    after(run)
            done = sum(run.work_done() for run in runs)
            bar.update(start + done - bar.n)
    finally:
        for run in running:
            run.stop()
        signal.signal(signal.SIGTERM, before)
    bar.update(start + sum(run.work for run in runs) - bar.n)
