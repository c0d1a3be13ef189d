"""Checkpoints from which a killed training goes on as if nothing had been."""
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import (
    all_gather_object,
    get_rank,
    get_world_size,
    is_main_process,
)
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
    """mmengine's hook, whose checkpoints lose nothing and are never torn.

    A training that is killed at any moment and resumed computes, on a CPU and
    at the same number of threads, bit for bit what it would have computed
    otherwise:

    - A checkpoint also has the random states of all processes and their data
      loaders' workers, and the seed of the draw of pairs. Validation leaves
      the states of training alone.
    - On a local disk it has its name only once it is whole. Should one be torn
      all the same, the latest whole one before it is resumed.
    - What has been trained on is not loaded again, unless the sampler is none
      of ours.

    With another number of processes or workers, or another batch size, the
    draw goes on with the next pair all the same. Workers then begin their
    random numbers anew, and processes that had none take another's.

    A run that counts epochs resumes at the end of one. If its config has left
    ``by_epoch=False``, a checkpoint is therefore written after each epoch
    instead, and the log says so.

    Args:
        *args: See :class:`mmengine.hooks.CheckpointHook`.
        **kwargs: See there.

    Raises:
        ValueError: If ``max_keep_ckpts`` is 1: mmengine removes the oldest
            checkpoint before it writes a new one.
        RuntimeError: Before a resumed training, if no checkpoint is whole, or
            its run counted iterations and this one counts epochs, or the
            reverse.
    """

    #: Where ``meta`` of a checkpoint keeps the states, a list by rank.
    STATES = 'random_states'
    backend_args: dict | None
    by_epoch: bool
    filename_tmpl: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.max_keep_ckpts == 1:
            raise ValueError(
                'max_keep_ckpts=1 would remove the only checkpoint before '
                'the next one is written: let it be 2 or more.')
        #: State of each worker after the latest batch that it gave.
        self.workers: dict[int, RandomState | None] = {}
        #: Pairs of the draw that all processes together have trained on.
        self.pairs = 0
        self._loaded: list[dict] = []
        self._training_state: RandomState = {}
        #: What the main process of a resumed epoch begins with.
        self._first_state: RandomState | None = None

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to resume: the latest whole one."""
        if not runner._resume:
            return
        self._count_as(runner)
        named = runner._load_from
        if named is None:
            named = latest_in(runner.work_dir)
        if named is None or '://' in named:
            return
        for path in named_and_before(named, self.filename_tmpl,
                                     Path(runner.work_dir)):
            wrong = what_is_wrong(path)
            if wrong is None:
                runner._load_from = str(path)
                return
            runner.logger.warning(
                f'Checkpoint {path} {wrong}: looking for the one before it.')
        raise RuntimeError(
            f'Nothing to resume: neither {named or "any checkpoint"} nor one '
            f'before it in {runner.work_dir} is whole. Name another one, or '
            'choose a new work_dir to start again.')

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the random states."""
        self._loaded = checkpoint.get('meta', {}).get(self.STATES, [])

    def before_train(self, runner: Runner) -> None:
        """Prepare the disk and, in a resumed run, the batches."""
        self._count_as(runner)
        super().before_train(runner)
        if self.backend_args is None and isinstance(self.file_backend,
                                                    LocalBackend):
            self.backend_args = dict(backend=ATOMIC)
            if is_main_process():
                for name in remove_unfinished(
                        Path(self.out_dir), self.filename_tmpl.format('*')):
                    runner.logger.warning(
                        f'Removed {name}, a checkpoint that was being written '
                        'when its process was stopped.')
        # None: as it was started.
        loader = runner.train_dataloader
        self.workers = dict.fromkeys(range(loader.num_workers))
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if by_epoch:
            end_with_the_epoch(runner)
            # So that starting workers, as a resumed run does in an epoch in
            # which another does not, draws no number of the training.
            loader.generator = Generator()
        if not runner.iter:
            return
        if not self._loaded:
            runner.logger.warning(
                'The checkpoint has no random states: this run will differ '
                'from an uninterrupted one.')
            return
        state = self._loaded[get_rank() % len(self._loaded)]
        if by_epoch != state.get('by_epoch', False):
            units = ('epochs', 'iterations')
            raise RuntimeError(
                'The checkpoint is of a run that counts '
                f'{units[by_epoch]}, but train_cfg counts '
                f'{units[not by_epoch]}: resume it with the train_cfg that it '
                'was trained with, or only start from its weights, by '
                'load_from without resume.')
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
                f'The images of {runner.iter} iterations are loaded once more:'
                " this run's sampler is not PairedDomainSampler.")
            batches = _repeat(loop.dataloader_iterator, runner.iter,
                              state['process'])
        loop.dataloader_iterator = _Rest(runner.iter, batches)

    def before_train_epoch(self, runner: Runner) -> None:
        """Begin a resumed epoch with the random state after the last one."""
        if self._first_state is not None:
            set_random_state(self._first_state)
            self._first_state = None

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: DATA_BATCH = None) -> None:
        """Count the pairs; take the state of the worker that made them."""
        loader = runner.train_dataloader
        self.pairs += _pairs_of_an_iteration(loader)
        if hasattr(data_batch, 'random_state'):
            # Each epoch begins with the first worker.
            self.workers[batch_idx % loader.num_workers] = (
                data_batch.random_state)

    def after_train_epoch(self, runner: Runner) -> None:
        """Go to the end of the epoch: its last batch may not be full."""
        sampler = sampler_of(runner.train_dataloader)
        if isinstance(sampler, PairedDomainSampler) and sampler.by_epoch:
            self.pairs = sampler.span[1]
        super().after_train_epoch(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        """Remember the random state of training."""
        self._training_state = get_random_state()

    def after_val_epoch(self, runner: Runner,
                        metrics: dict[str, float]) -> None:
        """Go on from it, whatever the validation has drawn."""
        set_random_state(self._training_state)
        super().after_val_epoch(runner, metrics)

    def _save_checkpoint_with_step(self, runner: Runner, step: int,
                                   meta: dict) -> None:
        """Add the random states; all processes come here."""
        state = dict(
            process=get_random_state(),
            workers=self.workers,
            pairs=self.pairs,
            by_epoch=isinstance(runner.train_loop, EpochBasedTrainLoop),
            seed=getattr(runner.train_dataloader.sampler, 'seed', None))
        super()._save_checkpoint_with_step(
            runner, step, {**meta, self.STATES: all_gather_object(state)})

    def _count_as(self, runner: Runner) -> None:
        """Count epochs if the run does, whatever was inherited."""
        if self.by_epoch or not isinstance(runner.train_loop,
                                           EpochBasedTrainLoop):
            return
        self.by_epoch, self.interval = True, 1
        self.filename_tmpl = self.filename_tmpl.replace('iter', 'epoch')
        runner.logger.warning(
            'default_hooks.checkpoint counts iterations, but train_cfg '
            'epochs, and a run resumes at the end of one: a checkpoint is '
            'written after each epoch. To choose, set by_epoch=True and '
            'interval of default_hooks.checkpoint.')

    def _skip(self, runner: Runner, state: dict) -> bool:
        """Let the data loader begin after the pairs that are done.

        Returns:
            bool: Whether that is possible.
        """
        loader = runner.train_dataloader
        sampler = sampler_of(loader)
        if (not isinstance(sampler, PairedDomainSampler)
                or loader.batch_size is None):
            return False
        each = _pairs_of_an_iteration(loader)
        self.pairs = state.get('pairs', runner.iter * each)
        sampler.seed, sampler.start = state['seed'], self.pairs
        runner.logger.info(f'The draw goes on after {self.pairs} pairs; an '
                           f'iteration has {each}.')
        if not sampler.by_epoch and self.pairs != runner.iter * each:
            runner.logger.warning(
                f'The first {runner.iter} iterations had {self.pairs} pairs, '
                f'not {each} each, as from now on: schedule and launches go '
                'on counting iterations, and the learning rate is that of '
                'the config.')
        sampler.first_epoch = runner.epoch
        return True

    def _restore_workers(self, runner: Runner, state: dict,
                         done: int) -> None:
        """Let each worker begin with the state that it had.

        Args:
            runner (Runner): The run.
            state (dict): What the checkpoint has of this process.
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
                'differ from those of an uninterrupted run.')
        if (isinstance(runner.train_loop, EpochBasedTrainLoop)
                and not loader.persistent_workers):
            # Each epoch starts new ones.
            return
        # The first batch is the first worker's, whoever's turn it is.
        turns = [(done + i) % loader.num_workers
                 for i in range(loader.num_workers)]
        states = [(turn, self.workers[turn]) for turn in turns]
        loader.worker_init_fn = partial(start_worker_from, states,
                                        loader.worker_init_fn)
        # Persistent workers have started already, from the beginning.
        loader._iterator = None


def _pairs_of_an_iteration(loader: DataLoader) -> int:
    """Count the pairs of all processes together."""
    return (loader.batch_size or 0) * get_world_size()


class _Rest:
    """What a resumed loop draws from.

    The loop first advances it by the batches that are done: mmengine's takes
    them one by one, OneDL's calls ``skip_iter``.

    Args:
        done (int): Number of batches that are done.
        batches (Iterator[dict]): Those that are left.
    """

    def __init__(self, done: int, batches: Iterator[dict]) -> None:
        self.done = done
        self.batches = batches

    def skip_iter(self, num_iters: int) -> None:
        """Advance by a number of batches."""
        self.done -= num_iters

    def __next__(self) -> dict | None:
        """Give the next batch, nothing for one that is done."""
        if not self.done:
            return next(self.batches)
        self.skip_iter(1)
        return None


def _start(loader: DataLoader, state: RandomState) -> Iterator[dict]:
    """Give the batches of a loader that skips those that are done."""
    batches = iter(loader)
    # Starting the workers has drawn a number.
    set_random_state(state)
    yield from batches


def _repeat(batches: Iterator[dict], done: int,
            state: RandomState) -> Iterator[dict]:
    """Load what is done once more, for the random numbers that it draws."""
    for _ in range(done):
        next(batches)
    set_random_state(state)
    yield from batches
