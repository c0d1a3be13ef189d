"""A study: several configs on several seeds, each run trained once."""

import hashlib
import json
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from ..analysis.comparison import TARGET_MAP, to_markdown
from ..utils.errors import DataError
from ..utils.files import write_atomically
from .study_table import plot_study, study_table
from .training_run import TrainingRun, progress_bar, train_all

#: Settings that log, watch or save a run, but do not change its result.
NO_INFLUENCE = ('default_hooks', 'log_level', 'log_processor', 'visualizer')
#: Hooks of the same kind, by their names in default_hooks.
WATCHING = (
    'checkpoint',
    'finite_check',
    'logger',
    'preflight',
    'timer',
    'unreadable_images',
    'visualization',
)
#: Module that changes how configs and checkpoints are read.
PATCHES = 'mmdet_ifan.patch_mmengine'


def fingerprint(config: Path) -> str:
    """Hash the settings of a config that change a result.

    Args:
        config (Path): The config.

    Returns:
        str: Eight hexadecimal digits.
    """
    cfg = Config.fromfile(config).to_dict()
    imports = (cfg.get('custom_imports') or {}).get('imports')
    if isinstance(imports, list) and PATCHES in imports:
        # It changes no metrics, and the configs of earlier studies had no
        # such module.
        imports.remove(PATCHES)
    # Other names are those that the config has for itself.
    read = {*signature(Runner).parameters, 'custom_imports'} - set(NO_INFLUENCE)
    settings = {
        key: value
        for key, value in cfg.items()
        if key in read and (key != 'auto_scale_lr' or value.get('enable'))
    }
    settings['hooks'] = {
        name: hook
        for name, hook in cfg.get('default_hooks', {}).items()
        if name not in WATCHING
    }
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class Study:
    """Configs of one pair, each trained on several seeds.

    ``metrics.json`` keeps the metrics of every finished run. These runs are
    not trained again, so a study resumes where it stopped, also with more
    configs or seeds.

    Args:
        configs (Sequence[Path]): The configs, in the order of the table, with
            different file names.
        seeds (Sequence[int]): The seeds.
        out (Path): Folder of metrics, table and plot.
        work_dir (Path, optional): Folder of logs and checkpoints.
            Defaults to None, ``work_dirs/`` and the name of ``out``.

    Raises:
        DataError: If ``metrics.json`` has a run with other settings.
    """

    def __init__(
        self,
        configs: Sequence[Path],
        seeds: Sequence[int],
        out: Path,
        work_dir: Path | None = None,
    ) -> None:
        self.configs = configs
        self.seeds = seeds
        self.out = out
        self.file = out / 'metrics.json'
        self.work_dir = work_dir or Path('work_dirs') / out.name
        self.hashes = {config: fingerprint(config) for config in configs}
        finished = self.finished()
        for config in configs:
            for seed, metrics in finished.get(config.stem, {}).items():
                if seed in seeds and metrics['config'] != self.hashes[config]:
                    raise DataError(
                        f'{self.file} has metrics of {config.stem}, seed '
                        f'{seed}, that were made with other settings of '
                        f'{config.name}: choose another --out, or remove them '
                        'to train again.'
                    )

    def finished(self) -> dict[str, dict[int, dict[str, Any]]]:
        """Read the metrics of finished runs, by config name and seed."""
        if not self.file.exists():
            return {}
        return {
            name: {int(seed): metrics for seed, metrics in runs.items()}
            for name, runs in json.loads(self.file.read_text()).items()
        }

    def keep(self, run: TrainingRun) -> None:
        """Save metrics and cost of a run, if it is finished.

        Args:
            run (TrainingRun): The run.
        """
        if run.metrics() is None:
            return
        # Read it again: another study may write to the same folder.
        finished = self.finished()
        finished.setdefault(run.path.stem, {})[run.seed] = dict(
            config=self.hashes[run.path], **run.cost(), **run.domain_metrics()
        )
        write_atomically(self.file, (json.dumps(finished, indent=1) + '\n').encode())

    def train(self, jobs: int | None = None, processes: int = 1) -> list[str]:
        """Train the missing runs; a failed run does not stop the others.

        Args:
            jobs (int, optional): Runs at a time. Defaults to None, as many as
                GPUs or, without any, cores allow.
            processes (int): Processes of a run, which share each batch
                equally. Defaults to 1.

        Returns:
            list[str]: For each failed run the reason.

        Raises:
            DataError: If the processes cannot share a batch equally.
        """
        finished = self.finished()
        runs = [
            self._run(config, seed)
            for config in self.configs
            for seed in self.seeds
            if seed not in finished.get(config.stem, {})
        ]
        for run in runs:
            if run.batch_size % processes:
                raise DataError(
                    f'--processes {processes} cannot share out the batches '
                    f'of {run.path}, which are of {run.batch_size}: choose a '
                    'number that divides it.'
                )
        for run in runs:
            # Finished in an earlier study, but not written down.
            self.keep(run)
        with progress_bar(runs) as bar:
            bar.set_description('runs')
            train_all(runs, bar, jobs, processes, self.keep)
        return [failure for run in runs if (failure := run.failure())]

    def _run(self, config: Path, seed: int) -> TrainingRun:
        """Make a run in a folder of its own for its config's settings."""
        name = f'{config.stem}_{self.hashes[config]}_seed-{seed}'
        return TrainingRun(config, self.work_dir / name, seed)

    def last_checkpoints(self) -> dict[int, dict[str, Path]]:
        """Name the last checkpoint of each run, by seed and config name."""
        return {
            seed: {c.stem: self._run(c, seed).checkpoint for c in self.configs}
            for seed in self.seeds
        }

    def write_table(self) -> str | None:
        """Write table.md, table.json and study.png.

        Returns:
            str | None: The table, as Markdown; None if no run is finished,
            or none was measured.
        """
        finished = self.finished()
        runs = {
            config.stem: {
                seed: metrics
                for seed, metrics in sorted(finished.get(config.stem, {}).items())
                if seed in self.seeds and TARGET_MAP in metrics
            }
            for config in self.configs
        }
        if not any(runs.values()):
            return None
        test = Config.fromfile(self.configs[0]).test_dataloader.dataset
        rows = study_table(runs, test.target.metainfo.classes)
        table = to_markdown(rows)
        (self.out / 'table.md').write_text(table)
        (self.out / 'table.json').write_text(
            json.dumps(
                [dict(zip(rows[0], row, strict=True)) for row in rows[1:]], indent=1
            )
            + '\n'
        )
        plot_study(runs, self.out / 'study.png')
        return table
