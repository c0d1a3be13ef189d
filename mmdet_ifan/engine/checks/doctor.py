"""Examine a config, its data and the environment before days of training."""
import io
import math
import shutil
import time
from collections.abc import Callable, Iterator
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
from mmengine.runner import CheckpointLoader

from ...datasets import DomainTestDataset, PairedDomainDataset
from ..schedule.late_launch_hook import LateLaunchHook, launching_hook
from .checkpoint_agreement import agree_in_starting, classes_of_dataset
from .fit_check_hook import FitCheckHook
from .launch_weights import weigh_alignments
from .pair_check_hook import PairCheckHook
from .run_checks import (
    check_config,
    check_folder,
    check_launches,
    counts_epochs,
    flat,
    length_of,
)
from .schedule_warnings import schedule_warnings
from .trial_run import KeptWarnings, first_batch
from .weights import find_weights, initial_weights

LIBRARIES = ('torch', 'mmengine', 'mmcv', 'mmdet', 'onedl-mmengine',
             'onedl-mmcv', 'onedl-mmdetection')


@dataclass
class Finding:
    """What one examination says.

    Attributes:
        name (str): What was examined.
        text (str): What was found, or what is wrong and how to mend it.
        ok (bool | None): None if it could not be examined.
        warnings (list[str]): What may be meant, or not.
    """
    name: str
    text: str
    ok: bool | None = True
    warnings: list[str] = field(default_factory=list)


class Doctor:
    """Examines what a training needs, one thing after the other.

    Args:
        cfg (Config): The config, with ``work_dir``.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        self.device = get_device()
        # Of this name alone, it is the one that data sets warn through.
        self.logger = MMLogger.get_instance(
            f'doctor-{uuid4().hex}', log_level='WARNING')
        self.warnings = KeptWarnings()
        self.logger.handlers = [self.warnings]
        self.model: Any = None
        self.train: Any = None
        #: What the run that was tried trains with.
        self.optim_wrapper: Any = None
        self.batch: Any = None
        #: Weights that need not be downloaded.
        self.at_hand: set[str] = set()

    def examine(self) -> Iterator[Finding]:
        """Examine everything; what is wrong stops nothing.

        Yields:
            Finding: What each examination says.
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
            ('test data', self.test_data, ('training data', )),
            ('launches', self.launches,
             ('config', 'model', *(['training data'] if by_epoch else []))),
            ('schedule', self.schedule, ('config', )),
            ('disk', self.disk, ('config', 'model')),
            ('run', self.try_run,
             ('environment', 'config', 'model', 'training data', 'test data',
              'launches')),
            ('one step', self.one_step, ('run', )),
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
        """Name versions and device; the operators must be there."""
        versions = []
        for library in LIBRARIES:
            try:
                versions.append(f'{library} {version(library)}')
            except PackageNotFoundError:
                continue
        try:
            import mmcv.ops  # noqa: F401
        except ImportError as error:
            raise RuntimeError(
                f'mmcv has no compiled operators ({error}): "MMCV_WITH_OPS=1 '
                'pip install --force-reinstall --no-build-isolation --no-deps '
                "'mmcv==2.1.0'\" builds them.") from error
        _try_operators(self.device)
        device = self.device
        if device == 'cuda':
            device = torch.cuda.get_device_name()
        return f'{", ".join(versions)}; trains on {device}.'

    def config(self) -> str:
        """Check what a runner could not be built from."""
        check_config(self.cfg)
        train_cfg = self.cfg.train_cfg
        if counts_epochs(train_cfg):
            return f'trains for {train_cfg.max_epochs} epochs.'
        return f'trains for {train_cfg.max_iters} iterations.'

    def build_model(self) -> str:
        """Build the detector and name its alignments."""
        model = MODELS.build(self.cfg.model)
        if not hasattr(model, 'all_alignments'):
            raise TypeError(f'{type(model).__name__} has no alignments: the '
                            'type of the model must be IFANDetector.')
        FitCheckHook().check(model)
        self.model = model
        parameters = sum(p.numel() for p in model.parameters())
        return (f'{parameters / 1e6:.1f} million parameters, '
                f'{model.roi_head.bbox_head.num_classes} classes; alignments '
                f'{", ".join(model.all_alignments) or "none"}.')

    def start(self) -> str:
        """Find the weights to start from; load those on the disk."""
        places = {}
        if self.model is not None:
            places = {name: place for place, name in initial_weights(
                self.model)}
        if self.cfg.get('load_from') is not None:
            places[self.cfg.load_from] = 'load_from'
        texts, errors = [], []
        for name, place in places.items():
            try:
                path, text = find_weights(place, name)
                texts.append(text)
                if path is None:
                    continue
                loaded = CheckpointLoader.load_checkpoint(
                    str(path), 'cpu', logger='silent')
                self.at_hand.add(name)
                if place == 'load_from':
                    self._compare_start(loaded, name)
            except Exception as error:  # noqa: BLE001  # Each is examined.
                errors.append(str(error))
        if errors:
            raise RuntimeError(' '.join(errors))
        return f'from {", ".join(texts) or "the initialisation of the model"}.'

    def _compare_start(self, loaded: dict, name: str) -> None:
        """Compare the checkpoint to start from with the config."""
        if self.model is None:
            return
        source = dict(self.cfg.train_dataloader.dataset.source, lazy_init=True)
        for sentence in agree_in_starting(
                self.model, loaded, name,
                classes_of_dataset(DATASETS.build(source)),
                self.cfg.model.to_dict()):
            self.logger.warning(sentence)

    def launches(self) -> str:
        """Check the launches against the alignments and the run."""
        hooks = [
            HOOKS.build(cfg) for cfg in (
                *self.cfg.get('default_hooks', {}).values(),
                *(self.cfg.get('custom_hooks') or ()))
            if cfg and _launches(cfg)
        ]
        check_launches(self.model, hooks)
        hook = launching_hook(hooks)
        by_epoch = counts_epochs(self.cfg.train_cfg)
        iterations, epochs = length_of(self.cfg, len(self.train or ()))
        length = f'{epochs} epochs, ' if by_epoch else ''
        if hook is None:
            return f'no hook, and no alignments; {length}{iterations} iters.'
        if hook.by_epoch and not by_epoch:
            raise ValueError('launch counts epochs (by_epoch=True), but the '
                             'run iterations: give it in iterations.')
        hook.check(self.model.all_alignments,
                   epochs if hook.by_epoch else iterations)
        others = (f'; of {len(hooks)} LateLaunchHooks the last counts'
                  if len(hooks) > 1 else '')
        return f'{hook.text}, of {length}{iterations} iterations{others}.'

    def schedule(self) -> str:
        """Check that the schedulers take their steps within the run."""
        schedulers = self.cfg.get('param_scheduler')
        wrong = schedule_warnings(schedulers, self.cfg.train_cfg)
        if wrong:
            raise ValueError(' '.join(wrong))
        return 'the schedulers end with the run or before.'

    def disk(self) -> str:
        """Check that the checkpoints can be written and find room."""
        # Weights, and at most two states of the optimiser for each.
        size = 3 * 4 * sum(p.numel() for p in self.model.parameters())
        checkpoint = self.cfg.get('default_hooks', {}).get('checkpoint') or {}
        kept = checkpoint.get('max_keep_ckpts', -1)
        interval = checkpoint.get('interval', 1)
        made = 1
        if counts_epochs(self.cfg.train_cfg):
            # One that counts iterations is written after each epoch.
            by_epoch = checkpoint.get('by_epoch', True)
            made = math.ceil(
                self.cfg.train_cfg.max_epochs / (interval if by_epoch else 1))
        elif interval > 0:
            made = math.ceil(self.cfg.train_cfg.max_iters / interval)
        # The oldest goes before a new one is written.
        needed = size * (made if kept < 0 else min(made, kept))
        folder = check_folder(self.cfg.work_dir)
        free = shutil.disk_usage(folder).free
        text = (f'the checkpoints need up to {needed / 2**30:.1f} GiB, '
                f'{folder} has {free / 2**30:.1f}')
        if free < needed:
            raise RuntimeError(
                f'{text}: make room, give another work_dir, or lower '
                'default_hooks.checkpoint.max_keep_ckpts.')
        return f'{text}.'

    def training_data(self) -> str:
        """Read both lists and count the boxes."""
        train = DATASETS.build(self.cfg.train_dataloader.dataset)
        if not isinstance(train, PairedDomainDataset):
            raise TypeError(
                'train_dataloader.dataset must be a PairedDomainDataset, but '
                f'is a {type(train).__name__}.')
        classes = train.metainfo['classes']
        counts = train.count_boxes()
        if self.model is not None:
            num_classes = self.model.roi_head.bbox_head.num_classes
            if num_classes != len(classes):
                raise ValueError(
                    f'The data have {len(classes)} classes, but num_classes '
                    f'of the box head is {num_classes}: make them agree.')
        self.train = train
        boxes = ', '.join(f'{counts[i]} {name}'
                          for i, name in enumerate(classes))
        return (f'{len(train.source)} source images with {boxes}; '
                f'{len(train.target)} target images.')

    def test_data(self) -> str:
        """Read the test images; compare them with those of training."""
        if self.cfg.get('val_dataloader') is None:
            return 'none; nothing is measured while training.'
        test = DATASETS.build(self.cfg.val_dataloader.dataset)
        if not isinstance(test, DomainTestDataset):
            raise TypeError('val_dataloader.dataset must be a '
                            'DomainTestDataset, but is a '
                            f'{type(test).__name__}.')
        for warning in PairCheckHook().compare(self.train, test):
            self.logger.warning(warning)
        source, target = test.datasets
        return f'{len(source)} source and {len(target)} target images.'

    def try_run(self) -> str:
        """Build and start all of the run, up to its first batch.

        It is the run that training makes of the config, in a folder that is
        removed. What would have to be downloaded is left out.
        """
        start = time.perf_counter()
        runner, self.batch = first_batch(self.cfg, self.at_hand, self.warnings)
        seconds = time.perf_counter() - start
        self.model, self.optim_wrapper = runner.model, runner.optim_wrapper
        schedules = ', '.join(
            type(s).__name__ for s in flat(runner.param_schedulers))
        workers = runner.train_dataloader.num_workers
        return (f'{type(self.optim_wrapper).__name__}, '
                f'{schedules or "no schedule"}, {len(runner.hooks)} hooks; '
                f'{workers or "no"} workers gave the first batch '
                f'{seconds:.1f} s after the start.')

    def one_step(self) -> str:
        """Compute every loss of one batch, and its gradients."""
        batch, model = self.batch, self.model.train()
        for alignment in model.all_alignments.values():
            alignment.launched = True
        start = time.perf_counter()
        data = model.data_preprocessor(batch, True)
        with self.optim_wrapper.optim_context(model):
            losses = model(**data, mode='loss')
        total, values = model.parse_losses(losses)
        wrong = [k for k, v in values.items() if not torch.isfinite(v).all()]
        if wrong:
            raise RuntimeError(
                f'{", ".join(wrong)} is not finite on the first batch: check '
                'the weights that training starts from, and its images.')
        total.backward()
        seconds = time.perf_counter() - start
        wrong = [
            name for name, p in model.named_parameters()
            if p.grad is not None and not torch.isfinite(p.grad).all()
        ]
        if wrong:
            raise RuntimeError(f'The gradient of {wrong[0]} and '
                               f'{len(wrong) - 1} other parameters is not '
                               'finite on the first batch.')
        return (f'{len(values) - 1} finite losses and figures with everything '
                f'launched, finite gradients; {seconds:.1f} s for the first '
                f'batch on {self.device}.')

    def launch_weights(self) -> str:
        """Weigh each alignment against the detection loss."""
        data = self.model.data_preprocessor(self.batch, True)
        with self.optim_wrapper.optim_context(self.model):
            weights = weigh_alignments(self.model, data)
        text = 'loss (gradient in the backbone), over those of detection: ' + (
            ', '.join(f'{name} {w}' for name, w in weights.items()) or 'none')
        heavy = [name for name, weight in weights.items() if weight.dominates]
        if heavy:
            raise RuntimeError(
                f'{text}. {", ".join(heavy)} would dominate the detector from '
                'the launch on: lower its loss_weight or grl_weight.')
        return f'{text}.'

    def _finding(self, name: str, examination: Callable[[], str]) -> Finding:
        """Examine; an error is what is wrong."""
        try:
            # pycocotools tells what it is doing, and so does a run.
            with redirect_stdout(io.StringIO()):
                text, ok = examination(), True
        except Exception as error:  # noqa: BLE001  # Whatever is provoked.
            text, ok = f'{error or type(error).__name__}', False
        return Finding(name, text, ok, self.warnings.take())


def _try_operators(device: str) -> None:
    """Compute with mmcv's operators on the device of training."""
    from mmcv.ops import RoIAlign, nms
    boxes = torch.tensor([[0., 0., 4., 4.]], device=device)
    try:
        nms(boxes, boxes[:, 0], 0.5)
        RoIAlign(2)(
            torch.zeros(1, 1, 8, 8, device=device),
            torch.cat([boxes[:, :1], boxes], 1))
    except Exception as error:  # noqa: BLE001  # Whatever the build lacks.
        raise RuntimeError(
            f"mmcv's operators do not run on {device} ({error}): build mmcv "
            'for it, or train on another device.') from error


def _launches(cfg: dict) -> bool:
    """Tell whether a hook's config is of one that launches."""
    kind = cfg.get('type')
    kind = HOOKS.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, LateLaunchHook)
