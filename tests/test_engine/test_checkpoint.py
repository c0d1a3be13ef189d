"""A checkpoint that says what it is, and a config that says otherwise."""

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModule
from mmengine.runner import Runner
from torch import nn

from mmdet_ifan.engine.checks.checkpoint import (
    check_for_resume,
    check_for_start,
    check_for_test,
    classes_in,
    classes_of,
    differing_settings,
)
from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes
from mmdet_ifan.utils.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ('cat', 'dog', 'bird')
#: How a detector may use a checkpoint.
USES = dict(test=check_for_test, resume=check_for_resume, start=check_for_start)


@pytest.fixture
def model(tiny_cfg: ConfigDict) -> nn.Module:
    """A detector of three classes."""
    return MODELS.build(tiny_cfg)


@pytest.fixture
def loaded(model: nn.Module, tiny_cfg: ConfigDict) -> dict:
    """A checkpoint of it, as a run leaves one."""
    return dict(
        meta=dict(
            iter=6,
            epoch=0,
            dataset_meta=dict(classes=CLASSES),
            cfg=Config(dict(model=tiny_cfg)).pretty_text,
        ),
        message_hub={},
        optimizer={},
        param_schedulers=[],
        state_dict=model.state_dict(),
    )


# --- The same ----------------------------------------------------------------


@pytest.mark.parametrize('use', USES)
def test_nothing_is_said_of_what_agrees(use, model, loaded, tiny_cfg):
    assert USES[use](model, loaded, 'a.pth', CLASSES, tiny_cfg.to_dict()) == []
    assert USES[use](model, loaded, 'a.pth') == []


# --- Classes -----------------------------------------------------------------


@pytest.mark.parametrize('use', USES)
@pytest.mark.parametrize('classes', [('dog', 'cat', 'bird'), ('bird', 'cat', 'dog')])
def test_another_order_is_refused(use, model, loaded, classes):
    with pytest.raises(
        DataError,
        match=(
            'a.pth was trained with the classes cat, dog, bird, but the '
            f'config has them in another order: {", ".join(classes)}. .*give '
            r"metainfo\['classes'\] the checkpoint's order"
        ),
    ):
        USES[use](model, loaded, 'a.pth', classes)


@pytest.mark.parametrize('use', ['test', 'resume'])
@pytest.mark.parametrize(
    ('classes', 'words'),
    [
        (('cat', 'dog', 'fish'), r'config \(3\) cat, dog, fish:'),
        (('cat', 'dog', 'Bird'), r'config \(3\) cat, dog, Bird:'),
        (('cat', 'dog'), r'config \(2\) cat, dog:'),
        (('cat', 'dog', 'bird', 'fish'), r'config \(4\) cat'),
        (('cat', 'cat', 'bird'), r'config \(3\) cat'),
    ],
)
def test_other_classes_are_refused(use, model, loaded, classes, words):
    with pytest.raises(
        DataError,
        match=(rf'The classes of a.pth \(3\) are cat, dog, bird, but .*{words}'),
    ):
        USES[use](model, loaded, 'a.pth', classes)


def test_starting_with_as_many_others_is_said(model, loaded):
    """Fine-tuning to new classes is meant, but not always."""
    (sentence,) = check_for_start(model, loaded, 'a.pth', ('cat', 'bird', 'cow'))
    assert 'a.pth was trained with as many, but other classes' in sentence
    assert 'bird gets those of dog, cow gets those of bird. Tr' in sentence


def test_starting_with_more_classes_is_said(model, loaded, tiny_cfg):
    tiny_cfg.roi_head.bbox_head.num_classes = 4
    tiny_cfg.alignments.instance.num_classes = 4
    (sentence,) = check_for_start(
        MODELS.build(tiny_cfg), loaded, 'a.pth', (*CLASSES, 'cow'), tiny_cfg.to_dict()
    )
    assert sentence.startswith(
        'alignments.instance, roi_head.bbox_head.fc_cls, '
        'roi_head.bbox_head.fc_reg are of another shape in a.pth (it was '
        'trained with 3 classes, the config has 4): they train from scratch.'
    )


@pytest.mark.parametrize(
    'meta',
    [
        None,
        {},
        dict(dataset_meta=None),
        dict(dataset_meta=dict(palette=[])),
        dict(dataset_meta=dict(classes='cat')),
    ],
)
def test_a_checkpoint_that_names_no_classes(model, loaded, meta):
    """Stripped of them; testing says so, and starting has no need of them."""
    loaded['meta'] = meta
    assert classes_in(loaded) is None
    (sentence,) = check_for_test(model, loaded, 'a.pth', CLASSES)
    assert sentence == (
        'a.pth does not name its classes: they are taken to '
        'be cat, dog, bird, in this order.'
    )
    assert check_for_start(model, loaded, 'a.pth', CLASSES) == []


@pytest.mark.parametrize(
    'meta', [dict(CLASSES=CLASSES), dict(dataset_meta=dict(CLASSES=CLASSES))]
)
def test_names_of_earlier_versions(model, loaded, meta):
    loaded['meta'] = meta
    assert check_for_test(model, loaded, 'a.pth', CLASSES) == []
    with pytest.raises(DataError, match='in another order'):
        check_for_test(model, loaded, 'a.pth', CLASSES[::-1])


def test_classes_of_a_config(tmp_path):
    cfg = Config.fromfile(ROOT / 'configs/ifan/ifan_mini-city.py')
    assert classes_of(cfg)[:3] == ('person', 'rider', 'car')
    cfg.test_dataloader = None
    assert classes_of(cfg) is None


# --- Weights -----------------------------------------------------------------


class Extra(BaseModule):
    """A head that only this detector has."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


def without(loaded: dict, *prefixes: str) -> dict:
    """Take weights out of a checkpoint."""
    state = {
        key: value
        for key, value in loaded['state_dict'].items()
        if not key.startswith(prefixes)
    }
    assert len(state) < len(loaded['state_dict'])
    return dict(loaded, state_dict=state)


def test_a_head_that_the_checkpoint_lacks(model, loaded):
    """It would be random in testing, whatever its name."""
    model.mask_head = Extra()
    with pytest.raises(
        DataError, match=('a.pth does not fit the config: 2 weights .* mask_head.layer')
    ):
        check_for_test(model, loaded, 'a.pth')
    with pytest.raises(DataError, match='2 weights .* in mask_head.layer'):
        check_for_resume(model, loaded, 'a.pth')
    assert check_for_start(model, loaded, 'a.pth') == [
        'a.pth lacks mask_head.layer: they train from scratch.'
    ]


def test_alignments_that_the_checkpoint_lacks(model, loaded):
    loaded = without(loaded, 'alignments.correlation.', 'neck.')
    assert check_for_test(model, loaded, 'a.pth') == [
        'a.pth lacks alignments.correlation, neck, which testing does not use.'
    ]
    assert check_for_start(model, loaded, 'a.pth') == [
        'a.pth lacks alignments.correlation, neck: they train from scratch.'
    ]
    with pytest.raises(
        DataError,
        match=(
            'cannot be resumed with this config: .* in alignments.correlation'
            ', neck. .* load_from without --resume'
        ),
    ):
        check_for_resume(model, loaded, 'a.pth')


def test_alignments_that_the_config_lacks(model, loaded, tiny_cfg):
    del tiny_cfg.alignments['instance']
    model = MODELS.build(tiny_cfg)
    text = 'a.pth also has alignments.instance, which the config lacks'
    (sentence,) = check_for_test(model, loaded, 'a.pth')
    assert sentence == f'{text} and testing does not use: left out.'
    (sentence,) = check_for_start(model, loaded, 'a.pth')
    assert sentence == f'{text}: left out.'
    with pytest.raises(DataError, match='in alignments.instance'):
        check_for_resume(model, loaded, 'a.pth')


def test_a_neck_that_testing_uses():
    """Strong-Weak's RoI head looks at the context that its neck computes."""
    cfg = Config.fromfile(ROOT / 'configs/strong-weak/strong-weak_mini-city.py')
    model = MODELS.build(cfg.model)
    loaded = dict(state_dict=model.state_dict())
    assert check_for_test(model, loaded, 'a.pth') == []
    with pytest.raises(DataError, match='first of them neck.global_trunk'):
        check_for_test(model, without(loaded, 'neck.global_trunk'), 'a.pth')


def test_alignments_in_the_neck_of_the_checkpoint(model, loaded):
    """Testing has no use for them, whatever the neck is."""

    class Hand(nn.Module):
        def forward(self, taps):
            return taps[-1:]

    model.neck = Hand()
    (sentence,) = check_for_test(model, loaded, 'a.pth')
    assert 'a.pth also has neck, which the config lacks' in sentence
    # One with weights computes something.
    model.neck = nn.Conv2d(2, 2, 1)
    with pytest.raises(DataError, match='first of them neck.bias'):
        check_for_test(model, loaded, 'a.pth')


def test_none_of_the_weights_fits(model, loaded):
    """Training would start from nothing, without a word."""
    loaded['state_dict'] = {
        f'student.{key}': value for key, value in loaded['state_dict'].items()
    }
    with pytest.raises(DataError, match=r'None of the \d+ weights of load_fr'):
        check_for_start(model, loaded, 'a.pth')


# --- Settings ----------------------------------------------------------------


@pytest.mark.parametrize('use', USES)
@pytest.mark.parametrize(
    ('key', 'value', 'words'),
    [
        ('backbone.dilations', (1, 1, 1, 1), 'backbone.dilations.3 2 there and 1'),
        ('backbone.style', 'caffe', 'backbone.style None there and caffe here'),
        (
            'rpn_head.anchor_generator.scales',
            [1, 4],
            'rpn_head.anchor_generator.scales.1 2 there and 4 here',
        ),
        (
            'roi_head.bbox_head.bbox_coder.target_stds',
            [1.0, 0.1, 0.2, 0.2],
            'bbox_coder.target_stds.0 0.1 there and 1.0 here',
        ),
        (
            'data_preprocessor.data_preprocessor.bgr_to_rgb',
            False,
            'data_preprocessor.bgr_to_rgb True there and False here',
        ),
    ],
)
def test_weights_that_would_compute_something_else(
    use, model, loaded, tiny_cfg, key, value, words
):
    """Their shapes are the same."""
    cfg = Config(dict(model=tiny_cfg))
    cfg.merge_from_dict({f'model.{key}': value})
    (sentence,) = USES[use](
        MODELS.build(cfg.model), loaded, 'a.pth', CLASSES, cfg.model.to_dict()
    )
    assert 'The config in a.pth describes another detector' in sentence
    assert words in sentence


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('backbone.frozen_stages', 2),
        ('backbone.norm_eval', True),
        ('backbone.init_cfg', dict(type='Pretrained', checkpoint='a.pth')),
        ('roi_head.bbox_head.loss_cls.loss_weight', 2.0),
        ('test_cfg.rcnn.score_thr', 0.3),
        ('train_cfg.rcnn.sampler.num', 8),
        ('alignments.instance.loss_weight', 2.0),
    ],
)
def test_settings_of_training_and_testing_may_differ(loaded, tiny_cfg, key, value):
    cfg = Config(dict(model=tiny_cfg))
    cfg.merge_from_dict({f'model.{key}': value})
    assert differing_settings(loaded, 'a.pth', cfg.model.to_dict()) == []


@pytest.mark.parametrize(
    'text',
    [
        None,
        3,
        'no config',
        'model = 3',
        'model = print(1)',
        'other = 1',
        'model = ' + '[' * 5000,
    ],
)
def test_a_config_that_is_none(loaded, tiny_cfg, text):
    loaded['meta']['cfg'] = text
    assert differing_settings(loaded, 'a.pth', tiny_cfg.to_dict()) == []


# --- What resuming needs -----------------------------------------------------


def test_resuming_weights_alone(model, loaded):
    with pytest.raises(DataError, match='no state of a run .* load_from'):
        check_for_resume(model, dict(state_dict=loaded['state_dict']), 'a')


def test_resuming_averaged_weights_without_averaging(model, loaded):
    loaded['ema_state_dict'] = {}
    assert check_for_resume(model, loaded, 'a.pth', averages=True) == []
    with pytest.raises(DataError, match='run that averages its weights'):
        check_for_resume(model, loaded, 'a.pth')


def test_resuming_without_an_optimizer(model, loaded):
    del loaded['optimizer']
    (sentence,) = check_for_resume(model, loaded, 'a.pth')
    assert 'a.pth has no state of an optimizer: the optimizer' in sentence


# --- Through the runner ------------------------------------------------------


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few scenes."""
    root = tmp_path_factory.mktemp('agreement') / 'mini_city'
    write_mini_city(root, MiniCity(train=2, val=1), 1)
    prepare_cityscapes(root, Options(workers=1))
    return root


@pytest.fixture
def run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Trains or tests; gives what is warned of."""
    monkeypatch.setattr(Runner, '_log_env', lambda self, env_cfg: None)

    def run(
        what: str,
        checkpoint: str | None = None,
        resume: bool = False,
        order: int = 1,
        **options,
    ) -> str:
        cfg = Config.fromfile(ROOT / 'configs/ifan/ifan_mini-city.py')
        classes = list(cfg.test_dataloader.dataset.target.metainfo.classes)[::order]
        cfg.merge_from_dict(
            {
                'load_from': checkpoint,
                'resume': resume,
                'work_dir': str(tmp_path / 'work'),
                'experiment_name': uuid4().hex,
                'train_cfg.max_iters': 2,
                'default_hooks.checkpoint.interval': 1,
                'param_scheduler': [],
                **{
                    f'{loader}_dataloader.{key}': value
                    for loader in ('train', 'val', 'test')
                    for key, value in dict(
                        batch_size=1, num_workers=0, persistent_workers=False
                    ).items()
                },
                **{
                    f'{loader}_dataloader.dataset.{domain}.{key}': value
                    for loader in ('train', 'val', 'test')
                    for domain in ('source', 'target')
                    for key, value in (
                        ('data_root', str(data)),
                        ('metainfo.classes', classes),
                    )
                },
                **options,
            }
        )
        cfg.default_hooks.late_launch.launch = dict(image=0)
        runner = Runner.from_cfg(cfg)
        texts: list[str] = []
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: texts.append(record.getMessage())
        runner.logger.addHandler(handler)
        getattr(runner, what)()
        return '\n'.join(texts)

    return run


@pytest.fixture
def checkpoint(run: Callable, tmp_path: Path) -> str:
    """One of a run of an iteration."""
    run('train', **{'train_cfg.max_iters': 1})
    return str(tmp_path / 'work/iter_1.pth')


@pytest.mark.slow
def test_a_run_refuses_its_checkpoint_of_another_order(run, checkpoint):
    """Whichever way the runner takes it."""
    assert 'classes' not in run('test', checkpoint)
    for what, resume in (
        ('test', False),
        ('val', False),
        ('train', False),
        ('train', True),
    ):
        with pytest.raises(DataError, match='iter_1.pth .* another order'):
            run(what, checkpoint, resume, order=-1)


@pytest.mark.slow
def test_a_run_says_what_starts_anew(run, checkpoint):
    content = torch.load(checkpoint, weights_only=False)
    other = copy.deepcopy(content)
    other['meta']['dataset_meta'] = dict(classes=tuple('abcdefgh'))
    for key in [*other['state_dict']]:
        if key.startswith('alignments.correlation'):
            del other['state_dict'][key]
    torch.save(other, checkpoint)
    with pytest.raises(DataError, match=r'iter_1.pth \(8\) are a, b, c'):
        run('train', checkpoint, resume=True)
    said = run('train', checkpoint)
    assert 'with as many, but other classes' in said
    assert 'iter_1.pth lacks alignments.correlation: they train from' in said


@pytest.mark.slow
def test_a_resumed_run_follows_its_config(run, checkpoint):
    said = run(
        'train', checkpoint, True, **{'optim_wrapper.optimizer.weight_decay': 0.5}
    )
    assert 'weight_decay 0.05 -> 0.5' in said
