"""A resumed run whose config asks for another optimizer or schedule."""

import logging
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mmdet_ifan.engine import PreflightHook
from mmdet_ifan.utils.errors import DataError

SGD = dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.01)
ADAMW = dict(type='AdamW', lr=0.01, weight_decay=0.05)
WARMUP = dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=3)
COSINE = dict(type='CosineAnnealingLR', by_epoch=False, begin=3)
STEPS = dict(type='MultiStepLR', by_epoch=False, milestones=[4, 9])
#: The uninterrupted run, and where a shorter or other one was cut.
LENGTH, CUT = 12, 6


class Numbers(Dataset):
    """Four batches of two."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict:
        return dict(inputs=torch.tensor([float(index), 1.0]))


class Model(BaseModel):
    """Two layers, so that their settings can differ."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 2), nn.Linear(2, 1)

    def forward(self, inputs: list, mode: str) -> dict:
        return dict(loss=self.last(self.first(torch.stack(inputs))).mean())


class Recorder(Hook):
    """Writes down the settings of each iteration."""

    def __init__(self, seen: dict) -> None:
        self.seen = seen

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen[runner.iter] = [
            {k: v for k, v in group.items() if k != 'params'}
            for group in runner.optim_wrapper.param_groups
        ]


class Warnings(logging.Handler):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    """Trains, resumes where told, and gives the settings by iteration."""

    # It asks every compiler for its version.
    monkeypatch.setattr(Runner, '_log_env', lambda self, env_cfg: None)

    def run(
        name: str,
        optimizer: dict = SGD,
        schedulers: list | dict | None = (WARMUP, COSINE),
        train_cfg: dict | None = None,
        resume: bool = False,
        batch_size: int = 2,
        hook: bool = True,
        change: Callable[[dict], object] | None = None,
        **kwargs,
    ) -> dict[int, list[dict]]:
        seen: dict[int, list[dict]] = {}
        wrapper = dict(optimizer=optimizer)
        wrapper.update(kwargs.pop('wrapper', {}))
        train_cfg = train_cfg or dict(type='IterBasedTrainLoop', max_iters=LENGTH)
        by_epoch = 'max_epochs' in train_cfg
        if resume and change:
            path = tmp_path / name / (tmp_path / name / 'last_checkpoint').read_text()
            content = torch.load(path, weights_only=False)
            change(content)
            torch.save(content, path)
        cfg = dict(
            optim_wrapper=wrapper,
            param_scheduler=list(schedulers or []) or None,
            train_cfg=train_cfg,
        )
        runner = Runner(
            Model(),
            work_dir=str(tmp_path / name),
            experiment_name=uuid4().hex,
            train_dataloader=dict(
                dataset=Numbers(),
                sampler=dict(
                    type='DefaultSampler' if by_epoch else 'InfiniteSampler',
                    shuffle=False,
                ),
                batch_size=batch_size,
                num_workers=0,
            ),
            default_hooks=dict(
                logger=None,
                checkpoint=dict(
                    type='CheckpointHook',
                    by_epoch=by_epoch,
                    interval=1 if by_epoch else CUT,
                ),
            ),
            custom_hooks=[Recorder(seen)] + [PreflightHook()] * hook,
            resume=resume,
            cfg=cfg,
            **cfg,
            **kwargs,
        )
        warnings = Warnings()
        runner.logger.addHandler(warnings)
        runner.train()
        run.warnings = [text for text in warnings.texts if 'optimizer or sched' in text]
        run.all_warnings = warnings.texts
        return seen

    def cut(name: str) -> None:
        """Leave a folder as a run that was killed after CUT iterations."""
        (tmp_path / name / 'last_checkpoint').write_text(
            str(tmp_path / name / f'iter_{CUT}.pth')
        )

    run.cut = cut
    return run


SHORT = dict(train_cfg=dict(type='IterBasedTrainLoop', max_iters=CUT))
LAYERS = dict(paramwise_cfg=dict(custom_keys=dict(last=dict(lr_mult=4.0))))
CHANGES = {
    'longer': (SHORT, {}, 'end of CosineAnnealingLR 6 -> 12'),
    'longer, with AdamW and layers of their own': (
        dict(SHORT, optimizer=ADAMW, wrapper=LAYERS),
        dict(optimizer=ADAMW, wrapper=LAYERS),
        'T_max of CosineAnnealingLR',
    ),
    'milestones': (
        dict(schedulers=[dict(STEPS, milestones=[5, 9])]),
        dict(schedulers=[STEPS]),
        'milestones of MultiStepLR',
    ),
    'milestones in a longer run': (
        dict(SHORT, schedulers=[STEPS]),
        dict(schedulers=[STEPS]),
        'end of MultiStepLR 6 -> 12',
    ),
    'gamma': (
        dict(schedulers=[STEPS]),
        dict(schedulers=[dict(STEPS, gamma=0.5)]),
        'gamma',
    ),
    'poly': (
        dict(SHORT, schedulers=[dict(type='PolyLR', by_epoch=False)]),
        dict(schedulers=[dict(type='PolyLR', by_epoch=False)]),
        'end',
    ),
    'one cycle': (
        dict(
            schedulers=[
                dict(type='OneCycleLR', by_epoch=False, eta_max=1.0, total_steps=LENGTH)
            ]
        ),
        dict(
            schedulers=[
                dict(type='OneCycleLR', by_epoch=False, eta_max=2.0, total_steps=LENGTH)
            ]
        ),
        'eta_max',
    ),
    'another kind': (
        dict(schedulers=[STEPS]),
        dict(schedulers=[COSINE]),
        'another scheduler -> CosineAnnealingLR',
    ),
    'one more': (dict(schedulers=[WARMUP]), {}, '1 schedulers -> 2'),
    'one less': ({}, dict(schedulers=[COSINE]), '2 schedulers -> 1'),
    'none any more': ({}, dict(schedulers=None), '2 schedulers -> 0'),
    'momentum': (
        dict(
            SHORT,
            optimizer=ADAMW,
            schedulers=[dict(type='CosineAnnealingMomentum', by_epoch=False)],
        ),
        dict(
            optimizer=ADAMW,
            schedulers=[dict(type='CosineAnnealingMomentum', by_epoch=False)],
        ),
        'end of CosineAnnealingMomentum',
    ),
    'learning rate': ({}, dict(optimizer=dict(SGD, lr=0.2)), 'initial_lr 0.1 -> 0.2'),
    'learning rate without a schedule': (
        dict(schedulers=None),
        dict(schedulers=None, optimizer=dict(SGD, lr=0.2)),
        'lr 0.1 -> 0.2',
    ),
    'weight decay': (
        {},
        dict(optimizer=dict(SGD, weight_decay=0.0)),
        'weight_decay 0.01 -> 0',
    ),
    'momentum of SGD': (
        {},
        dict(optimizer=dict(SGD, momentum=0.5)),
        'momentum 0.9 -> 0.5',
    ),
    'betas': (
        dict(optimizer=ADAMW),
        dict(optimizer=dict(ADAMW, betas=(0.8, 0.9))),
        'betas',
    ),
    'one layer': (
        dict(wrapper=LAYERS),
        dict(
            wrapper=dict(paramwise_cfg=dict(custom_keys=dict(last=dict(lr_mult=2.0))))
        ),
        'initial_lr 0.4 -> 0.2',
    ),
}


@pytest.mark.parametrize(('before', 'now', 'word'), CHANGES.values(), ids=CHANGES)
def test_the_config_is_followed(train, before, now, word):
    """As in a run of the new config that was never interrupted."""
    whole = train('whole', **now)
    assert not train.warnings
    train('cut', **before)
    train.cut('cut')
    rest = train('cut', resume=True, **now)
    assert list(rest) == list(range(CUT, LENGTH))
    for i, groups in rest.items():
        for group, expected in zip(groups, whole[i], strict=True):
            assert {k: group[k] for k in expected} == expected
    (warning,) = train.warnings
    assert word in warning
    rate = whole[CUT][0]['lr']
    assert f'iteration {CUT} the learning rate is {rate:.6g};' in warning


@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(optimizer=ADAMW, wrapper=LAYERS),
        dict(schedulers=None),
        dict(schedulers=[STEPS]),
        dict(
            schedulers=[
                dict(
                    type='CosineRestartLR',
                    by_epoch=False,
                    periods=[4, 8],
                    restart_weights=[1, 0.5],
                    eta_min=0.0,
                )
            ]
        ),
        dict(
            optimizer=ADAMW,
            schedulers=[dict(type='LinearMomentum', by_epoch=False, end=9)],
        ),
    ],
)
def test_nothing_changes_where_the_config_says_the_same(train, options):
    whole = train('run', **options)
    train.cut('run')
    rest = train('run', resume=True, **options)
    assert rest == {i: whole[i] for i in range(CUT, LENGTH)}
    assert not any(
        word in text
        for text in train.all_warnings
        for word in ('This config', 'no state')
    )


def test_without_the_hook_the_rate_stays(train):
    """What mmengine does; all of the above would be in vain otherwise."""
    whole = train('whole')
    train('cut', **SHORT)
    rest = train('cut', resume=True, hook=False)
    assert rest[CUT + 2][0]['lr'] != whole[CUT + 2][0]['lr']


def test_epochs(train):
    """Both kinds of steps, in their order."""
    schedulers = [
        WARMUP,
        dict(type='CosineAnnealingLR', by_epoch=True),
        dict(type='ExponentialLR', by_epoch=False, gamma=0.9),
    ]

    def epochs(number: int) -> dict:
        return dict(
            schedulers=schedulers,
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=number),
        )

    whole = train('whole', **epochs(4))
    train('cut', **epochs(2))
    rest = train('cut', resume=True, **epochs(4))
    assert rest == {i: whole[i] for i in range(8, 16)}
    assert len(train.warnings) == 1


def test_another_batch_size_that_scales_the_rate(train):
    scaled = dict(auto_scale_lr=dict(enable=True, base_batch_size=2))
    whole = train('whole', batch_size=4, **scaled)
    train('cut', **SHORT, **scaled)
    rest = train('cut', resume=True, batch_size=4, **scaled)
    assert rest == {i: whole[i] for i in range(CUT, LENGTH)}
    assert 'initial_lr 0.1 -> 0.2' in train.warnings[0]


@pytest.mark.parametrize(
    ('part', 'words'),
    [
        ('optimizer', 'it has no state of an optimizer'),
        ('param_schedulers', '0 schedulers -> 2'),
    ],
)
def test_a_checkpoint_without_their_state(train, part, words):
    whole = train('whole')
    train('cut', **SHORT)
    rest = train('cut', resume=True, change=lambda content: content.pop(part))
    assert rest == {i: whole[i] for i in range(CUT, LENGTH)}
    assert words in train.warnings[0]


def test_what_follows_a_metric_stays(train):
    schedulers = [dict(type='ReduceOnPlateauLR', monitor='loss')]
    train('cut', schedulers=schedulers, **SHORT)
    rest = train('cut', resume=True, schedulers=schedulers, optimizer=dict(SGD, lr=0.2))
    assert rest[CUT][0]['lr'] == 0.1
    assert 'everything stays as in the checkpoint' in train.warnings[0]


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (dict(optimizer=ADAMW), 'its optimizer is SGD, not AdamW'),
        (dict(wrapper=LAYERS), 'has 1 groups of parameters, but 5 are asked'),
    ],
)
def test_another_optimizer_is_refused(train, change, sentence):
    train('cut', **SHORT)
    with pytest.raises(DataError, match=sentence):
        train('cut', resume=True, **change)


@pytest.mark.parametrize('length', [CUT, CUT - 1])
def test_nothing_left_to_train(train, length):
    train('cut', **SHORT)
    loop = dict(type='IterBasedTrainLoop', max_iters=length)
    assert not train('cut', resume=True, train_cfg=loop)
    assert (
        f'Nothing is left to train: the checkpoint is that of iteration '
        f'{CUT}, and the run has {length}.' in ' '.join(train.all_warnings)
    )
