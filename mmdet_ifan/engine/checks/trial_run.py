"""Start a run as training does, and stop it at its first batch."""

import copy
import logging
from collections.abc import Collection
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import Dataset

from .preflight_hook import checked_runner
from .weights import init_cfgs, start_of

#: Packages whose backends would report the trial to a server.
REMOTE = ('aim', 'clearml', 'dvclive', 'mlflow', 'neptune', 'wandb')


class KeptWarnings(logging.Handler):
    """Keep the warnings of a log, each text once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: dict[str, None] = {}
        self.taken = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a text, unless it is mmengine's about its own code."""
        text = record.getMessage()
        if 'will be deprecated' not in text:
            self.keep(text)

    def keep(self, *texts: str) -> None:
        """Keep warnings that were not logged."""
        self.texts.update(dict.fromkeys(texts))

    def take(self) -> list[str]:
        """Give the texts since the last time."""
        new = list(self.texts)[self.taken :]
        self.taken += len(new)
        return new


def first_batch(
    cfg: Config,
    datasets: dict[str, Dataset],
    at_hand: Collection[str],
    warnings: KeptWarnings,
) -> tuple[Runner, Any]:
    """Start the run of a config in a temporary folder.

    Everything is built with the settings of the config, the workers of the
    data loader start, and every hook sees the run before its first iteration.

    Args:
        cfg (Config): The config.
        datasets (dict[str, Dataset]): Data sets that have been built from it,
            by ``train`` and ``val``.
        at_hand (Collection[str]): Weights that need not be downloaded; others
            are left out.
        warnings (KeptWarnings): Keeps the warnings of the run.

    Returns:
        tuple[Runner, Any]: The run, and its first batch.

    Raises:
        RuntimeError: If the run has no iteration. All that training raises
            is passed on.
    """
    cfg = copy.deepcopy(cfg)
    # To format its text, which nobody reads here, would take seconds.
    cfg.__dict__['_format_python_code'] = False
    # mmengine keeps one logger of each name.
    name = f'trial-{uuid4().hex}'
    if cfg.get('load_from') not in at_hand:
        cfg.load_from = None
    cfg.merge_from_dict(
        dict(experiment_name=name, launcher='none', log_level='WARNING', resume=False)
    )
    cfg.setdefault('visualizer', dict(type='Visualizer')).name = name
    for part in (cfg, cfg.visualizer):
        backends = part.get('vis_backends') or []
        local = [backend for backend in backends if not _is_remote(backend)]
        if len(local) < len(backends):
            part.vis_backends = local or None
    first = _FirstBatch(at_hand, warnings)
    with TemporaryDirectory(prefix='trial-') as folder:
        cfg.work_dir = folder
        runner = checked_runner(cfg)
        runner.register_hook(first)
        for domain, dataset in datasets.items():
            getattr(runner, f'_{domain}_dataloader')['dataset'] = dataset
        try:
            runner.train()
        except _Ready:
            return runner, first.batch
        finally:
            # torch waits five seconds for workers that the garbage collector
            # ends.
            if isinstance(runner._train_loop, BaseLoop):
                vars(runner.train_loop).pop('dataloader_iterator', None)
                runner.train_dataloader._iterator = None
    raise RuntimeError(
        'The run has no iteration: raise max_iters or max_epochs of train_cfg.'
    )


def _is_remote(backend: dict) -> bool:
    """Tell whether a backend is left out; its package must be installed."""
    kind = str(backend.get('type'))
    package = kind.removesuffix('VisBackend').lower()
    if package in REMOTE and find_spec(package) is None:
        raise ImportError(
            f'{kind} of visualizer.vis_backends needs the package {package}: '
            f'"pip install {package}" installs it.'
        )
    return package in REMOTE


class _Ready(Exception):
    """The first iteration can begin."""


class _FirstBatch(Hook):
    """Stop a run at its first iteration.

    Args:
        at_hand (Collection[str]): Weights that need not be downloaded.
        warnings (logging.Handler): Keeps the warnings of the run.
    """

    priority = 'HIGHEST'

    def __init__(self, at_hand: Collection[str], warnings: logging.Handler) -> None:
        self.at_hand = at_hand
        self.warnings = warnings
        self.batch: DATA_BATCH = None

    def before_run(self, runner: Runner) -> None:
        """Leave out the weights that would have to be downloaded."""
        runner.logger.addHandler(self.warnings)
        for module in runner.model.modules():
            cfgs = init_cfgs(module)
            kept = [
                cfg for cfg in cfgs if start_of(module, cfg) in (None, *self.at_hand)
            ]
            if len(kept) < len(cfgs):
                module.init_cfg = kept

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None
    ) -> None:
        """Take the batch."""
        self.batch = data_batch
        raise _Ready
