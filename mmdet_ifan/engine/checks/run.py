"""Check the parts of a run against each other, all built.

A list in a config replaces that of its base, and ``_delete_=True`` leaves out
a dictionary, so a config may have lost what a run cannot do without.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mmdet.evaluation import MultiDatasetsEvaluator
from mmdet.models import MultiBranchDataPreprocessor
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.registry import FUNCTIONS
from mmengine.runner import BaseLoop, EpochBasedTrainLoop
from mmengine.visualization import LocalVisBackend, Visualizer
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ...datasets import DomainTestDataset, PairedDomainDataset
from ...datasets.random_states import collate_with_random_state
from ...models import AdaptationTerm
from ..robustness.resumable_checkpoint_hook import ResumableCheckpointHook
from ..schedule.late_launch_hook import launching_hook
from ..schedule.teacher_hook import FrozenTeacherHook, TeacherHook
from .views import look_alike

#: Hooks of our configs, and what a run without one does not do.
USEFUL = dict(
    ResumableCheckpointHook='resume exactly',
    FiniteCheckHook='stop when losses are not finite or diverge',
    UnreadableImagesHook='count the images that were skipped',
)
#: Share of the initial weights in an average beyond which it is no average.
LEFT = 0.05
DOMAINS = ('source', 'target')


def check_launches(model: nn.Module, hooks: Iterable[Hook]) -> None:
    """Check that a hook launches the alignments.

    Args:
        model (nn.Module): The detector.
        hooks (Iterable[Hook]): The hooks of the run.

    Raises:
        ValueError: If none does.
    """
    names = list(getattr(model, 'all_alignments', ()))
    if names and launching_hook(hooks) is None:
        launch = ', '.join(f'{name}=0' for name in names)
        raise ValueError(
            f'The model has the alignments {", ".join(names)}, but no '
            'LateLaunchHook launches them, so that all would train from the '
            'first iteration. If this is intended, write default_hooks=dict('
            f"late_launch=dict(type='LateLaunchHook', launch=dict({launch})));"
            ' give other iterations to launch them later.'
        )


def check_teacher(model: nn.Module, hooks: Iterable[Hook]) -> None:
    """Check that one hook at most averages or teaches, for terms that need it.

    Args:
        model (nn.Module): The detector.
        hooks (Iterable[Hook]): The hooks of the run.

    Raises:
        ValueError: If several average or teach, or a launched term has no
            teacher.
    """
    hooks = list(hooks)
    averaging = [type(hook).__name__ for hook in hooks if isinstance(hook, EMAHook)]
    if len(averaging) > 1:
        raise ValueError(
            f'{" and ".join(averaging)} both average the weights, and only one '
            'average can be tested and saved: keep one. A TeacherHook does '
            'what the EMAHook of the strong recipe does.'
        )
    teachers = [
        type(hook).__name__
        for hook in hooks
        if isinstance(hook, TeacherHook | FrozenTeacherHook)
    ]
    if len(teachers) > 1:
        raise ValueError(
            f'{" and ".join(teachers)} both give a teacher, and terms see only '
            'one: keep one.'
        )
    taught = [name for name, term in _launched(model, hooks) if term.needs_teacher]
    if taught and not teachers:
        raise ValueError(
            f'The alignment {taught[0]} needs a teacher, but no TeacherHook '
            'averages the detector: add default_hooks=dict(teacher=dict(type='
            "'TeacherHook', momentum=0.001))."
        )


def check_needed_views(
    model: nn.Module, hooks: Iterable[Hook], train: PairedDomainDataset
) -> None:
    """Check that the pipelines give the views that terms need.

    Args:
        model (nn.Module): The detector.
        hooks (Iterable[Hook]): The hooks of the run.
        train (PairedDomainDataset): What is trained on.

    Raises:
        ValueError: If a launched term lacks a view.
    """
    needed = {
        view: name
        for name, term in _launched(model, hooks)
        for view in term.needs_views
    }
    for view, name in needed.items():
        if view in train.branches:
            continue
        domain = view.split('_')[0]
        views = [domain, *(v for v in needed if v.startswith(f'{domain}_'))]
        raise ValueError(
            f'The alignment {name} needs the view {view}, which no pipeline '
            f'gives: let that of {domain} end with '
            f"dict(type='MultiBranch', branch_field={views}, "
            f'{", ".join(f"{v}=[..., pack]" for v in views)}), where pack is '
            "dict(type='PackDetInputs'). "
            'configs/_base_/recipes/teacher.py has views for teachers.'
        )


def view_warnings(
    model: nn.Module, hooks: Iterable[Hook], train: PairedDomainDataset
) -> Iterator[str]:
    """Name terms that compare a view with itself, and so learn little.

    Args:
        model (nn.Module): The detector.
        hooks (Iterable[Hook]): The hooks of the run.
        train (PairedDomainDataset): What is trained on.

    Yields:
        str: A sentence.
    """
    for name, term in _launched(model, hooks):
        views = [view for view in term.needs_views if view.startswith('target')]
        if len(views) > 1 and look_alike(train.target, views):
            yield (
                f'The alignment {name} compares the views {" and ".join(views)}, '
                'which show the same pixels: give one of them, as a rule '
                f'{views[-1]}, other colours. '
                'configs/_base_/recipes/teacher.py has strong_colours.'
            )


def check_batch(model: nn.Module, hooks: Iterable[Hook], loader: DataLoader) -> None:
    """Check that a batch has as many source images as the terms need.

    Args:
        model (nn.Module): The detector.
        hooks (Iterable[Hook]): The hooks of the run.
        loader (DataLoader): The data loader of training.

    Raises:
        ValueError: If it has fewer.
    """
    for name, term in _launched(model, hooks):
        if (loader.batch_size or 1) < term.min_source_images:
            raise ValueError(
                f'The alignment {name} pairs {term.min_source_images} source '
                'images with each other, but a batch of a process has '
                f'{loader.batch_size}: raise train_dataloader.batch_size.'
            )


def _launched(
    model: nn.Module, hooks: Iterable[Hook]
) -> Iterator[tuple[str, AdaptationTerm]]:
    """Give the terms that the run launches at some time, by name."""
    launching = launching_hook(hooks)
    for name, term in getattr(model, 'all_alignments', {}).items():
        if launching is not None and name in launching.launch:
            yield name, term


def check_preprocessor(model: nn.Module) -> None:
    """Check that the detector can take the batches of two domains.

    Args:
        model (nn.Module): The detector.

    Raises:
        ValueError: If it cannot.
    """
    found = getattr(model, 'data_preprocessor', None)
    if hasattr(model, 'all_alignments') and not isinstance(
        found, MultiBranchDataPreprocessor
    ):
        raise ValueError(
            'model.data_preprocessor must be a MultiBranchDataPreprocessor, '
            f'but is a {type(found).__name__}: move its settings to '
            'model.data_preprocessor.data_preprocessor.'
        )


def check_evaluator(evaluator: Any, dataset: Dataset) -> None:
    """Check that each domain is measured under its own name.

    Args:
        evaluator (Evaluator): The evaluator of the validation.
        dataset (Dataset): Its data set.

    Raises:
        ValueError: If a domain has no metric or the other's name.
    """
    if not isinstance(dataset, DomainTestDataset):
        return
    if not isinstance(evaluator, MultiDatasetsEvaluator):
        raise ValueError(
            'val_evaluator must be a MultiDatasetsEvaluator, but is a '
            f'{type(evaluator).__name__}, which would measure the images of '
            "both domains as one: set type='MultiDatasetsEvaluator', "
            "dataset_prefixes=['source', 'target'] and two metrics."
        )
    prefixes = tuple(evaluator.dataset_prefixes)
    if prefixes != DOMAINS or len(evaluator.metrics) != len(DOMAINS):
        raise ValueError(
            'val_evaluator needs two metrics, the first for source and the '
            "second for target, and dataset_prefixes=['source', 'target'], "
            f'but has {len(evaluator.metrics)} and {list(prefixes)}.'
        )


def check_epoch(loop: BaseLoop) -> None:
    """Check that an epoch has an iteration.

    Args:
        loop (BaseLoop): The loop of training.

    Raises:
        ValueError: If it has none.
    """
    loader = loop.dataloader
    if isinstance(loop, EpochBasedTrainLoop) and not len(loader):
        raise ValueError(
            f'An epoch of {len(loader.dataset)} source images has no batch of '
            f'{loader.batch_size}: lower train_dataloader.batch_size, or set '
            'drop_last=False.'
        )


def run_warnings(
    cfg: Config, hooks: Sequence[Hook], loop: BaseLoop, visualizer: Visualizer
) -> Iterator[str]:
    """Name what a run lacks or ignores, but can do without.

    Args:
        cfg (Config): The config of the run.
        hooks (Sequence[Hook]): Its hooks.
        loop (BaseLoop): Its loop of training.
        visualizer (Visualizer): Its visualizer.

    Yields:
        str: A sentence.
    """
    yield from _lost_hooks(hooks)
    yield from _checkpoint_units(hooks, loop)
    yield from _slow_teachers(hooks, loop)
    if cfg.get('data_preprocessor') is not None:
        yield (
            'data_preprocessor of the config is not used, since model has '
            'its own: set model.data_preprocessor.data_preprocessor.'
        )
    backends = getattr(visualizer, '_vis_backends', {})
    if not any(isinstance(b, LocalVisBackend) for b in backends.values()):
        yield (
            'visualizer.vis_backends has no LocalVisBackend, which writes '
            'scalars.json: the tools for curves and studies will find '
            "nothing. Add dict(type='LocalVisBackend')."
        )
    names = [
        [str(backend.get('type')) for backend in backends or ()]
        for backends in (
            cfg.get('vis_backends'),
            cfg.get('visualizer', {}).get('vis_backends'),
        )
    ]
    if not set(names[0]) <= set(names[1]):
        yield (
            f'vis_backends of the config ({", ".join(names[0])}) is not '
            f'used, but that of visualizer ({", ".join(names[1])}): set '
            'visualizer.vis_backends.'
        )
    yield from _collate(loop.dataloader)


def _lost_hooks(hooks: Sequence[Hook]) -> Iterator[str]:
    """Name what default_hooks of our base config has and this run lacks."""
    there = {kind.__name__ for hook in hooks for kind in type(hook).__mro__}
    lost = {name: use for name, use in USEFUL.items() if name not in there}
    if lost:
        yield (
            f'default_hooks has no {", ".join(lost)}: this run does not '
            f'{"; ".join(lost.values())}. Perhaps _delete_=True has left '
            'out more than was intended.'
        )


def _slow_teachers(hooks: Sequence[Hook], loop: BaseLoop) -> Iterator[str]:
    """Warn of averages that hold much of the start when the run ends."""
    for hook in hooks:
        if not isinstance(hook, TeacherHook):
            continue
        momentum = hook.ema_cfg['momentum']
        left = (1 - momentum) ** loop.max_iters
        if left > LEFT:
            yield (
                f'TeacherHook averages over {1 / momentum:.0f} iterations, and the run '
                f'has {loop.max_iters}: {left:.0%} of the weights that are tested and '
                'saved are those that it starts from. Raise its momentum.'
            )


def _checkpoint_units(hooks: Sequence[Hook], loop: BaseLoop) -> Iterator[str]:
    """Warn of checkpoints that come too late to be resumed."""
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    unit = 'epochs' if by_epoch else 'iterations'
    length = loop.max_epochs if by_epoch else loop.max_iters
    for hook in hooks:
        if not isinstance(hook, CheckpointHook):
            continue
        if hook.by_epoch and not by_epoch:
            yield (
                'default_hooks.checkpoint counts epochs, but train_cfg '
                'iterations: the only checkpoint is that of the end. Set '
                'by_epoch=False and an interval in iterations.'
            )
        elif by_epoch and not hook.by_epoch:
            # Ours writes after each epoch instead, and says so.
            if not isinstance(hook, ResumableCheckpointHook):
                yield (
                    'default_hooks.checkpoint counts iterations, but '
                    'train_cfg epochs: a run that is resumed inside an '
                    'epoch begins it again. Set by_epoch=True and an '
                    'interval in epochs.'
                )
        elif not 0 < hook.interval <= length:
            yield (
                f'The only checkpoint is that of the end, since interval '
                f'of default_hooks.checkpoint is {hook.interval} and the '
                f'run has {length} {unit}: a run that is killed starts '
                'again. Lower interval.'
            )


def _collate(loader: DataLoader) -> Iterator[str]:
    """Warn of batches that do not carry the random states of their workers."""
    collate = getattr(loader.collate_fn, 'func', loader.collate_fn)
    if (
        isinstance(loader.dataset, PairedDomainDataset)
        and loader.num_workers
        and collate is not FUNCTIONS.get(collate_with_random_state.__name__)
    ):
        yield (
            'train_dataloader.collate_fn is not collate_with_random_state: '
            'a resumed run will augment its images differently from an '
            'uninterrupted one.'
        )
