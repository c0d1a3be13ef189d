"""Gates that depend on the iteration alone, and on plateaus of losses."""

import io
import math
from unittest.mock import Mock

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.hooks import LoggerHook
from mmengine.logging import HistoryBuffer
from mmengine.registry import MODEL_WRAPPERS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, get_priority
from torch import nn

from mmdet_ifan.engine import LateLaunchHook
from mmdet_ifan.models import AdaptationTerm, BaseAlignment

NAMES = ('image', 'instance', 'correlation')
LAUNCH = dict(image=0, instance=3, correlation=5)


class Nothing(BaseAlignment):
    """An alignment that only has a gate."""

    def loss(self, source: object, target: object) -> dict:
        return {}


class Aligned(nn.Module):
    """A model that has alignments and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.all_alignments = {name: Nothing() for name in NAMES}

    @property
    def launched(self) -> list[str]:
        """Names of what is launched."""
        return [name for name, part in self.all_alignments.items() if part.launched]


@pytest.fixture
def runner() -> Mock:
    runner = Mock()
    runner.model = Aligned()
    runner.iter = 0
    runner.max_iters = 10
    runner.hooks = []
    return runner


def train(hook: LateLaunchHook, runner: Mock, start: int, stop: int) -> list[list[str]]:
    """Go through iterations; tell what was launched in each."""
    runner.iter = start
    hook.before_train(runner)
    history = []
    for i in range(start, stop):
        runner.iter = i
        hook.before_train_iter(runner, batch_idx=i)
        history.append(runner.model.launched)
    return history


def expected(iteration: int) -> list[str]:
    """What must be launched at an iteration: its own included."""
    return [name for name in NAMES if iteration >= LAUNCH[name]]


def log_lines(runner: Mock) -> list[str]:
    """What the hook has logged."""
    return [call.args[0] for call in runner.logger.info.call_args_list]


def test_each_starts_at_its_iteration(runner):
    history = train(LateLaunchHook(LAUNCH), runner, 0, 10)
    assert history == [expected(i) for i in range(10)]
    assert history[2] == ['image']
    assert history[3] == ['image', 'instance']


@pytest.mark.parametrize('start', [1, 3, 4, 5, 9])
def test_resumed_run_equals_the_uninterrupted_one(runner, start):
    whole = train(LateLaunchHook(LAUNCH), runner, 0, 10)
    # A new process: new hook, new model.
    runner.model = Aligned()
    assert train(LateLaunchHook(LAUNCH), runner, start, 10) == whole[start:]


def test_progress_goes_from_the_launch_to_the_end(runner):
    hook = LateLaunchHook(LAUNCH)
    hook.before_train(runner)
    for i in range(10):
        runner.iter = i
        hook.before_train_iter(runner, batch_idx=i)
        for name, part in runner.model.all_alignments.items():
            start = LAUNCH[name]
            assert part.progress == pytest.approx(max(0, i - start) / (10 - start))


def test_progress_of_a_launch_by_epochs(runner):
    runner.train_loop = Mock(spec=EpochBasedTrainLoop)
    runner.max_epochs, runner.max_iters = 5, 20
    hook = LateLaunchHook(dict(image=0, instance=3), by_epoch=True)
    hook.before_train(runner)
    for i in range(20):
        runner.iter, runner.epoch = i, i // 4
        hook.before_train_iter(runner, batch_idx=i)
        assert runner.model.all_alignments['instance'].progress == max(0, i - 12) / 8


def test_a_term_without_reversal_is_launched(runner):
    class Term(AdaptationTerm):
        """A term that the detector does not fool."""

        def loss(self, source: object, target: object) -> dict:
            return {}

    runner.model.all_alignments['teacher'] = Term(loss_weight=0.5)
    hook = LateLaunchHook(dict(teacher=2))
    train(hook, runner, 0, 4)
    assert runner.model.launched == ['teacher']
    assert any(
        'teacher is launched (at iteration 2; now 2) with loss_weight 0.5.' in line
        for line in log_lines(runner)
    )
    logged = {call.args[0] for call in runner.message_hub.update_scalar.call_args_list}
    assert 'train/teacher/weight' in logged
    assert 'train/teacher/reversal_weight' not in logged


def test_order_of_the_iterations_does_not_matter(runner):
    """No state: going back, as a test may, closes the gate again."""
    hook = LateLaunchHook(LAUNCH)
    hook.before_train(runner)
    for i in (9, 0, 4, 2, 5):
        runner.iter = i
        hook.before_train_iter(runner, batch_idx=i)
        assert runner.model.launched == expected(i)


def test_nothing_is_launched_before_the_first_iteration(runner):
    """An alignment is on by itself; the hook takes it over."""
    assert runner.model.launched == list(NAMES)
    LateLaunchHook(LAUNCH).before_train(runner)
    assert runner.model.launched == []


@pytest.mark.parametrize('launch', [{}, dict(instance=2)])
def test_what_is_not_named_never_starts(runner, launch):
    history = train(LateLaunchHook(launch), runner, 0, 10)
    assert set(sum(history, [])) == set(launch)
    never = [line for line in log_lines(runner) if 'never' in line]
    assert len(never) == len(NAMES) - len(launch)


def test_each_launch_is_logged_once(runner):
    train(LateLaunchHook(LAUNCH), runner, 0, 10)
    lines = log_lines(runner)
    assert len(lines) == len(NAMES)
    for line, name in zip(lines, NAMES, strict=True):
        assert name in line
        assert f'iteration {LAUNCH[name]};' in line


def test_resumed_run_logs_what_it_finds_launched(runner):
    train(LateLaunchHook(LAUNCH), runner, 4, 6)
    lines = log_lines(runner)
    assert len(lines) == 3
    assert all('now 4' in line for line in lines[:2])
    assert 'now 5' in lines[2]


def test_gates_and_weights_are_scalars_of_every_iteration(runner):
    instance = runner.model.all_alignments['instance']
    instance.loss_weight, instance.reverse.weight = 0.5, 2.0
    train(LateLaunchHook(LAUNCH), runner, 2, 4)
    image, correlation = (
        [
            (f'train/{name}/launched', on),
            (f'train/{name}/weight', 0.1),
            (f'train/{name}/reversal_weight', 1.0),
        ]
        for name, on in (('image', 1.0), ('correlation', 0.0))
    )
    before, after = (
        [
            ('train/instance/launched', on),
            ('train/instance/weight', 0.5),
            ('train/instance/reversal_weight', 2.0),
        ]
        for on in (0.0, 1.0)
    )
    assert [
        call.args for call in runner.message_hub.update_scalar.call_args_list
    ] == image + before + correlation + image + after + correlation


def test_goes_before_the_loggers():
    hook = HOOKS.build(dict(type='LateLaunchHook', launch=LAUNCH))
    assert hook.launch == LAUNCH
    assert get_priority(hook.priority) < get_priority(LoggerHook.priority)


def test_finds_the_alignments_of_a_wrapped_model(runner):

    @MODEL_WRAPPERS.register_module(force=True)
    class Wrapper(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

    model = runner.model
    runner.model = Wrapper(model)
    hook = LateLaunchHook(LAUNCH)
    hook.before_train(runner)
    runner.iter = 3
    hook.before_train_iter(runner, batch_idx=3)
    assert model.launched == ['image', 'instance']


def test_config_is_copied():
    launch = dict(LAUNCH)
    hook = LateLaunchHook(launch)
    launch['image'] = 7
    assert hook.launch == LAUNCH


@pytest.mark.parametrize('iteration', [-1, 3.0, 0.5, True, False, '3', None])
def test_refuses_what_is_no_iteration(iteration):
    with pytest.raises(ValueError, match=f'launch of instance.*got {iteration!r}'):
        LateLaunchHook(dict(image=0, instance=iteration))


def test_refuses_unknown_names(runner):
    hook = LateLaunchHook(dict(image=0, instances=1, corr=2))
    with pytest.raises(
        ValueError, match='launches corr, instances.*image, instance, correlation'
    ):
        hook.before_train(runner)


@pytest.mark.parametrize('iteration', [10, 11, 10**6])
def test_refuses_iterations_outside_the_run(runner, iteration):
    hook = LateLaunchHook(dict(image=0, instance=iteration))
    with pytest.raises(ValueError, match=f'{iteration}.*only 10'):
        hook.before_train(runner)
    LateLaunchHook(dict(image=9)).before_train(runner)


def test_refuses_a_model_without_alignments(runner):
    runner.model = nn.Linear(1, 1)
    with pytest.raises(ValueError, match='got Linear'):
        LateLaunchHook({}).before_train(runner)


# Several hooks


@pytest.mark.parametrize('priority', ['ABOVE_NORMAL', 'HIGHEST'])
def test_the_last_of_several_counts(runner, priority):
    """That of custom_hooks, whatever its priority; only it is checked."""
    first = LateLaunchHook(dict(image=0, absent=10**9), when='plateau')
    last = LateLaunchHook(dict(instance=2))
    last.priority = priority
    runner.hooks = sorted([first, last], key=lambda hook: get_priority(hook.priority))
    for hook in runner.hooks:
        hook.before_train(runner)
    history = []
    for i in range(4):
        runner.iter = i
        for hook in runner.hooks:
            hook.before_train_iter(runner, batch_idx=i)
            hook.after_train_iter(runner, batch_idx=i, outputs=dict(loss=0))
        history.append(runner.model.launched)
    assert history == [[], [], ['instance'], ['instance']]
    checkpoint: dict = {}
    for hook in runner.hooks:
        hook.before_save_checkpoint(runner, checkpoint)
    assert checkpoint == {}
    (said,) = (line for line in log_lines(runner) if 'steps aside' in line)
    assert 'the last counts, which launches instance at 2' in said
    assert 'image at 0, absent at 1000000000' in said


# Launch by epochs


@pytest.fixture
def epoch_runner(runner):
    """Four epochs of three iterations."""
    runner.train_loop = Mock(spec=EpochBasedTrainLoop)
    runner.max_epochs, runner.max_iters = 4, 12
    return runner


def train_epochs(hook: LateLaunchHook, runner: Mock, start: int) -> list[list[str]]:
    """Go through epochs; tell what was launched in each iteration."""
    runner.epoch = start
    hook.before_train(runner)
    history = []
    for i in range(3 * start, 12):
        runner.iter, runner.epoch = i, i // 3
        hook.before_train_iter(runner, batch_idx=i % 3)
        history.append(runner.model.launched)
    return history


@pytest.mark.parametrize('start', [0, 1, 2, 3])
def test_launches_by_epochs(epoch_runner, start):
    hook = LateLaunchHook(dict(image=0, instance=1, correlation=3), by_epoch=True)
    assert (
        train_epochs(hook, epoch_runner, start)
        == [list(NAMES[:n]) for n in [1] * 3 + [2] * 6 + [3] * 3][3 * start :]
    )
    assert any(
        'correlation is launched (at epoch 3; now 3)' in line
        for line in log_lines(epoch_runner)
    )


def test_launches_by_iterations_in_a_run_of_epochs(epoch_runner):
    hook = LateLaunchHook(LAUNCH)
    assert train_epochs(hook, epoch_runner, 0) == [expected(i) for i in range(12)]


def test_bounds_of_a_plateau_in_epochs(epoch_runner):
    """As soon as it is stable, at the latest with its epoch."""
    hook = LateLaunchHook(
        dict(image=0, instance=(1, 2), correlation=3),
        when='plateau',
        window=10,
        by_epoch=True,
    )
    train_epochs(hook, epoch_runner, 0)
    assert hook.launched_at == dict(image=0, instance=2, correlation=3)


def test_refuses_epochs_that_the_run_has_not(epoch_runner):
    hook = LateLaunchHook(dict(image=4), by_epoch=True)
    with pytest.raises(ValueError, match='at epoch 4, but .*only 4 epochs'):
        hook.before_train(epoch_runner)
    epoch_runner.train_loop = Mock(spec=IterBasedTrainLoop)
    with pytest.raises(ValueError, match='but the run counts iterations'):
        LateLaunchHook({}, by_epoch=True).before_train(epoch_runner)


# Launch at a plateau

BOUNDS = dict(image=0, instance=(4, 20), correlation=(6, 30))
WATCH = dict(when='plateau', window=3, tolerance=0.1)


def run(
    hook: LateLaunchHook,
    runner: Mock,
    losses: dict[str, list[float]],
    start: int,
    stop: int,
) -> dict[str, int]:
    """Train through iterations whose losses are given by name."""
    for i in range(start, stop):
        runner.iter = i
        hook.before_train_iter(runner, batch_idx=i)
        outputs = {
            f'{name}/loss': torch.tensor(losses[name][i])
            for name in runner.model.launched
        }
        outputs['image/accuracy'] = torch.tensor(float(i))
        outputs['loss_cls'] = torch.tensor(float(i))
        hook.after_train_iter(runner, batch_idx=i, outputs=outputs)
    return hook.launched_at


@pytest.fixture
def long_runner(runner):
    runner.max_iters = 40
    return runner


#: Falls for nine iterations, then rests.
SETTLING = [10.0 - i for i in range(9)] + [1.0] * 31
STILL = [2.0] * 40
RESTLESS = [float(2 ** (i // 3)) for i in range(40)]


@pytest.mark.parametrize(
    ('image', 'instance', 'launched_at'),
    [
        # Windows of 3 end at 3, 6, ...: the mean of 9 to 11 is the first of rest,
        # that of 12 to 14 the first not to differ. Instance alignment starts at
        # 15 and is watched from there: 15 to 17 against 18 to 20.
        (SETTLING, STILL, dict(image=0, instance=15, correlation=21)),
        # At once, but not before its bound; 0 to 2 against 3 to 5.
        (STILL, STILL, dict(image=0, instance=6, correlation=12)),
        # Never stable: at the latest iteration.
        (RESTLESS, STILL, dict(image=0, instance=20, correlation=30)),
        # A window that is not finite is no measure for the next: stable at 9.
        (
            [2.0, 2.0, math.inf, *STILL[3:]],
            STILL,
            dict(image=0, instance=9, correlation=15),
        ),
        # All that are launched must be stable.
        (STILL, RESTLESS, dict(image=0, instance=6, correlation=30)),
    ],
)
def test_next_starts_when_the_launched_are_stable(
    long_runner, image, instance, launched_at
):
    hook = LateLaunchHook(BOUNDS, **WATCH)
    hook.before_train(long_runner)
    losses = dict(image=image, instance=instance, correlation=STILL)
    assert run(hook, long_runner, losses, 0, 40) == launched_at


@pytest.mark.parametrize('stop', [1, 5, 14, 15, 16, 20, 33])
def test_plateau_survives_a_resume(long_runner, stop):
    losses = dict(image=SETTLING, instance=STILL, correlation=STILL)
    hook = LateLaunchHook(BOUNDS, **WATCH)
    hook.before_train(long_runner)
    run(hook, long_runner, losses, 0, stop)
    checkpoint: dict = {}
    hook.before_save_checkpoint(long_runner, checkpoint)
    # It is stored with the rest, and read back in a new process.
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    buffer.seek(0)
    resumed = LateLaunchHook(BOUNDS, **WATCH)
    long_runner.model = Aligned()
    long_runner.iter = stop
    resumed.after_load_checkpoint(long_runner, torch.load(buffer))
    resumed.before_train(long_runner)
    assert run(resumed, long_runner, losses, stop, 40) == dict(
        image=0, instance=15, correlation=21
    )


def test_resumed_plateau_leaves_out_what_is_no_longer_named(long_runner):
    losses = dict(image=SETTLING, instance=STILL, correlation=STILL)
    hook = LateLaunchHook(BOUNDS, **WATCH)
    hook.before_train(long_runner)
    run(hook, long_runner, losses, 0, 17)
    checkpoint: dict = {}
    hook.before_save_checkpoint(long_runner, checkpoint)
    long_runner.model = Aligned()
    long_runner.iter = 17
    bounds = dict(image=0, correlation=(6, 30))
    resumed = LateLaunchHook(bounds, **WATCH)
    resumed.after_load_checkpoint(long_runner, checkpoint)
    resumed.before_train(long_runner)
    # Two whole windows from there.
    assert run(resumed, long_runner, losses, 17, 40) == dict(image=0, correlation=23)
    assert not long_runner.model.all_alignments['instance'].launched


def test_plateau_of_a_warm_start_is_not_ours(long_runner):
    """load_from reads a checkpoint, too, and starts at iteration 0."""
    hook = LateLaunchHook(BOUNDS, **WATCH)
    long_runner.iter = 0
    hook.after_load_checkpoint(
        long_runner, dict(late_launch=dict(launched_at=dict(image=0, instance=6)))
    )
    hook.before_train(long_runner)
    assert hook.launched_at == {}


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (dict(launch=dict(image=(0, 5))), "give when='plateau'"),
        (dict(launch=dict(image=(5, 0)), when='plateau'), 'the earlier first'),
        (dict(launch=dict(image=(1, 2, 3)), when='plateau'), 'must be an iter'),
        (dict(launch={}, when='later'), "but got 'later'"),
        (dict(launch={}, when='plateau', window=0), 'window >= 1'),
        (dict(launch={}, when='plateau', tolerance=0.0), 'tolerance > 0'),
    ],
)
def test_refuses_plateaus_that_cannot_be_meant(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        LateLaunchHook(**arguments)


# --- A resumed run whose config launches otherwise ---------------------------


def resumed(
    runner: Mock, hook: LateLaunchHook, start: int, *launched: str
) -> list[str]:
    """Resume where some had been launched; what is warned of."""
    histories = {}
    for name in NAMES:
        histories[f'train/{name}/launched'] = history = HistoryBuffer()
        for _ in range(start):
            history.update(float(name in launched))
    runner.message_hub.log_scalars = histories
    runner.iter = start
    hook.before_train(runner)
    return [call.args[0] for call in runner.logger.warning.call_args_list]


@pytest.mark.parametrize('start', range(10))
def test_nothing_is_said_where_launches_are_the_same(runner, start):
    before = expected(start - 1) if start else []
    assert resumed(runner, LateLaunchHook(LAUNCH), start, *before) == []


def test_a_launch_that_lies_in_the_past_is_said(runner):
    """The config launches at 3 what the interrupted run had at 8."""
    (warning,) = resumed(runner, LateLaunchHook(LAUNCH), 4, 'image')
    assert (
        'Before iteration 4 the alignment instance is launched by this '
        'config, but is not launched in the run of the checkpoint: ' in warning
    )


def test_what_is_switched_off_again_is_said(runner):
    hook = LateLaunchHook(dict(image=0, instance=8))
    warnings = resumed(runner, hook, 6, *NAMES)
    assert len(warnings) == 2
    for warning, name in zip(warnings, ('instance', 'correlation'), strict=True):
        assert f'the alignment {name} is not launched by this config' in warning


def test_a_plateau_of_a_run_without_one_is_said(long_runner):
    hook = LateLaunchHook(BOUNDS, **WATCH)
    warnings = resumed(long_runner, hook, 6, 'image')
    assert len(warnings) == 1 and 'alignment image' in warnings[0]


def test_nothing_is_said_of_a_start(runner):
    """Its checkpoint is another run's."""
    assert resumed(runner, LateLaunchHook(dict(image=0)), 0, *NAMES) == []
