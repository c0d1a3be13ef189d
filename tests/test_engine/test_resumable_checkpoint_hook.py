"""Small models that draw numbers, through mmengine's runner, cut short."""

import gc
import random
from collections.abc import Callable, Iterator
from itertools import islice
from multiprocessing import active_children
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset, Sampler

from mmdet_ifan.datasets import PairedDomainDataset, PairedDomainSampler
from mmdet_ifan.datasets.random_states import collate_with_random_state
from mmdet_ifan.engine import ResumableCheckpointHook
from mmdet_ifan.utils.errors import DataError

ITERATIONS = 12


def draw() -> torch.Tensor:
    """A number of each of the three generators."""
    return torch.tensor([random.random(), np.random.random(), float(torch.rand(()))])


def draw_pairs(number: int) -> list[tuple[int, int]]:
    """The beginning of the draw."""
    return list(islice(PairedDomainSampler(Pairs(), 1), number))


class Pairs(PairedDomainDataset):
    """Pairs that are augmented by what is drawn."""

    def __init__(self) -> None:
        self.source, self.target = range(5), range(7)

    metainfo = None

    def __getitem__(self, pair: tuple[int, int]) -> dict:
        return dict(inputs=torch.tensor(pair) + draw()[:2], numbers=draw(), pairs=pair)


class Numbers(Dataset):
    """What validation draws; it must not matter."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict:
        return dict(inputs=draw()[:2], numbers=draw())


class OtherSampler(Sampler):
    """One that cannot skip, but draws the same."""

    def __init__(self, dataset: Pairs, seed: int) -> None:
        self.sampler = PairedDomainSampler(dataset, seed)

    def __iter__(self) -> Iterator:
        return iter(self.sampler)


class FiniteSampler(Sampler):
    """One that mmengine tells the epoch."""

    def __init__(self, dataset: Pairs, seed: int) -> None:
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return 5

    def __iter__(self) -> Iterator:
        rng = random.Random(self.seed + self.epoch)
        return iter([(rng.randrange(5), rng.randrange(7)) for _ in range(5)])


class Model(BaseModel):
    """Adds noise, as a sampler of proposals does."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, inputs: list, numbers: list, mode: str, pairs=None):
        if mode == 'predict':
            return [draw() for _ in inputs]
        noise = torch.stack(numbers) + draw()
        loss = (self.layer(torch.stack(inputs)) - noise).square().mean()
        return dict(loss=loss)


class Metric(BaseMetric):
    """A figure that improves, so that best checkpoints are written."""

    def process(self, data_batch, data_samples) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list) -> dict:
        draw()
        Metric.value += 1
        return dict(figure=Metric.value)

    value = 0


class Stop(Hook):
    """Ends a training as a kill does, and writes down its losses."""

    priority = 'LOWEST'
    workers = 0

    def __init__(self, losses: dict, pairs: list, at: int | None) -> None:
        self.losses, self.pairs = losses, pairs
        self.at = at

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.losses[runner.iter] = outputs['loss'].item()
        self.pairs += zip(*data_batch['pairs'], strict=True)
        Stop.workers = len(active_children())
        if runner.iter + 1 == self.at:
            raise KeyboardInterrupt


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., dict[int, float]]:
    """Trains, resumes where there is something, and gives the losses."""

    def run(
        name: str,
        stop: int | None = None,
        num_workers: int = 0,
        seed: int = 1,
        batch_size: int = 3,
        sampler: type = PairedDomainSampler,
        val_interval: int = 5,
        checkpoint: str | None = None,
        hook: type = ResumableCheckpointHook,
        max_epochs: int | None = None,
        persistent: bool = True,
        **kwargs,
    ) -> dict[int, float]:
        losses: dict[int, float] = {}
        pairs: list[tuple[int, int]] = []
        folder = tmp_path / name
        torch.manual_seed(0)  # The first weights are drawn here.
        runner = Runner(
            Model(),
            work_dir=str(folder),
            experiment_name=uuid4().hex,
            train_dataloader=dict(
                dataset=Pairs(),
                sampler=dict(type=sampler),
                collate_fn=dict(type=collate_with_random_state),
                batch_size=batch_size,
                num_workers=num_workers,
                persistent_workers=num_workers > 0 and persistent,
            ),
            train_cfg=dict(
                by_epoch=False, max_iters=ITERATIONS, val_interval=val_interval
            )
            if max_epochs is None
            else dict(by_epoch=True, max_epochs=max_epochs, val_interval=2),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
            val_dataloader=dict(
                dataset=Numbers(),
                sampler=dict(type='DefaultSampler', shuffle=False),
                batch_size=1,
                num_workers=0,
            ),
            val_cfg=dict(),
            val_evaluator=dict(type=Metric),
            default_hooks=dict(
                logger=None,
                timer=None,
                sampler_seed=dict(type='DistSamplerSeedHook'),
                checkpoint=dict(
                    type=hook,
                    max_keep_ckpts=3,
                    **{**dict(by_epoch=False, interval=2), **kwargs},
                ),
            ),
            custom_hooks=[Stop(losses, pairs, stop)],
            randomness=dict(seed=seed),
            resume=bool(checkpoint) or (folder / 'last_checkpoint').exists(),
            load_from=checkpoint,
        )
        try:
            runner.train()
            assert stop is None
        except KeyboardInterrupt:
            pass
        run.log = '\n'.join(path.read_text() for path in folder.glob('*/*.log'))
        run.pairs = pairs
        losses['weights'] = runner.model.layer.weight.tolist()
        return losses

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(num_workers=3),
        dict(num_workers=2, save_best='figure', rule='greater'),
        dict(sampler=OtherSampler),
        dict(num_workers=2, sampler=OtherSampler),
    ],
)
def test_resumes_as_if_nothing_had_been(train, options):
    """Stopped soon, at and between checkpoints, before a validation."""
    whole = train('whole', **options)
    assert len(whole) == ITERATIONS + 1
    for stop in (3, 6, 9):
        part = train('stopped', stop, **options)
        assert all(part[i] == whole[i] for i in part if i != 'weights')
    rest = train('stopped', **options)
    assert 'iterations had' not in train.log
    assert 0 < len(rest) < ITERATIONS
    assert rest == {key: whole[key] for key in rest}


#: Six epochs of a batch of three pairs and one of two.
EPOCHS = dict(max_epochs=6, by_epoch=True, interval=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(num_workers=3),
        dict(num_workers=3, persistent=False),
        dict(num_workers=2, save_best='figure', rule='greater'),
        dict(num_workers=2, sampler=FiniteSampler),
        # Two inherited settings count iterations: after each epoch, then.
        dict(by_epoch=False, interval=5000),
    ],
)
def test_resumes_epochs_as_if_nothing_had_been(train, tmp_path, options):
    """Stopped in epochs, and before a validation."""
    options = {**EPOCHS, **options}
    whole = train('whole', **options)
    assert len(whole) == ITERATIONS + 1
    if 'sampler' not in options:
        assert train.pairs == draw_pairs(6 * 5)
    for stop in (3, 9):
        part = train('stopped', stop, **options)
        assert all(part[i] == whole[i] for i in part if i != 'weights')
    assert sorted(path.name for path in (tmp_path / 'stopped').glob('e*.pth')) == [
        'epoch_2.pth',
        'epoch_3.pth',
        'epoch_4.pth',
    ]
    rest = train('stopped', **options)
    assert rest == {key: whole[key] for key in [*range(8, 12), 'weights']}
    assert ('a checkpoint is written after each epoch' in train.log) == (
        not options['by_epoch']
    )


def test_epochs_with_another_batch_size(train):
    """No pair twice or left out, whatever the batches are."""
    train('stopped', 5, **EPOCHS)
    pairs = train.pairs[:10]
    train('stopped', batch_size=1, **EPOCHS)
    assert pairs + train.pairs == draw_pairs(30)


def test_epochs_do_not_resume_iterations(train):
    """Nor the reverse: the counts would mean something else."""
    train('iterations', 5)
    with pytest.raises(RuntimeError, match='run that counts iterations, but'):
        train('iterations', **EPOCHS)
    train('epochs', 5, **EPOCHS)
    with pytest.raises(RuntimeError, match='a run that counts epochs, but'):
        train('epochs')


def test_without_the_hook_it_differs(train):
    """What mmengine keeps is not enough for this model."""
    whole = train('whole', hook=CheckpointHook)
    train('stopped', 7, hook=CheckpointHook)
    rest = train('stopped', hook=CheckpointHook)
    assert all(rest[i] != whole[i] for i in range(6, ITERATIONS))


def test_validations_draw_for_themselves(train):
    assert train('often', val_interval=2) == train('once', val_interval=12)


def test_what_is_done_is_not_loaded_again(train, monkeypatch):
    train('run', 11)
    loaded = []
    load = Pairs.__getitem__
    monkeypatch.setattr(
        Pairs, '__getitem__', lambda self, pair: loaded.append(pair) or load(self, pair)
    )
    train('run')
    assert len(loaded) == 3 * 2


@pytest.mark.slow
def test_workers_that_began_anew_are_gone(train):
    train('run', 5, num_workers=2)
    gc.collect()
    before = len(active_children())
    train('run', num_workers=2)
    assert Stop.workers - before == 2


@pytest.mark.slow
def test_the_seed_is_that_of_the_checkpoint(train):
    whole = train('whole', seed=4, num_workers=2)
    train('stopped', 7, seed=4, num_workers=2)
    rest = train('stopped', seed=5, num_workers=2)
    assert rest == {key: whole[key] for key in rest}


@pytest.mark.slow
def test_another_number_of_workers(train):
    """The draw continues, augmentation starts anew."""
    whole = train('whole', num_workers=1)
    pairs = train.pairs
    train('stopped', 7, num_workers=1)
    rest = train('stopped', num_workers=2)
    assert sorted(rest, key=str) == [10, 11, 6, 7, 8, 9, 'weights']
    assert train.pairs == pairs[6 * 3 :]
    assert rest[7] != whole[7]
    assert 'states of 1 processes with 1 workers each, not of 1 with 2' in train.log


@pytest.mark.parametrize('batch_sizes', [(3, 1), (1, 3)])
def test_another_batch_size(train, batch_sizes):
    """Twice resumed, once with another size: no pair twice or left out."""
    train('whole', batch_size=1)
    whole = train.pairs
    pairs = []
    for stop, size in zip((4, 8, None), (*batch_sizes, 2), strict=True):
        train('stopped', stop, batch_size=size)
        pairs += train.pairs
    assert pairs == draw_pairs(len(pairs))
    assert pairs[:ITERATIONS] == whole
    assert 'an iteration has 2' in train.log
    first, second = batch_sizes
    assert (
        f'The first 4 iterations had {4 * first} pairs, not {second} each' in train.log
    )


def test_a_checkpoint_without_states_is_named(train):
    train('run', 7, hook=CheckpointHook)
    train('run')
    assert 'The checkpoint has no random states: this run will differ' in train.log


def test_corrupt_checkpoints(train, tmp_path):
    whole = train('whole')
    train('corrupt', 9)
    for name in ('iter_8.pth', 'iter_6.pth'):
        path = tmp_path / 'corrupt' / name
        path.write_bytes(path.read_bytes()[:-9])
    rest = train('corrupt')
    assert rest == {key: whole[key] for key in [*range(4, 12), 'weights']}
    for name in ('iter_8.pth', 'iter_6.pth'):
        assert f'{name} is corrupt' in train.log


def test_a_named_checkpoint_is_resumed(train, tmp_path):
    whole = train('whole')
    train('stopped', 9)
    rest = train('elsewhere', checkpoint=str(tmp_path / 'stopped/iter_6.pth'))
    assert rest == {key: whole[key] for key in rest}
    assert min(i for i in rest if i != 'weights') == 6


def test_a_note_without_a_name(train, tmp_path):
    """Killed while it noted which checkpoint is the last."""
    whole = train('whole')
    train('stopped', 9)
    (tmp_path / 'stopped/last_checkpoint').write_text('')
    rest = train('stopped')
    assert rest == {key: whole[key] for key in [*range(8, 12), 'weights']}


def test_all_corrupt(train, tmp_path):
    train('corrupt', 5)
    for path in (tmp_path / 'corrupt').glob('*.pth'):
        path.write_bytes(b'')
    with pytest.raises(RuntimeError, match='iter_4.pth nor one before it'):
        train('corrupt')


def test_a_disk_that_is_full(train, tmp_path, monkeypatch):
    """The checkpoint before it stays, and nothing stands beside it."""
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name.startswith('iter_6.pth'):
            write(path, content[:9])
            raise OSError(28, 'No space left on device')
        return write(path, content)

    whole = train('whole')
    with monkeypatch.context() as patch:
        patch.setattr(Path, 'write_bytes', full)
        with pytest.raises(DataError, match='iter_6.pth cannot be written'):
            train('full')
    assert sorted(path.name for path in (tmp_path / 'full').glob('iter_*')) == [
        'iter_2.pth',
        'iter_4.pth',
    ]
    rest = train('full')
    assert rest == {key: whole[key] for key in [*range(4, 12), 'weights']}


def test_one_checkpoint_is_too_few():
    with pytest.raises(ValueError, match='let it be 2 or more'):
        ResumableCheckpointHook(interval=1, max_keep_ckpts=1)
