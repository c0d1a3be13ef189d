"""The averaged detector as a teacher of the one in training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from leaves import load
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.hooks import EMAHook, Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mmdet_ifan.deployment import export
from mmdet_ifan.engine import FrozenTeacherHook, LateLaunchHook, TeacherHook
from mmdet_ifan.engine.checks.run import (
    check_batch,
    check_needed_views,
    check_teacher,
    view_warnings,
)
from mmdet_ifan.models import AdaptationTerm, IFANDetector, PseudoLabelHead
from mmdet_ifan.utils.errors import DataError


@pytest.fixture
def detector(tiny_cfg: ConfigDict) -> IFANDetector:
    return MODELS.build(tiny_cfg)


@pytest.fixture
def runner(detector: IFANDetector) -> Mock:
    return Mock(model=detector, iter=0, max_iters=10, _resume=False)


def fill(model: nn.Module, value: float) -> None:
    """Give every parameter one value."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)


def values(model: nn.Module) -> set[float]:
    """Values of all parameters."""
    return {value for p in model.parameters() for value in p.unique().tolist()}


def started(runner: Mock, **kwargs: float) -> TeacherHook:
    """A hook at the first iteration; weights are initialised in between."""
    hook = TeacherHook(**kwargs)
    hook.before_run(runner)
    fill(runner.model, 1.0)
    hook.before_train(runner)
    return hook


def test_the_teacher_is_the_moving_average(runner, detector):
    """1, 1.01 and 1.0299 after the student's 1, 2 and 3."""
    hook = started(runner, momentum=0.01)
    assert values(detector.teacher) == {1.0}
    for student, expected in ((1.0, 1.0), (2.0, 1.01), (3.0, 1.0299)):
        fill(detector, student)
        hook.after_train_iter(runner, 0)
        (value,) = values(detector.teacher)
        assert value == pytest.approx(expected, abs=1e-6)
        assert values(detector) == {student}


def test_iterations_count_whether_they_take_a_step_or_not(runner, detector):
    """Two gradients are accumulated; a scaler skips the second step."""
    hook = started(runner, momentum=0.25)
    optimizer = OptimWrapper(
        torch.optim.SGD(detector.parameters(), lr=1.0), accumulative_counts=2
    )
    optimizer.initialize_count_status(detector, 0, 6)
    step, students = optimizer.step, []
    for i in range(6):
        optimizer.step = Mock() if i == 3 else step
        optimizer.update_params(sum(p.sum() for p in detector.parameters()))
        hook.after_train_iter(runner, 0)
        students.append(*values(detector))
    assert students == [1.0, 0.0, 0.0, 0.0, 0.0, -1.0]
    average = students[0]
    for student in students[1:]:
        average += 0.25 * (student - average)
    (value,) = values(detector.teacher)
    assert value == pytest.approx(average, abs=1e-6)


def test_the_teacher_tests_while_the_student_trains(runner, detector):
    hook = started(runner)
    detector.train()
    assert detector.teacher is hook.ema_model.module
    assert not any(part.training for part in detector.teacher.modules())
    assert not any(p.requires_grad for p in detector.teacher.parameters())
    assert detector.training


@pytest.mark.parametrize('bare', [False, True])
def test_the_teacher_starts_from_the_loaded_weights(runner, detector, bare):
    hook = TeacherHook()
    hook.before_run(runner)
    fill(detector, 5.0)
    weights = detector.state_dict()
    hook.after_load_checkpoint(runner, weights if bare else dict(state_dict=weights))
    assert values(hook.ema_model.module) == {5.0}
    hook.before_train(runner)
    assert values(detector.teacher) == values(detector) == {5.0}


def test_a_resumed_teacher_is_the_one_that_was_saved(runner, detector):
    hook = started(runner, momentum=0.25)
    for student in (1.0, 3.0):
        fill(detector, student)
        hook.after_train_iter(runner, 0)
    state = {key: value.clone() for key, value in detector.state_dict().items()}
    checkpoint = dict(state_dict=state)
    hook.before_save_checkpoint(runner, checkpoint)
    # What is deployed is the teacher.
    assert list(checkpoint['state_dict']) == list(detector.state_dict())
    saved = checkpoint['state_dict']
    assert saved['backbone.conv1.weight'].unique().item() == 1.5

    resumed = TeacherHook(momentum=0.25)
    resumed.before_run(runner)
    runner._resume, runner.iter = True, 2
    resumed.after_load_checkpoint(runner, checkpoint)
    detector.load_state_dict(checkpoint['state_dict'])
    resumed.before_train(runner)
    assert values(detector) == {3.0}
    assert detector.teacher is resumed.ema_model.module
    assert values(detector.teacher) == {1.5}
    resumed.after_train_iter(runner, 0)
    assert values(detector.teacher) == {1.5 + 0.25 * (3.0 - 1.5)}


def test_the_teacher_is_what_is_validated(runner, detector):
    hook = started(runner, momentum=0.25)
    for student in (1.0, 3.0):
        fill(detector, student)
        hook.after_train_iter(runner, 0)
    hook.before_val_epoch(runner)
    assert values(detector) == {1.5}
    hook.after_val_epoch(runner)
    assert values(detector) == {3.0}
    assert values(detector.teacher) == {1.5}


@pytest.mark.parametrize('momentum', [0.99, 0.999, 0, -0.1])
def test_a_decay_is_not_taken_for_a_momentum(momentum):
    with pytest.raises(ValueError, match=f'adds, .*got {momentum}: for a decay'):
        TeacherHook(momentum=momentum)


def test_a_model_that_follows_nobody():
    hook = TeacherHook()
    runner = Mock(model=nn.Linear(1, 1), max_iters=10)
    hook.before_run(runner)
    with pytest.raises(ValueError, match='the model is a Linear: use EMAHook'):
        hook.before_train(runner)


# Before training


class Taught(AdaptationTerm):
    """A term that needs a teacher."""

    needs_teacher = True
    needs_views = ('target_teacher',)

    def loss(self, source: object, target: object) -> dict:
        return {}


def test_a_term_that_needs_a_teacher_has_one():
    model = Mock(all_alignments=dict(relations=Taught(), other=nn.Identity()))
    model.all_alignments['other'].needs_teacher = False
    launch = LateLaunchHook(dict(relations=0, other=3))
    check_teacher(model, [launch, TeacherHook()])
    with pytest.raises(
        ValueError, match='relations needs a teacher, but no TeacherHook .* add def'
    ):
        check_teacher(model, [launch])
    # Nothing that is launched needs it.
    check_teacher(model, [LateLaunchHook(dict(other=3))])


def test_a_term_that_needs_a_view_has_one():
    model = Mock(all_alignments=dict(relations=Taught()))
    launch = LateLaunchHook(dict(relations=0))
    train = Mock(branches=('source', 'target', 'target_teacher'))
    check_needed_views(model, [launch], train)
    train.branches = ('source', 'target', 'target_strong')
    with pytest.raises(
        ValueError,
        match=r'relations needs the view target_teacher, .* of target end with '
        r"dict\(type='MultiBranch', branch_field=\['target', 'target_teacher'\]",
    ):
        check_needed_views(model, [launch], train)
    # All that are missing at once.
    model.all_alignments['other'] = Mock(needs_views=('target_student',))
    launch = LateLaunchHook(dict(relations=0, other=0))
    with pytest.raises(
        ValueError, match="'target', 'target_teacher', 'target_student'"
    ):
        check_needed_views(model, [launch], train)
    check_needed_views(model, [LateLaunchHook({})], train)


def test_terms_that_compare_views(monkeypatch):
    """They are to differ; a term with one view has nothing to compare."""
    terms = dict(relations=Taught(), labels=PseudoLabelHead())
    model, launch = Mock(all_alignments=terms), LateLaunchHook(dict.fromkeys(terms, 0))
    seen = []

    def look_alike(dataset, views):
        seen.append((dataset, views))
        return len(seen) == 1

    monkeypatch.setattr('mmdet_ifan.engine.checks.run.look_alike', look_alike)
    train = Mock(target='target images')
    (said,) = view_warnings(model, [launch], train)
    assert 'labels compares the views target_teacher and target_student' in said
    assert seen == [('target images', ['target_teacher', 'target_student'])]
    assert not list(view_warnings(model, [launch], train))
    assert not list(view_warnings(model, [LateLaunchHook({})], train))
    assert len(seen) == 2


def test_one_average_at_a_time():
    hooks = [LateLaunchHook({}), TeacherHook()]
    check_teacher(Mock(all_alignments={}), hooks)
    with pytest.raises(ValueError, match='EMAHook both average .* keep one'):
        check_teacher(Mock(all_alignments={}), [*hooks, EMAHook()])


def test_one_teacher_at_a_time():
    with pytest.raises(
        ValueError, match='TeacherHook and FrozenTeacherHook both give a teacher'
    ):
        check_teacher(
            Mock(all_alignments={}),
            [LateLaunchHook({}), TeacherHook(), FrozenTeacherHook('a.pth')],
        )


class Pairing(Taught):
    """A term that pairs source images."""

    needs_teacher = False
    min_source_images = 2


def test_a_term_that_pairs_images_has_two():
    model = Mock(all_alignments=dict(cells=Pairing()))
    launch = LateLaunchHook(dict(cells=0))
    check_batch(model, [launch], Mock(batch_size=2))
    with pytest.raises(
        ValueError,
        match='alignment cells pairs 2 source images .* has 1: raise train_data',
    ):
        check_batch(model, [launch], Mock(batch_size=1))
    # Nothing that is launched needs it.
    check_batch(model, [LateLaunchHook({})], Mock(batch_size=1))


# A teacher that was trained before


@pytest.fixture
def source_detector(tiny_cfg, tmp_path):
    """Path of a source-only detector's checkpoint, and its weights."""
    tiny_cfg.neck = dict(type='LastTap')
    tiny_cfg.alignments = {}
    state = MODELS.build(tiny_cfg).state_dict()
    torch.save(dict(state_dict=state), tmp_path / 'source-only.pth')
    return str(tmp_path / 'source-only.pth'), state


def test_frozen_teacher_is_that_of_the_file_and_stays(
    source_detector, tiny_cfg, make_batch
):
    path, state = source_detector
    tiny_cfg.alignments = dict(
        regularisation=dict(type='SourceRegularization', loss_weight=1.0)
    )
    torch.manual_seed(1)
    model = MODELS.build(tiny_cfg).train()
    # Whatever it starts from.
    assert not torch.equal(model.backbone.conv1.weight, state['backbone.conv1.weight'])
    keys = list(model.state_dict())
    check_teacher(
        model, [LateLaunchHook(dict(regularisation=0)), FrozenTeacherHook(path)]
    )
    hook = FrozenTeacherHook(path)
    hook.before_train(Mock(model=model))
    optimizer = torch.optim.SGD(model.parameters(), 0.02)
    values = []
    for _ in range(3):
        losses = model.loss(*make_batch())
        value = losses['regularisation/loss']
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert 0 < values[2] < values[1] < values[0]
    teacher = model.teacher
    assert not teacher.training
    for key, weight in state.items():
        assert torch.equal(teacher.state_dict()[key], weight), key
    # It is no part of the model, so of no checkpoint.
    assert list(model.state_dict()) == keys
    # On the source detector itself there is nothing to correct.
    model.load_state_dict(state)
    model.eval()
    assert model.loss(*make_batch())['regularisation/loss'] == 0


def test_frozen_teacher_of_no_adaptive_detector():
    with pytest.raises(ValueError, match='the model is a Linear: leave the hook out'):
        FrozenTeacherHook('a.pth').before_train(Mock(model=nn.Linear(1, 1)))


# In a run


class Watch(Hook):
    """Keeps what each step gives and leaves, and what is tested."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.logged: list[dict[str, float]] = []
        self.students: list[dict[str, Tensor]] = []
        self.tested: dict[str, Tensor] = {}

    def weights(self, runner: Runner) -> dict[str, Tensor]:
        """Copy the detector's weights."""
        return {key: p.detach().clone() for key, p in runner.model.named_parameters()}

    def after_train_iter(self, runner: Runner, batch_idx, data_batch, outputs) -> None:
        self.logged.append({key: value.item() for key, value in outputs.items()})
        self.students.append(self.weights(runner))

    def before_val_iter(self, runner: Runner, batch_idx, data_batch) -> None:
        self.tested = self.weights(runner)


@pytest.fixture
def taught(tmp_path: Path, write_coco: Callable) -> Callable[..., tuple[Config, Watch]]:
    """Trainer of a leaf with a teacher, on two images of noise for each list."""

    def train(name: str, leaf: str, **settings: Any) -> tuple[Config, Watch]:
        cfg = load(f'{leaf}_mini-city')
        dataset, tests = (
            cfg[f'{part}_dataloader'].dataset for part in ('train', 'val')
        )
        classes = dataset.source.metainfo.classes
        (tmp_path / 'annotations').mkdir(exist_ok=True)
        for file in {
            dataset.source.ann_file,
            dataset.target.images,
            tests.source.ann_file,
            tests.target.ann_file,
        }:
            if (tmp_path / file).exists():
                continue
            write_coco(
                file,
                [(f'{Path(file).stem}_{i}.png', (64, 96)) for i in range(2)],
                boxes=[(i, classes[i], (8, 8, 40, 30)) for i in range(2)],
                categories=classes,
            )
        for part in (dataset.source, dataset.target, tests.source, tests.target):
            part.data_root = str(tmp_path)
        tests.pipeline[1].scale = (96, 64)
        cfg.merge_from_dict(
            {
                # A detector that is sure of what it knows nothing about.
                'model.backbone.init_cfg': None,
                'model.roi_head.bbox_head.init_cfg': dict(
                    type='Normal', layer='Linear', std=0.3
                ),
                'model.roi_head.bbox_head.fc_out_channels': 16,
                **{
                    f'{part}_dataloader.{key}': value
                    for part in ('train', 'val')
                    for key, value in dict(
                        batch_size=1, num_workers=0, persistent_workers=False
                    ).items()
                },
                'train_cfg': dict(max_iters=4, val_interval=4),
                'optim_wrapper.optimizer': dict(lr=1e-4, fused=False),
                'default_hooks.checkpoint.interval': 2,
                'default_hooks.late_launch.launch': dict.fromkeys(
                    cfg.default_hooks.late_launch.launch, 1
                ),
                'work_dir': str(tmp_path / name),
                'experiment_name': f'{tmp_path}_{name}',
                'visualizer.name': f'{tmp_path}_{name}',
                'log_level': 'ERROR',
                **settings,
            }
        )
        cfg.param_scheduler = []
        runner = Runner.from_cfg(cfg)
        watch = Watch()
        runner.register_hook(watch)
        runner.train()
        return cfg, watch

    return train


#: Methods with a teacher, and what lets one that knows nothing teach, whatever
#: the images' noise.
METHODS = {
    'mtor': {},
    'ifan-teacher': {'model.alignments.teacher.score_thr': 0.0},
    'mic': {
        'model.alignments.teacher.score_thr': 0.0,
        'optim_wrapper.accumulative_counts': 2,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize('method', METHODS)
def test_a_run_with_a_teacher(taught, tmp_path, method):
    """The average is tested, saved and exported; a resumed run is the same.

    Iterations count, whether or not they take a step.
    """
    cfg, whole = taught('whole', method, **METHODS[method])
    average = whole.students[0]
    for student in whole.students[1:]:
        average = {key: p + 0.01 * (student[key] - p) for key, p in average.items()}
    moved = [
        key
        for key, p in average.items()
        if not torch.allclose(p, whole.students[-1][key], rtol=0, atol=1e-6)
    ]
    assert moved
    saved = torch.load(tmp_path / 'whole/iter_4.pth', weights_only=False)
    for key, p in average.items():
        torch.testing.assert_close(saved['state_dict'][key], p)
        torch.testing.assert_close(whole.tested[key], saved['state_dict'][key])
    # Not the student, of which the next step is made.
    for key, p in whole.students[-1].items():
        assert torch.equal(saved['ema_state_dict'][f'module.{key}'], p)

    logged = whole.logged[1:]
    if method == 'mtor':
        found, compared = 'mtor/regions_kept', ('mtor/loss_inter', 'mtor/loss_region')
        assert [values['mtor/threshold'] for values in logged] == pytest.approx(
            [0.8, 0.922302, 0.969889], abs=1e-6
        )
    else:
        found = 'teacher/pseudo_boxes'
        compared = ('teacher/loss_objectness', 'teacher/loss_category')
    assert not {found, *compared} & set(whole.logged[0])
    assert all(values[key] > 0 for values in logged for key in (found, *compared))

    export(cfg, str(tmp_path / 'whole/iter_4.pth'), tmp_path / 'out')
    plain = torch.load(tmp_path / 'out/weights.pth', weights_only=True)['state_dict']
    for key, p in plain.items():
        assert torch.equal(p, saved['state_dict'][key])

    _, rest = taught(
        'rest',
        method,
        resume=True,
        load_from=str(tmp_path / 'whole/iter_2.pth'),
        **METHODS[method],
    )
    assert rest.logged == whole.logged[2:]
    resumed = torch.load(tmp_path / 'rest/iter_4.pth', weights_only=False)
    for part in ('state_dict', 'ema_state_dict'):
        assert list(resumed[part]) == list(saved[part])
        for key, value in saved[part].items():
            assert torch.equal(resumed[part][key], value), key


@pytest.mark.parametrize(
    'file, sentence',
    [
        ('none.pth', 'FrozenTeacherHook names .*none.pth, which does not exist'),
        ('source-only.pth', 'source-only.pth does not fit the config'),
    ],
)
def test_a_run_with_a_frozen_teacher_of_another_build(
    taught, source_detector, tmp_path, file, sentence
):
    """Refused before the first iteration."""
    path = Path(source_detector[0]).with_name(file)
    hook = dict(_delete_=True, type='FrozenTeacherHook', checkpoint=str(path))
    with pytest.raises((DataError, FileNotFoundError), match=sentence):
        taught('foreign', 'mtor', **{'default_hooks.teacher': hook})


@pytest.mark.parametrize(
    ('method', 'term', 'view'),
    [
        ('mtor', 'mtor', 'target_teacher'),
        ('teacher', 'teacher', 'target_teacher'),
        ('teacher-hard', 'teacher', 'target_student'),
    ],
)
def test_a_run_without_a_view(taught, method, term, view):
    """Refused before the first iteration."""
    target = load(f'{method}_mini-city').train_dataloader.dataset.target
    views = target.pipeline[-1]
    views.branch_field.remove(view)
    views.pop(view)
    with pytest.raises(ValueError, match=f'alignment {term} needs the view {view}'):
        taught(
            'blind',
            method,
            **{'train_dataloader.dataset.target.pipeline': target.pipeline},
        )


def test_a_run_whose_student_sees_what_its_teacher_sees(taught, tmp_path):
    target = load('mtor_mini-city').train_dataloader.dataset.target
    for view in target.pipeline[-1].branch_field:
        target.pipeline[-1][view] = [dict(type='PackDetInputs')]
    alike = {'train_dataloader.dataset.target.pipeline': target.pipeline}
    taught('alike', 'mtor', log_level='WARNING', **alike)
    (log,) = (tmp_path / 'alike').glob('*/*.log')
    sentence = 'alignment mtor compares the views target_teacher and target, which'
    assert log.read_text().count(sentence) == 1


def test_a_run_without_a_hook(taught):
    hooks = {'default_hooks.teacher': dict(_delete_=True, type='EMAHook')}
    with pytest.raises(ValueError, match='alignment teacher needs a teacher, but no'):
        taught('untaught', 'teacher', **hooks)
