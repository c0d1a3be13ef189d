"""Examine a config, its data and the environment before days of training."""

import io
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from uuid import uuid4

import torch
from mmdet.registry import DATASETS, HOOKS, MODELS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import Tensor

from ...datasets import DomainTestDataset, PairedDomainDataset
from ...utils.errors import warn
from ..robustness.safe_loading import load_checkpoint
from ..schedule.epochs import counts_epochs, length_of
from ..schedule.late_launch_hook import launching_configs, launching_hook
from .checkpoint import check_for_start, classes_of_dataset
from .config import check_config, check_folder, flat, schedule_warnings
from .fit import check_fit
from .launch_weights import weigh_alignments
from .pair import check_num_classes, check_pair
from .run import check_launches
from .trial_run import KeptWarnings, first_batch
from .weights import find_weights, initial_weights

LIBRARIES = (
    'torch',
    'mmengine',
    'mmcv',
    'mmdet',
    'onedl-mmengine',
    'onedl-mmcv',
    'onedl-mmdetection',
)


@dataclass
class Finding:
    """The result of one examination.

    Attributes:
        name (str): Name of the examination.
        text (str): The result, or what is wrong and how to fix it.
        ok (bool | None): None if it was not made.
        warnings (list[str]): Sentences on what may be intended, or not.
    """

    name: str
    text: str
    ok: bool | None = True
    warnings: list[str] = field(default_factory=list)


class Doctor:
    """Examine what a training run needs, one thing after the other.

    Args:
        cfg (Config): The config, with ``work_dir``.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        self.device = get_device()
        self.warnings = KeptWarnings()
        # Data sets warn through the logger that was made last.
        MMLogger.get_instance(f'doctor-{uuid4().hex}', log_level='WARNING').handlers = [
            self.warnings
        ]
        self.model: Any = None
        #: The data sets that could be built, by ``train`` and ``val``.
        self.datasets: dict[str, Any] = {}
        #: Weights that need not be downloaded.
        self.at_hand: set[str] = set()
        self.optim_wrapper: Any = None
        #: When the run launches its alignments; the others are never launched.
        self.launch: Mapping[str, Any] = {}
        self.batch: Any = None
        #: Values of the first batch, still with their graph.
        self.values: dict[str, Tensor] = {}

    def examine(self) -> Iterator[Finding]:
        """Make all examinations; a failed one stops those that need it.

        Yields:
            Finding: The result of each.
        """
        init_default_scope('mmdet')
        by_epoch = counts_epochs(self.cfg.get('train_cfg') or {})
        wrong: set[str] = set()
        for name, examination, needed in (
            ('environment', self.environment, ()),
            ('config', self.config, ()),
            ('model', self.build_model, ()),
            ('start', self.start, ()),
            ('training data', self.training_data, ()),
            ('test data', self.test_data, ('training data',)),
            (
                'launches',
                self.launches,
                ('config', 'model', *(['training data'] if by_epoch else [])),
            ),
            ('schedule', self.schedule, ('config',)),
            ('disk', self.disk, ('config', 'model')),
            (
                'run',
                self.try_run,
                (
                    'environment',
                    'config',
                    'model',
                    'training data',
                    'test data',
                    'launches',
                ),
            ),
            ('one step', self.one_step, ('run',)),
            ('launch weights', self.launch_weights, ('start', 'one step')),
        ):
            if wrong.intersection(needed):
                finding = Finding(name, 'not examined, for the above.', None)
            else:
                finding = self._finding(name, examination)
            if not finding.ok:
                wrong.add(name)
            yield finding

    def environment(self) -> str:
        """Name versions and device; mmcv's operators must run on it."""
        versions = []
        for library in LIBRARIES:
            try:
                versions.append(f'{library} {version(library)}')
            except PackageNotFoundError:
                continue
        try_operators(self.device)
        is_cuda = self.device == 'cuda'
        device = torch.cuda.get_device_name() if is_cuda else self.device
        return f'{", ".join(versions)}; trains on {device}.'

    def config(self) -> str:
        """Check what must be right before a runner can be built."""
        check_config(self.cfg)
        train_cfg = self.cfg.train_cfg
        if counts_epochs(train_cfg):
            return f'trains for {train_cfg.max_epochs} epochs.'
        return f'trains for {train_cfg.max_iters} iterations.'

    def build_model(self) -> str:
        """Build the detector and name its alignments."""
        model = MODELS.build(self.cfg.model)
        if not hasattr(model, 'all_alignments'):
            raise TypeError(
                f'{type(model).__name__} has no alignments: the '
                'type of the model must be IFANDetector.'
            )
        check_fit(model)
        self.model = model
        parameters = sum(p.numel() for p in model.parameters())
        return (
            f'{parameters / 1e6:.1f} million parameters, '
            f'{model.roi_head.bbox_head.num_classes} classes; alignments '
            f'{", ".join(model.all_alignments) or "none"}.'
        )

    def start(self) -> str:
        """Find the weights to start from; load those on the disk."""
        places = {}
        if self.model is not None:
            places = {name: place for place, name in initial_weights(self.model)}
        if self.cfg.get('load_from') is not None:
            places[self.cfg.load_from] = 'load_from'
        texts, errors = [], []
        for name, place in places.items():
            try:
                path, text = find_weights(place, name)
                texts.append(text)
                if path is None:
                    continue
                loaded = load_checkpoint(str(path), logger='silent')
                self.at_hand.add(name)
                if place == 'load_from' and self.model is not None:
                    self._compare_start(loaded, name)
            except Exception as error:  # noqa: BLE001  # All are examined.
                errors.append(str(error))
        if errors:
            raise RuntimeError(' '.join(errors))
        return f'from {", ".join(texts) or "the initialisation of the model"}.'

    def _compare_start(self, loaded: dict, name: str) -> None:
        """Compare the checkpoint to start from with the config."""
        source = dict(self.cfg.train_dataloader.dataset.source, lazy_init=True)
        self.warnings.keep(
            *check_for_start(
                self.model,
                loaded,
                name,
                classes_of_dataset(DATASETS.build(source)),
                self.cfg.model.to_dict(),
            )
        )

    def training_data(self) -> str:
        """Read both lists and count the boxes."""
        train = DATASETS.build(self.cfg.train_dataloader.dataset)
        if not isinstance(train, PairedDomainDataset):
            raise TypeError(
                'train_dataloader.dataset must be a PairedDomainDataset, but '
                f'is a {type(train).__name__}.'
            )
        if self.model is not None:
            check_num_classes(self.model, train)
        self.datasets['train'] = train
        counts = train.count_boxes()
        boxes = ', '.join(
            f'{counts[i]} {name}' for i, name in enumerate(train.metainfo['classes'])
        )
        return (
            f'{len(train.source)} source images with {boxes}; '
            f'{len(train.target)} target images.'
        )

    def test_data(self) -> str:
        """Read the test images; compare them with those of training."""
        if self.cfg.get('val_dataloader') is None:
            return 'none; nothing is measured while training.'
        test = DATASETS.build(self.cfg.val_dataloader.dataset)
        if not isinstance(test, DomainTestDataset):
            raise TypeError(
                'val_dataloader.dataset must be a '
                'DomainTestDataset, but is a '
                f'{type(test).__name__}.'
            )
        self.datasets['val'] = test
        self.warnings.keep(*check_pair(self.datasets['train'], test))
        source, target = test.datasets
        return f'{len(source)} source and {len(target)} target images.'

    def launches(self) -> str:
        """Check the launches against the alignments and the run."""
        hooks = [HOOKS.build(cfg) for cfg in launching_configs(self.cfg)]
        check_launches(self.model, hooks)
        hook = launching_hook(hooks)
        by_epoch = counts_epochs(self.cfg.train_cfg)
        iterations, epochs = length_of(self.cfg, len(self.datasets.get('train', ())))
        length = f'{epochs} epochs, ' if by_epoch else ''
        if hook is None:
            return f'no hook, and no alignments; {length}{iterations} iters.'
        hook.check(self.model.all_alignments, iterations, epochs if by_epoch else None)
        others = (
            f'; of {len(hooks)} LateLaunchHooks the last counts'
            if len(hooks) > 1
            else ''
        )
        return f'{hook.text}, of {length}{iterations} iterations{others}.'

    def schedule(self) -> str:
        """Check that the schedulers take their steps within the run."""
        schedulers = self.cfg.get('param_scheduler')
        wrong = schedule_warnings(schedulers, self.cfg.train_cfg)
        if wrong:
            raise ValueError(' '.join(wrong))
        return 'the schedulers end with the run or before.'

    def disk(self) -> str:
        """Check that there is room for the checkpoints."""
        # Weights, and at most two states of the optimizer for each.
        size = 3 * 4 * sum(p.numel() for p in self.model.parameters())
        checkpoint = self.cfg.get('default_hooks', {}).get('checkpoint') or {}
        kept = checkpoint.get('max_keep_ckpts', -1)
        # mmengine writes the last alone unless it is told otherwise.
        interval = checkpoint.get('interval', -1)
        made = 1
        if interval > 0 and counts_epochs(self.cfg.train_cfg):
            # One that counts iterations is written after each epoch.
            by_epoch = checkpoint.get('by_epoch', True)
            made = math.ceil(
                self.cfg.train_cfg.max_epochs / (interval if by_epoch else 1)
            )
        elif interval > 0:
            made = math.ceil(self.cfg.train_cfg.max_iters / interval)
        # The oldest goes before a new one is written.
        needed = size * (made if kept < 0 else min(made, kept))
        folder = check_folder(self.cfg.work_dir)
        free = shutil.disk_usage(folder).free
        text = (
            f'the checkpoints need up to {needed / 2**30:.1f} GiB, '
            f'{folder} has {free / 2**30:.1f}'
        )
        if free < needed:
            raise RuntimeError(
                f'{text}: make room, choose another work_dir, or lower '
                'default_hooks.checkpoint.max_keep_ckpts.'
            )
        return f'{text}.'

    def try_run(self) -> str:
        """Build and start all of the run, up to its first batch.

        It is the run that training makes of the config, in a temporary
        folder. Weights that would have to be downloaded are left out.
        """
        start = time.perf_counter()
        runner, self.batch = first_batch(
            self.cfg, self.datasets, self.at_hand, self.warnings
        )
        seconds = time.perf_counter() - start
        self.model, self.optim_wrapper = runner.model, runner.optim_wrapper
        launching = launching_hook(runner.hooks)
        self.launch = launching.launch if launching else {}
        schedules = ', '.join(type(s).__name__ for s in flat(runner.param_schedulers))
        workers = runner.train_dataloader.num_workers
        return (
            f'{type(self.optim_wrapper).__name__}, '
            f'{schedules or "no schedule"}, {len(runner.hooks)} hooks; '
            f'{workers or "no"} workers gave the first batch '
            f'{seconds:.1f} s after the start.'
        )

    def one_step(self) -> str:
        """Compute every loss of one batch, and its gradients."""
        model = self.model.train()
        for name, alignment in model.all_alignments.items():
            alignment.launched = name in self.launch
        start = time.perf_counter()
        data = model.data_preprocessor(self.batch, True)
        with self.optim_wrapper.optim_context(model):
            losses = model(**data, mode='loss')
        total, self.values = model.parse_losses(losses)
        wrong = [
            name for name, value in self.values.items() if not value.isfinite().all()
        ]
        if wrong:
            raise RuntimeError(
                f'{", ".join(wrong)} is not finite on the first batch: check '
                'the weights that training starts from, and its images.'
            )
        if self.cfg.get('load_from') in (None, *self.at_hand):
            warn(*_blind_teachers(self.values, self.launch))
        total.backward(retain_graph=True)
        seconds = time.perf_counter() - start
        wrong = [
            name
            for name, p in model.named_parameters()
            if p.grad is not None and not p.grad.isfinite().all()
        ]
        if wrong:
            raise RuntimeError(
                f'The gradient of {wrong[0]} and '
                f'{len(wrong) - 1} other parameters is not '
                'finite on the first batch.'
            )
        return (
            f'{len(self.values) - 1} finite values in the log with '
            'everything launched, finite gradients; '
            f'{seconds:.1f} s for the first batch on {self.device}.'
        )

    def launch_weights(self) -> str:
        """Weigh each alignment against the detection loss of that batch."""
        launched = {
            name: alignment
            for name, alignment in self.model.all_alignments.items()
            if alignment.launched
        }
        weights = weigh_alignments(launched, self.values, self.model.backbone)
        text = 'loss (gradient in the backbone), over those of detection: ' + (
            ', '.join(f'{name} {w}' for name, w in weights.items()) or 'none'
        )
        heavy = [name for name, weight in weights.items() if weight.dominates]
        if heavy:
            raise RuntimeError(
                f'{text}. {", ".join(heavy)} would dominate the detector from '
                'the launch on: lower its loss_weight or grl_weight.'
            )
        return f'{text}.'

    def _finding(self, name: str, examination: Callable[[], str]) -> Finding:
        """Make an examination; an error is its result."""
        try:
            # pycocotools and the run print their progress.
            with redirect_stdout(io.StringIO()):
                text, ok = examination(), True
        except Exception as error:  # noqa: BLE001  # A config may raise any.
            text, ok = str(error) or f'{type(error).__name__}, without a reason', False
        return Finding(name, text, ok, self.warnings.take())


def _blind_teachers(
    values: dict[str, Tensor], launch: Mapping[str, Any]
) -> Iterator[str]:
    """Name the teachers that find nothing and teach from the first step on."""
    for name, value in values.items():
        term, _, value_name = name.partition('/')
        if value_name == 'pseudo_boxes' and not value and launch.get(term) == 0:
            yield (
                f'The teacher of {term} is sure of no object in the '
                'first target images, so its term has nothing to teach: launch it '
                'later, lower its score_thr, or give load_from a detector that '
                'finds something there.'
            )


def try_operators(device: str) -> None:
    """Compute with mmcv's operators on the device of training.

    Args:
        device (str): The device.

    Raises:
        RuntimeError: If there are none, or none for this device.
    """
    try:
        from mmcv.ops import RoIAlign, nms
    except ImportError as error:
        raise RuntimeError(
            f'mmcv has no compiled operators ({error}): "MMCV_WITH_OPS=1 '
            'pip install --force-reinstall --no-build-isolation --no-deps '
            "'mmcv==2.1.0'\" builds them."
        ) from error
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0]], device=device)
    try:
        nms(boxes, boxes[:, 0], 0.5)
        RoIAlign(2)(
            torch.zeros(1, 1, 8, 8, device=device), torch.cat([boxes[:, :1], boxes], 1)
        )
    except Exception as error:  # noqa: BLE001  # Any that the build lacks.
        raise RuntimeError(
            f"mmcv's operators do not run on {device} ({error}): build mmcv "
            'for it, or train on another device.'
        ) from error
