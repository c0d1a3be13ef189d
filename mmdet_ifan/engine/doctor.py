"""Examine a config, its data and the environment before days of training."""
import io
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmdet.registry import DATASETS, HOOKS, MODELS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader, Runner

from .checkpoint_agreement import agree_in_starting, classes_of_dataset
from .schedule_warnings import schedule_warnings

LIBRARIES = ('torch', 'mmengine', 'mmcv', 'mmdet', 'onedl-mmengine',
             'onedl-mmcv', 'onedl-mmdetection')


@dataclass
class Finding:
    """What one examination says.

    Attributes:
        name (str): What was examined.
        text (str): What was found, or what is wrong and how to mend it.
        ok (bool | None): None if it could not be examined.
    """
    name: str
    text: str
    ok: bool | None = True


class Doctor:
    """Examines what a training needs, one thing after the other.

    Args:
        cfg (Config): The config, with ``work_dir``.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        self.device = get_device()
        self.logger = MMLogger('doctor', log_level='WARNING')
        self.model: Any = None
        self.train: Any = None

    def examine(self) -> Iterator[Finding]:
        """Examine everything; what is wrong stops nothing.

        Yields:
            Finding: What each examination says.
        """
        init_default_scope('mmdet')
        for name, examination, needed in (
            ('environment', self.environment, ()),
            ('model', self.build_model, ()),
            ('start', self.start, ()),
            ('launches', self.launches, ('model', )),
            ('schedule', self.schedule, ()),
            ('disk', self.disk, ('model', )),
            ('training data', self.training_data, ()),
            ('test data', self.test_data, ('train', )),
            ('one step', self.one_step, ('model', 'train')),
        ):
            if any(getattr(self, part) is None for part in needed):
                yield Finding(name, 'not examined, for the above.', None)
                continue
            yield _finding(name, examination)

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
        device = self.device
        if device == 'cuda':
            device = torch.cuda.get_device_name()
        return f'{", ".join(versions)}; trains on {device}.'

    def build_model(self) -> str:
        """Build the detector and name its alignments."""
        model = MODELS.build(self.cfg.model)
        if not hasattr(model, 'all_alignments'):
            raise TypeError(f'{type(model).__name__} has no alignments: the '
                            'type of the model must be IFANDetector.')
        runner = self._runner()
        runner.model = model
        HOOKS.build(dict(type='FitCheckHook')).before_train(runner)
        self.model = model
        parameters = sum(p.numel() for p in model.parameters())
        return (f'{parameters / 1e6:.1f} million parameters, '
                f'{model.roi_head.bbox_head.num_classes} classes; alignments '
                f'{", ".join(model.all_alignments) or "none"}.')

    def start(self) -> str:
        """Check that the weights to start from can be loaded."""
        path = self.cfg.get('load_from')
        if path is None:
            return 'from the initialisation of the model.'
        if '://' in path:
            return f'from {path}, which is not looked into.'
        if not Path(path).is_file():
            raise FileNotFoundError(
                f'load_from names {path}, which does not exist: train it '
                'first, or correct load_from.')
        loaded = CheckpointLoader.load_checkpoint(path, 'cpu', logger='silent')
        words = [f'from {path}.']
        if self.model is not None:
            source = dict(
                self.cfg.train_dataloader.dataset.source, lazy_init=True)
            words += agree_in_starting(
                self.model, loaded, path,
                classes_of_dataset(DATASETS.build(source)),
                self.cfg.model.to_dict())
        return ' '.join(words)

    def launches(self) -> str:
        """Check the launches against the alignments and the run."""
        texts = []
        for hook_cfg in self.cfg.get('custom_hooks', []):
            hook = HOOKS.build(hook_cfg)
            if hook_cfg['type'] == 'LateLaunchHook':
                hook.before_train(self._runner())
                texts += [f'{k} at {v}' for k, v in hook.launch.items()]
        return (f'{", ".join(texts) or "nothing"}, of '
                f'{self.cfg.train_cfg.max_iters} iterations.')

    def schedule(self) -> str:
        """Check that the schedulers take their steps within the run."""
        schedulers = self.cfg.get('param_scheduler')
        wrong = schedule_warnings(schedulers, self.cfg.train_cfg)
        if wrong:
            raise ValueError(' '.join(wrong))
        return 'the schedulers end with the run or before.'

    def disk(self) -> str:
        """Check that the checkpoints find room."""
        # Weights, and at most two states of the optimiser for each.
        size = 3 * 4 * sum(p.numel() for p in self.model.parameters())
        kept = self.cfg.default_hooks.checkpoint.get('max_keep_ckpts', -1)
        interval = self.cfg.default_hooks.checkpoint.get('interval', 1)
        made = math.ceil(self.cfg.train_cfg.max_iters / interval)
        # The oldest goes before a new one is written.
        needed = size * (made if kept < 0 else min(made, kept))
        folder = Path(self.cfg.work_dir).absolute()
        while not folder.exists():
            folder = folder.parent
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
        runner = self._runner(
            val_loop=True,
            train_dataloader=SimpleNamespace(dataset=self.train),
            val_dataloader=SimpleNamespace(dataset=test))
        HOOKS.build(dict(type='PairCheckHook')).before_train(runner)
        source, target = test.datasets
        return f'{len(source)} source and {len(target)} target images.'

    def one_step(self) -> str:
        """Compute every loss of one batch, and its gradients."""
        cfg = self.cfg.train_dataloader.to_dict()
        cfg.update(num_workers=0, persistent_workers=False)
        batch = next(iter(Runner.build_dataloader(cfg, seed=0)))
        model = self.model.to(self.device).train()
        for alignment in model.all_alignments.values():
            alignment.launched = True
        start = time.perf_counter()
        data = model.data_preprocessor(batch, True)
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

    def _runner(self, **parts: Any) -> Any:
        """Show hooks what they look at before training."""
        return SimpleNamespace(
            model=self.model,
            iter=0,
            max_iters=self.cfg.train_cfg.max_iters,
            logger=self.logger,
            **parts)


def _finding(name: str, examination: Callable[[], str]) -> Finding:
    """Examine; an error is what is wrong."""
    try:
        # pycocotools tells what it is doing.
        with redirect_stdout(io.StringIO()):
            return Finding(name, examination())
    except Exception as error:  # noqa: BLE001  # Whatever a config provokes.
        return Finding(name, f'{error or type(error).__name__}', False)
