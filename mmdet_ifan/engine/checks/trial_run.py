"""Start a run as training does, and end it at its first batch."""
import copy
import logging
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner

from .run_check_hook import checked_runner

#: Backends that would tell a server of the trial, and the package of each.
REMOTE = dict(
    AimVisBackend='aim',
    ClearMLVisBackend='clearml',
    DVCLiveVisBackend='dvclive',
    MLflowVisBackend='mlflow',
    NeptuneVisBackend='neptune',
    WandbVisBackend='wandb')


class KeptWarnings(logging.Handler):
    """Keep what is warned of, each text once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: dict[str, None] = {}
        self.taken = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a text, but not what mmengine says of its own code."""
        text = record.getMessage()
        if 'will be deprecated' not in text:
            self.texts.setdefault(text)

    def take(self) -> list[str]:
        """Give the texts since the last time."""
        new = list(self.texts)[self.taken:]
        self.taken += len(new)
        return new


def first_batch(cfg: Config, at_hand: set[str],
                warnings: KeptWarnings) -> tuple[Runner, Any]:
    """Start the run of a config in a folder that is removed.

    Everything is built with the settings of the config, the workers of the
    data loader start, and every hook sees the run before its first iteration.

    Args:
        cfg (Config): The config.
        at_hand (set[str]): Weights that need not be downloaded; others are
            left out.
        warnings (KeptWarnings): Keeps what the run warns of.

    Returns:
        tuple[Runner, Any]: The run, and its first batch.

    Raises:
        RuntimeError: If the run has no iteration. Whatever training raises
            passes.
    """
    cfg = copy.deepcopy(cfg)
    # mmengine keeps one of each name.
    name = f'trial-{uuid4().hex}'
    if cfg.get('load_from') not in at_hand:
        cfg.load_from = None
    cfg.merge_from_dict(
        dict(
            experiment_name=name,
            launcher='none',
            log_level='WARNING',
            resume=False))
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
        try:
            runner.train()
        except _Ready:
            return runner, first.batch
    raise RuntimeError('The run has no iteration: raise max_iters or '
                       'max_epochs of train_cfg.')


def _is_remote(backend: dict) -> bool:
    """Tell whether a backend is left out; its package must be there."""
    kind = str(backend.get('type'))
    package = REMOTE.get(kind)
    if package is not None and find_spec(package) is None:
        raise ImportError(
            f'{kind} of visualizer.vis_backends needs the package {package}: '
            f'"pip install {package}" installs it.')
    return package is not None


class _Ready(Exception):
    """The first iteration can begin."""


class _FirstBatch(Hook):
    """Ends a run at its first iteration.

    Args:
        at_hand (set[str]): Weights that are not to be downloaded.
        warnings (logging.Handler): Keeps what the run warns of.
    """

    priority = 'HIGHEST'

    def __init__(self, at_hand: set[str], warnings: logging.Handler) -> None:
        self.at_hand = at_hand
        self.warnings = warnings
        self.batch: DATA_BATCH = None

    def before_run(self, runner: Runner) -> None:
        """Leave out the weights that would have to be downloaded."""
        runner.logger.addHandler(self.warnings)
        for module in runner.model.modules():
            cfgs = getattr(module, 'init_cfg', None) or []
            cfgs = cfgs if isinstance(cfgs, (list, tuple)) else [cfgs]
            if any(isinstance(cfg, dict) and cfg.get('checkpoint') for cfg in
                   cfgs):
                module.init_cfg = [
                    cfg for cfg in cfgs
                    if cfg.get('checkpoint') in (None, *self.at_hand)
                ]

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: DATA_BATCH = None) -> None:
        """Take the batch."""
        self.batch = data_batch
        raise _Ready
