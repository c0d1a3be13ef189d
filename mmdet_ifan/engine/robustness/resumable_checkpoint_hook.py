"""Save checkpoints from which a killed run resumes exactly."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import all_gather_object, get_rank, get_world_size, is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Generator
from torch.utils.data import DataLoader

from ...datasets import PairedDomainSampler
from ...datasets.random_states import (
    RandomState,
    get_random_state,
    set_random_state,
    start_worker_from,
)
from ..schedule.epochs import end_with_the_epoch, sampler_of
from .checkpoint_files import (
    ATOMIC,
    latest_in,
    named_and_before,
    remove_unfinished,
    what_is_wrong,
)


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """Save checkpoints that lose nothing and are never half written.

    A run that is killed at any moment and resumed computes, on a CPU and with
    the same number of threads, bit for bit the same as an uninterrupted one:

    - A checkpoint also holds the random states of all processes and of their
      data loaders' workers, and the seed of the draw of pairs. Validation
      does not change the states of training.
    - On a local disk a file has its name only when it is complete. Should one
      be corrupt all the same, the latest intact one before it is resumed.
    - Batches that are done are not loaded again, unless the sampler is not
      ours.

    With another number of processes or workers, or another batch size, the
    draw still continues with the next pair. Workers then start with new
    random numbers, and an additional process with those of another one.

    A run that counts epochs resumes at the end of one. If its config has left
    ``by_epoch=False``, a checkpoint is therefore written after each epoch
    instead, and the log says so.

    Args:
        *args: See :class:`mmengine.hooks.CheckpointHook`.
        **kwargs: See there.

    Raises:
        ValueError: If ``max_keep_ckpts`` is 1: mmengine removes the oldest
            checkpoint before it writes a new one.
        RuntimeError: Before a resumed run, if no checkpoint is intact, or
            one of the two runs counts epochs and the other iterations.
    """

    #: Key of the states, a list by rank, in ``meta`` of a checkpoint.
    STATES = 'random_states'
    backend_args: dict | None
    by_epoch: bool
    filename_tmpl: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.max_keep_ckpts == 1:
            raise ValueError(
                'max_keep_ckpts=1 would remove the only checkpoint before '
                'the next one is written: let it be 2 or more.'
            )
        #: State of each worker after its latest batch.
        self.workers: dict[int, RandomState | None] = {}
        #: Number of pairs that all processes together have trained on.
        self.pairs = 0
        self._loaded: list[dict] = []
        self._training_state: RandomState = {}
        #: State of the main process at the start of a resumed epoch.
        self._first_state: RandomState | None = None

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to resume: the latest intact one."""
        if not runner._resume:
            return
        self._count_as(runner)
        named = runner._load_from or latest_in(runner.work_dir)
        if named is None or '://' in named:
            return
        for path in named_and_before(named, self.filename_tmpl, Path(runner.work_dir)):
            wrong = what_is_wrong(path)
            if wrong is None:
                runner._load_from = str(path)
                return
            runner.logger.warning(
                f'Checkpoint {path} {wrong}: looking for the one before it.'
            )
        raise RuntimeError(
            f'Nothing to resume: neither {named or "any checkpoint"} nor one '
            f'before it in {runner.work_dir} is intact. Name another one, or '
            'choose a new work_dir to start again.'
        )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the random states."""
        self._loaded = checkpoint.get('meta', {}).get(self.STATES, [])

    def before_train(self, runner: Runner) -> None:
        """Prepare the disk and, in a resumed run, the batches."""
        self._count_as(runner)
        super().before_train(runner)
        if self.backend_args is None and isinstance(self.file_backend, LocalBackend):
            self.backend_args = dict(backend=ATOMIC)
            if is_main_process():
                for name in remove_unfinished(
                    Path(self.out_dir), self.filename_tmpl.format('*')
                ):
                    runner.logger.warning(
                        f'Removed {name}, a checkpoint that was being written '
                        'when its process was stopped.'
                    )
        # None is the state in which a worker starts.
        loader = runner.train_dataloader
        self.workers = dict.fromkeys(range(loader.num_workers))
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if by_epoch:
            end_with_the_epoch(runner)
            # A resumed run starts its workers in an epoch in which an
            # uninterrupted one does not: with a generator of its own, that
            # draws no number of the training.
            loader.generator = Generator()
        if not runner.iter:
            return
        if not self._loaded:
            runner.logger.warning(
                'The checkpoint has no random states: this run will differ '
                'from an uninterrupted one.'
            )
            return
        state = self._loaded[get_rank() % len(self._loaded)]
        if by_epoch != state.get('by_epoch', False):
            units = ('epochs', 'iterations')
            raise RuntimeError(
                'The checkpoint is of a run that counts '
                f'{units[by_epoch]}, but train_cfg counts '
                f'{units[not by_epoch]}: resume it with the train_cfg that it '
                'was trained with, or start from its weights only, by '
                'load_from without resume.'
            )
        loop = runner.train_loop
        ours = self._skip(runner, state)
        if by_epoch:
            self._first_state = state['process']
            self._restore_workers(runner, state, 0)
            return
        if ours:
            self._restore_workers(runner, state, runner.iter)
            batches = _start(loop.dataloader, state['process'])
        else:
            runner.logger.warning(
                f'The images of {runner.iter} iterations are loaded again, '
                "since this run's sampler is not a PairedDomainSampler."
            )
            batches = _repeat(loop.dataloader_iterator, runner.iter, state['process'])
        loop.dataloader_iterator = _Rest(runner.iter, batches)

    def before_train_epoch(self, runner: Runner) -> None:
        """Start a resumed epoch with the random state after the last one."""
        if self._first_state is not None:
            set_random_state(self._first_state)
            self._first_state = None

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None
    ) -> None:
        """Count the pairs; take the state of the worker that made them."""
        loader = runner.train_dataloader
        self.pairs += _pairs_of_an_iteration(loader)
        if hasattr(data_batch, 'random_state'):
            # Each epoch starts with the first worker.
            self.workers[batch_idx % loader.num_workers] = data_batch.random_state

    def after_train_epoch(self, runner: Runner) -> None:
        """Count to the end of the epoch, whose last batch may not be full."""
        sampler = sampler_of(runner.train_dataloader)
        if isinstance(sampler, PairedDomainSampler) and sampler.by_epoch:
            self.pairs = sampler.span[1]
        super().after_train_epoch(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        """Remember the random state of training."""
        self._training_state = get_random_state()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Restore it, whatever the validation has drawn."""
        set_random_state(self._training_state)
        super().after_val_epoch(runner, metrics)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Add the random states; all processes call this."""
        state = dict(
            process=get_random_state(),
            workers=self.workers,
            pairs=self.pairs,
            by_epoch=isinstance(runner.train_loop, EpochBasedTrainLoop),
            seed=getattr(runner.train_dataloader.sampler, 'seed', None),
        )
        super()._save_checkpoint_with_step(
            runner, step, {**meta, self.STATES: all_gather_object(state)}
        )

    def _count_as(self, runner: Runner) -> None:
        """Count epochs if the run does, whatever the config has inherited."""
        if self.by_epoch or not isinstance(runner.train_loop, EpochBasedTrainLoop):
            return
        self.by_epoch, self.interval = True, 1
        self.filename_tmpl = self.filename_tmpl.replace('iter', 'epoch')
        runner.logger.warning(
            'default_hooks.checkpoint counts iterations, but train_cfg '
            'epochs, and a run resumes at the end of one: a checkpoint is '
            'written after each epoch. To choose, set by_epoch=True and '
            'interval of default_hooks.checkpoint.'
        )

    def _skip(self, runner: Runner, state: dict) -> bool:
        """Let the data loader start after the pairs that are done.

        Returns:
            bool: Whether that is possible.
        """
        loader = runner.train_dataloader
        sampler = sampler_of(loader)
        if not isinstance(sampler, PairedDomainSampler) or loader.batch_size is None:
            return False
        each = _pairs_of_an_iteration(loader)
        self.pairs = state.get('pairs', runner.iter * each)
        sampler.seed, sampler.start = state['seed'], self.pairs
        runner.logger.info(
            f'The draw continues after {self.pairs} pairs; an iteration has {each}.'
        )
        if not sampler.by_epoch and self.pairs != runner.iter * each:
            runner.logger.warning(
                f'The first {runner.iter} iterations had {self.pairs} pairs, '
                f'not {each} each, as from now on: schedule and launches '
                'still count iterations, and the learning rate is that of the '
                'config.'
            )
        sampler.first_epoch = runner.epoch
        return True

    def _restore_workers(self, runner: Runner, state: dict, done: int) -> None:
        """Let each worker start with the state that it had.

        Args:
            runner (Runner): The run.
            state (dict): State of this process in the checkpoint.
            done (int): Batches that the workers have given in turn.
        """
        loader = runner.train_dataloader
        before = len(self._loaded), len(state['workers'])
        now = get_world_size(), loader.num_workers
        if before == now:
            self.workers = dict(state['workers'])
        else:
            runner.logger.warning(
                f'The checkpoint has random states of {before[0]} processes '
                f'with {before[1]} workers each, not of {now[0]} with '
                f'{now[1]}: augmentation and the sampling of proposals will '
                'differ from those of an uninterrupted run.'
            )
        if (
            isinstance(runner.train_loop, EpochBasedTrainLoop)
            and not loader.persistent_workers
        ):
            # Each epoch starts new workers.
            return
        # The first batch is the first worker's, whoever's turn it is.
        turns = [(done + i) % loader.num_workers for i in range(loader.num_workers)]
        states = [(turn, self.workers[turn]) for turn in turns]
        loader.worker_init_fn = partial(
            start_worker_from, states, loader.worker_init_fn
        )
        # Persistent workers have already started, with their first states.
        loader._iterator = None


def _pairs_of_an_iteration(loader: DataLoader) -> int:
    """Count the pairs of all processes together."""
    return (loader.batch_size or 0) * get_world_size()


class _Rest:
    """Iterate over the batches of a resumed run.

    The loop first skips the batches that are done: mmengine's takes them one
    by one, OneDL's calls ``skip_iter``.

    Args:
        done (int): Number of batches that are done.
        batches (Iterator[dict]): The batches that are left.
    """

    def __init__(self, done: int, batches: Iterator[dict]) -> None:
        self.done = done
        self.batches = batches

    def skip_iter(self, num_iters: int) -> None:
        """Skip a number of batches."""
        self.done -= num_iters

    def __next__(self) -> dict | None:
        """Give the next batch, None for one that is done."""
        if not self.done:
            return next(self.batches)
        self.skip_iter(1)
        return None


def _start(loader: DataLoader, state: RandomState) -> Iterator[dict]:
    """Iterate over a loader that skips the batches that are done."""
    batches = iter(loader)
    # Starting the workers has drawn a random number.
    set_random_state(state)
    yield from batches


def _repeat(batches: Iterator[dict], done: int, state: RandomState) -> Iterator[dict]:
    """Load the batches that are done again, for their random numbers."""
    for _ in range(done):
        next(batches)
    set_random_state(state)
    yield from batches
