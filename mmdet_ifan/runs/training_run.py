"""Training runs as sub-processes, several at a time."""

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
from ..utils.processes import end_with_parent, usable_cores

#: In bytes. By default glibc returns large blocks to the system after each
#: step and requests them again: 4 % of a step's time on a CPU.
KEEP_MEMORY = dict(MALLOC_MMAP_THRESHOLD_=str(2**25), MALLOC_TRIM_THRESHOLD_=str(2**30))


class TrainingRun:
    """A training run as a sub-process, watched through its scalars.

    Args:
        config (Path): Config of the run.
        folder (Path): Its work folder.
        seed (int): Its seed.
    """

    def __init__(self, config: Path, folder: Path, seed: int) -> None:
        self.process: subprocess.Popen | None = None
        self.path = config
        self.seed = seed
        cfg = Config.fromfile(config)
        self.measured = cfg.get('val_dataloader') is not None
        self.batch_size: int = cfg.train_dataloader.batch_size
        by_epoch = counts_epochs(cfg.train_cfg)
        images = 0
        if by_epoch:
            init_default_scope('mmdet')
            images = len(DATASETS.build(cfg.train_dataloader.dataset))
        self.max_iters, epochs = length_of(cfg, images)
        hook = (launching_configs(cfg) or [dict(launch={})])[-1]
        # Of two bounds the later; the cost is an estimate anyway.
        self.launches = [
            (start if isinstance(start, int) else start[1])
            * (self.max_iters // epochs if hook.get('by_epoch') else 1)
            for start in hook['launch'].values()
        ]
        self.folder = folder
        self.log = folder / 'console.log'
        self.cost_file = folder / 'cost.json'
        self.started = 0.0
        self.checkpoint = folder / (
            f'epoch_{epochs}.pth' if by_epoch else f'iter_{self.max_iters}.pth'
        )
        self.arguments = [
            str(self.path),
            '--work-dir',
            str(folder),
            '--seed',
            str(seed),
            '--resume',
        ]
        self.command: list[str] = []

    @property
    def work(self) -> float:
        """float: Estimated cost, in iterations of a plain Faster R-CNN."""
        return self.work_until(self.max_iters)

    def work_until(self, step: int) -> float:
        """Estimate the part of :attr:`work` that precedes an iteration."""
        # A launched term costs about half a plain iteration.
        return step + sum(0.5 * max(0, step - start) for start in self.launches)

    def metrics(self) -> dict[str, float] | None:
        """Read the last evaluation; None if the run is not finished.

        It is empty if the config has nothing to evaluate on.
        """
        if not self.checkpoint.exists():
            return None
        if not self.measured:
            return {}
        evaluations = [s for s in read_scalars(self.folder) if 'target/mAP50' in s]
        return evaluations[-1] if evaluations else None

    def domain_metrics(self) -> dict[str, float]:
        """Read the metrics of both domains in the last evaluation."""
        return {
            name: value
            for name, value in (self.metrics() or {}).items()
            if name.startswith(('source/', 'target/'))
        }

    def work_done(self) -> float:
        """Estimate the part of :attr:`work` that is done."""
        if self.metrics() is not None:
            return self.work
        steps = [s['step'] for s in read_scalars(self.folder) if 'loss' in s]
        return self.work_until(int(steps[-1])) if steps else 0.0

    def start(self, processes: int, threads: int, gpus: Sequence[str] = ()) -> None:
        """Start or resume the run.

        Args:
            processes (int): Processes that share each batch equally.
            threads (int): Threads of each process.
            gpus (Sequence[str]): A GPU for each process, by its name in
                ``CUDA_VISIBLE_DEVICES``. Defaults to none.
        """
        launcher: list[str] = []
        arguments = list(self.arguments)
        if processes > 1:
            # Standalone: concurrent runs get ports of their own.
            launcher = [
                '-m',
                'torch.distributed.run',
                '--standalone',
                f'--nproc_per_node={processes}',
            ]
            arguments += [
                '--launcher',
                'pytorch',
                '--cfg-options',
                f'train_dataloader.batch_size={self.batch_size // processes}',
            ]
        self.command = [
            sys.executable,
            *launcher,
            str(package_folder('tools') / 'train.py'),
            *arguments,
        ]
        environment = {**KEEP_MEMORY, **os.environ, 'OMP_NUM_THREADS': str(threads)}
        if gpus:
            environment['CUDA_VISIBLE_DEVICES'] = ','.join(gpus)
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            # It was interrupted in its last evaluation, which a resumed run
            # would skip: resume from the checkpoint before.
            self.checkpoint.unlink()
            (self.folder / 'last_checkpoint').unlink(missing_ok=True)
        self.started = time.time()
        with self.log.open('a') as stream:
            self.process = subprocess.Popen(
                self.command,
                stdout=stream,
                stderr=stream,
                env=environment,
                # Killed, this process could not end the run itself.
                preexec_fn=partial(end_with_parent, signal.SIGTERM),
            )

    def finished(self) -> bool:
        """Tell whether the process has ended, with or without success."""
        if self.process is None or self.process.returncode is not None:
            return self.process is not None
        pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
        if not pid:
            return False
        self.process.returncode = os.waitstatus_to_exitcode(status)
        before = self.cost()
        cost = dict(
            minutes=before['minutes'] + (time.time() - self.started) / 60,
            # Linux counts kilobytes.
            gib=max(before['gib'], usage.ru_maxrss / 2**20),
        )
        self.cost_file.write_text(json.dumps(cost))
        return True

    def cost(self) -> dict[str, float]:
        """Read ``minutes``, over all resumes, and ``gib``, the peak memory."""
        if not self.cost_file.exists():
            return dict(minutes=0.0, gib=0.0)
        return json.loads(self.cost_file.read_text())

    def failure(self) -> str | None:
        """Explain why there is no result; None if there is one."""
        if self.metrics() is not None:
            return None
        tail = '\n'.join(self.log.read_text().splitlines()[-15:])
        return (
            f'{tail}\nerror: {" ".join(self.command)} failed: see '
            f'{self.log} for its whole output.'
        )

    def stop(self) -> None:
        """End the process; the next start resumes from its checkpoint."""
        if self.process is not None and not self.finished():
            self.process.terminate()


def visible_gpus() -> list[str]:
    """List the usable GPUs by their names in ``CUDA_VISIBLE_DEVICES``."""
    count = torch.cuda.device_count()
    names = os.environ.get('CUDA_VISIBLE_DEVICES')
    return names.split(',')[:count] if names else list(map(str, range(count)))


def progress_bar(runs: Iterable[TrainingRun]) -> tqdm:
    """Make a progress bar for :func:`train_all`, as long as all the work."""
    return tqdm(
        total=sum(run.work for run in runs),
        bar_format='{desc}{percentage:3.0f}% |{bar}| {elapsed}, {remaining} left',
        mininterval=1 if sys.stderr.isatty() else 30,
    )


def train_all(
    runs: Sequence[TrainingRun],
    bar: tqdm,
    jobs: int | None = None,
    processes: int = 1,
    after: Callable[[TrainingRun], None] | None = None,
) -> None:
    """Train unfinished runs; a failed run does not stop the others.

    With small images, a second thread hardly speeds up a run, but two
    concurrent runs take little longer than one.

    Args:
        runs (Sequence[TrainingRun]): The runs; the longest start first.
        bar (tqdm): Progress bar of their work.
        jobs (int, optional): Runs at a time. Defaults to None, as many as
            GPUs or, without any, cores allow.
        processes (int): Processes of a run, which share each batch equally.
            With GPUs, each process has one. Defaults to 1.
        after (Callable, optional): Called with each run when it has ended,
            with or without success. Defaults to None.
    """
    gpus, cores = visible_gpus(), usable_cores()
    waiting = sorted(
        (run for run in runs if run.metrics() is None), key=lambda run: -run.work
    )
    jobs = jobs or (len(gpus) or cores) // processes
    jobs = max(1, min(jobs, len(waiting)))
    threads = max(1, cores // (jobs * processes))
    # If there are more processes than GPUs, they share them.
    free = [
        [gpus[(job * processes + i) % len(gpus)] for i in range(processes)]
        if gpus
        else []
        for job in range(jobs)
    ]
    running: dict[TrainingRun, list[str]] = {}
    start = bar.n
    # Ending this process ends its runs. Otherwise the next study would start
    # a second run in the same folder.
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        while waiting or running:
            while waiting and free:
                run, its_gpus = waiting.pop(0), free.pop(0)
                running[run] = its_gpus
                run.start(processes, threads, its_gpus)
            time.sleep(0.5)
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
