"""A config whose parts do not fit fails before training, with a sentence."""

from unittest.mock import Mock

import pytest
import torch
from mmdet.registry import HOOKS, MODELS
from mmengine.config import Config

from mmdet_ifan.engine.checks.fit import check_fit
from mmdet_ifan.utils.named_configs import config_path

CHANNELS = 'to have 64 channels, but got 112 channels'
SHAPES = 'shapes cannot be multiplied'
WEIGHT = 'must be a finite number >= 0'
LIES = {
    'ifan': [
        (
            'alignments.instance.type',
            'CategoryHead',
            'alignments.instance cannot be built: CategoryHead is not in',
        ),
        (
            'alignments.instance.type',
            'StandardRoIHead',
            'alignments.instance cannot be built',
        ),
        (
            'alignments.instance.loss_wieght',
            1.0,
            "unexpected keyword argument 'loss_wieght'",
        ),
        (
            'alignments.image',
            dict(type='GlobalDomainHead', in_channels=112),
            'image belongs to the alignment in the neck',
        ),
        ('neck.taps', [0, 0], 'each at most once'),
        ('neck.taps', [4], 'each at most once'),
        ('neck.taps', [-1], 'each at most once'),
        ('neck.taps', 2, r'a list, such as \(2, \), but got 2'),
        ('backbone.taps', ('blocks.3', 'blocks.4'), 'the backbone gives 2'),
        (
            'backbone.taps',
            ('blocks.1', 'blocks.2', 'blocks.4', 'blocks.3'),
            'has the taps bn1, blocks.0',
        ),
        ('backbone.model', 'lite0', 'has no model'),
        (
            'backbone.model',
            'tf_efficientnet_lite4',
            r'backbone gives \(32, 56, 112, 160\)',
        ),
        ('backbone.frozen_stages', 9, 'from -1 to 5, but got 9'),
        ('neck.in_channels', (24, 40, 80, 80), 'the backbone gives'),
        ('rpn_head.in_channels', 64, f'model.rpn_head .*{CHANNELS}'),
        (
            'rpn_head.anchor_generator.strides',
            [8],
            r'strides is \[8\], but the feature maps have the strides \[16\]',
        ),
        (
            'roi_head.bbox_roi_extractor.featmap_strides',
            [8],
            r'strides is \[8\], but the feature maps have the strides \[16\]',
        ),
        ('roi_head.bbox_head.in_channels', 64, f'model.roi_head .*{SHAPES}'),
        ('roi_head.bbox_head.roi_feat_size', 7, f'model.roi_head .*{SHAPES}'),
        (
            'alignments.correlation.featmap_strides',
            (4, 8, 16, 32),
            r'have the strides \[4, 8, 16, 16\]',
        ),
        (
            'alignments.correlation.featmap_strides',
            (4, 8, 16),
            'a stride for each of the 4 taps',
        ),
        (
            'alignments.correlation.in_channels',
            (24, 40, 80, 64),
            f'alignments.correlation .*{CHANNELS}',
        ),
        ('alignments.correlation.margin', 0, 'margin must be positive'),
        ('alignments.instance.in_channels', 64, f'alignments.instance .*{CHANNELS}'),
        (
            'alignments.instance.num_classes',
            3,
            'num_classes=3, but the box head scores 8',
        ),
        ('neck.tap_weights', [1.0], 'one weight for each of the 4'),
        ('neck.tap_weights', [1.0, 1.0, -1.0, 1.0], f'tap 2 .*{WEIGHT}'),
        ('neck.loss_weight', -1, WEIGHT),
        ('neck.loss_weight', float('nan'), WEIGHT),
        ('neck.loss_weight', '0.1', WEIGHT),
        ('alignments.instance.loss_weight', 0, 'whose loss_weight is 0'),
        ('alignments.instance.grl_weight', -1, f'grl_weight {WEIGHT}'),
        ('alignments.instance.grl_weight', float('inf'), WEIGHT),
        ('launch.agnostic', 0, 'launches agnostic, but the model has'),
        ('launch.instance', 2000, 'run has only 1000 iterations'),
        ('launch.instance', -1, 'iteration >= 0, but got -1'),
        ('launch.instance', 4e2, 'iteration >= 0, but got 400.0'),
        ('launch.instance', (10, 20), 'or one iteration'),
        ('launch', ['image'], 'launch must give each alignment'),
        ('when', 'stable', "'iteration' or 'plateau'"),
    ],
    'da-faster': [
        ('alignments.da_faster.in_channels', 64, f'da_faster .*{CHANNELS}'),
        (
            'alignments.da_faster.instance_channels',
            64,
            f'alignments.da_faster .*{SHAPES}',
        ),
    ],
    'adda': [('alignments.adda.in_channels', 64, f'alignments.adda .*{SHAPES}')],
    'few-shot': [
        ('alignments.split_pooling.in_channels', 64, f'split_pooling .*{SHAPES}'),
        (
            'alignments.split_pooling.featmap_strides',
            (4, 8, 16, 32),
            r'have the strides \[4, 8, 16, 16\]',
        ),
        ('alignments.semantic_pairs.in_channels', 64, f'semantic_pairs .*{SHAPES}'),
        ('alignments.semantic_pairs.num_classes', 3, 'scores 8'),
    ],
    'select-align': [
        (
            'alignments.select_align.in_channels',
            1024,
            'alignments.select_align does not fit',
        ),
        ('alignments.select_align.in_channels', 250, 'vectors have 250 numbers'),
        (
            'alignments.select_align.proposals_per_region',
            48,
            '2 regions of 48 proposals do not fit into the 64 that',
        ),
        (
            'alignments.select_align.patch_size',
            100,
            'patch_size must be 16, .* power of 2, but is 100',
        ),
    ],
    'mtor': [
        (
            'alignments.mtor.loss_wieght',
            1.0,
            "alignments.mtor cannot be built: .*argument 'loss_wieght'",
        ),
        ('alignments.mtor.threshold', 1.0, 'alignments.mtor .* got 1.0'),
        ('alignments.mtor.num_regions', 0, 'num_regions must be >= 1, but is 0'),
        ('alignments.mtor.inter_weight', -0.1, f'inter_weight of .* {WEIGHT}'),
    ],
    'teacher': [
        ('alignments.teacher.score_thr', 1.0, 'alignments.teacher .* got 1.0'),
        ('alignments.teacher.temperature', 0, 'temperature must be > 0, but is 0'),
        ('alignments.teacher.box_weight', -1, f'box_weight of .* {WEIGHT}'),
        (
            'alignments.teacher',
            dict(
                type='TeacherDistillation',
                objectness_weight=0,
                rpn_box_weight=0,
                category_weight=0,
                box_weight=0,
            ),
            'All weights of TeacherDistillation are 0',
        ),
    ],
    'teacher-hard': [
        (
            'alignments.teacher.temperature',
            1.0,
            "alignments.teacher cannot be built: .*argument 'temperature'"
            '. PseudoLabelHead takes box_losses, .* with _delete_=True beside type',
        )
    ],
    'strong-weak': [
        (
            'neck.type',
            'HierarchicalDomainNeck',
            'needs the context of a StrongWeakNeck',
        ),
        ('neck.local_tap', 9, 'each at most once'),
        ('roi_head.type', 'StandardRoIHead', "model.roi_head .*'context'"),
        ('roi_head.bbox_head.context_channels', 128, f'model.roi_head .*{SHAPES}'),
    ],
    'ablations/auto': [
        ('launch.instance', (900, 100), 'give the earlier first'),
        ('launch.correlation', (600, 9999), 'run has only 1000'),
        ('window', 0, 'window >= 1'),
        ('tolerance', -1, 'tolerance > 0'),
    ],
}


def load(name: str, key: str = '', value: object = None) -> Config:
    """Read a config and make it lie."""
    cfg = Config.fromfile(config_path(f'{name}_mini-city.py'))
    if key:
        of_hook = key.split('.')[0] in ('launch', 'when', 'window', 'tolerance')
        place = 'default_hooks.late_launch' if of_hook else 'model'
        cfg.merge_from_dict({f'{place}.{key}': value})
    return cfg


def check(cfg: Config) -> None:
    """Do what comes before training."""
    runner = Mock(
        model=MODELS.build(cfg.model),
        hooks=[],
        iter=0,
        max_iters=cfg.train_cfg.max_iters,
    )
    check_fit(runner.model)
    HOOKS.build(cfg.default_hooks.late_launch).before_train(runner)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'key', 'value', 'sentence'),
    [(name, *lie) for name, lies in LIES.items() for lie in lies],
)
def test_a_lie_is_told(name, key, value, sentence):
    with pytest.raises((KeyError, TypeError, ValueError), match=sentence):
        check(load(name, key, value))


@pytest.mark.parametrize('name', LIES)
def test_an_honest_config_passes(name):
    check(load(name))


def test_trying_changes_nothing():
    model = MODELS.build(load('strong-weak').model).train()
    model.neck.eval()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    numbers = torch.get_rng_state()
    check_fit(model)
    assert torch.equal(torch.get_rng_state(), numbers)
    assert [module.training for module in model.modules()] == modes
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key]), key
    assert all(p.grad is None for p in model.parameters())
