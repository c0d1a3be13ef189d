"""The configs: what they build and what they differ in.

What each of them says is held by ``test_recipe.py``.
"""

import copy
import json
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from leaves import (
    DIVERSE,
    FILES,
    FOLDER,
    FOLDERS,
    GROUPS,
    LEAVES,
    flat,
    launch_of,
    load,
    read,
)
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from mmdet_ifan.engine import LateLaunchHook
from mmdet_ifan.models import IFANDetector

#: iFAN with everything else as it is, what it is compared with, and parts.
#: Other levels of fog are other data for the same detector.
METHOD = [
    name
    for name in LEAVES
    if GROUPS[name] == 'ifan' and not name.startswith('ifan_vgg16_city2foggy-')
]
#: Trunks of the second pair that no step is taken with: their detectors differ from
#: the first pair's in what VGG-16's do.
OTHERS = [
    name
    for name in METHOD
    if name.endswith('_sim10k2city') and not name.startswith('ifan_vgg16')
]
BASELINES = [
    name
    for name in LEAVES
    if GROUPS[name]
    in ('adda', 'da-faster', 'dt-ft', 'few-shot', 'mtor', 'select-align', 'strong-weak')
]
#: What the recipe of teachers names.
OF_TEACHERS = ('averaging', 'altered', 'strong_colours', 'strong_views', 'large')
OF_TEACHERS += ('small', 'taught_views')
# And at the paper's size.
OF_TEACHERS += ('image', 'placed', 'packed', 'drawn', 'strong_source', 'masked_views')
OF_TEACHERS += ('strong_data', 'taught_data', 'masked_data')
OF_TEACHERS += ('teacher_alone', 'img_teacher', 'ifan_teacher')
# And on Mini City.
OF_TEACHERS += ('length', 'rates', 'boxes_as_labels', 'mild_views', 'ifan_strong')
OF_TEACHERS += ('img_strong',)
ABLATIONS = [name for name in LEAVES if GROUPS[name] == 'ablations']
#: The settings that have source-only and oracle.
SETTINGS = [name.partition('_')[2] for name in LEAVES if GROUPS[name] == 'oracle']
MAIN = [
    f'{method}_{setting}'
    for setting in SETTINGS
    for method in ('ifan', 'source-only', 'oracle')
]


def read_file(path: Path) -> Config:
    """Read a config, be it a base; those that are trained once."""
    return read(path.stem) if path.stem in FOLDERS else Config.fromfile(FOLDER / path)


def differences(a: Config, b: Config) -> set[str]:
    """Name what differs between two configs, as far as anything reads it."""
    a, b = (flat(cfg.to_dict()) for cfg in (a, b))
    missing = object()
    return {
        key
        for key in a.keys() | b.keys()
        if a.get(key, missing) != b.get(key, missing)
        # What a leaf has taken its settings from.
        and key.partition('.')[0]
        not in (
            'method',
            'launches',
            'slight',
            'colours',
            'views',
            'translated',
            *OF_TEACHERS,
        )
    }


def build(cfg: Config) -> IFANDetector:
    """Build a leaf's detector without downloads, wide layers and many RoIs."""
    cfg.merge_from_dict(
        {
            'model.backbone.init_cfg': None,
            'model.rpn_head.feat_channels': 16,
            'model.roi_head.bbox_head.fc_out_channels': 16,
            'model.train_cfg.rcnn.sampler.num': 32,
            'model.train_cfg.rpn_proposal.max_per_img': 32,
            'model.test_cfg.rpn.max_per_img': 32,
        }
    )
    cfg.model.roi_head.bbox_head.pop('init_cfg', None)
    return MODELS.build(cfg.model)


# Loading and comparing


@pytest.mark.parametrize(
    ('recipe', 'pair'),
    [
        ('teacher', 'ifan_vgg16_pair'),
        ('teacher_70k', 'ifan_vgg16_pair'),
        ('teacher_mini', 'ifan_mini_pair'),
    ],
)
def test_what_recipes_say_of_ones_own_pair(recipe, pair, tmp_path, monkeypatch):
    lines = (FOLDER / f'_base_/recipes/{recipe}.py').read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith('#     _base_ ='))
    example = takewhile(lambda line: line.startswith('#     '), lines[start:])
    text = '\n'.join(line.removeprefix('#     ') for line in example)
    monkeypatch.chdir(tmp_path)
    Path('my_pair.py').write_text(f"_base_ = 'mmdet_ifan::_base_/{pair}.py'\n")
    Path('own.py').write_text(text.replace('ANY_CONFIG', './my_pair'))
    cfg = Config.fromfile('own.py')
    assert {'instance', 'correlation', 'teacher'} == set(cfg.model.alignments)
    assert cfg.default_hooks.teacher.type == 'TeacherHook'
    assert launch_of(cfg)['teacher'] > 0
    views = cfg.train_dataloader.dataset.target.pipeline[-1]
    assert views.type == 'MultiBranch' and 'target_student' in views.branch_field


def test_there_are_leaves_of_each_kind():
    assert len(SETTINGS) >= 5
    assert set(GROUPS.values()) >= {
        'ablations',
        'adda',
        'da-faster',
        'dt-ft',
        'few-shot',
        'ifan',
        'mtor',
        'oracle',
        'select-align',
        'source-only',
        'strong-weak',
        'teacher',
    }
    assert all(
        name.startswith(f'{group}_')
        for name, group in GROUPS.items()
        if group not in ('ablations', 'teacher', 'template')
    )


@pytest.mark.parametrize('path', FILES, ids=str)
def test_loads(path):
    cfg = read_file(path)
    assert len(cfg) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    'path',
    [
        path
        for path in FILES
        if 'schedules' in str(path)
        or path.stem.endswith('_pair')
        and 'datasets' not in str(path)
        or path.stem in DIVERSE
    ],
    ids=str,
)
def test_hooks_of_ones_own_leave_the_launches(tmp_path, path):
    """A list in a child config replaces that of its base."""
    (tmp_path / 'own.py').write_text(
        f'_base_ = {str(FOLDER / path)!r}\n'
        "custom_hooks = [dict(type='EMAHook')]\n"
        "default_hooks = dict(mine=dict(type='EmptyCacheHook'))\n"
    )
    launch = Config.fromfile(tmp_path / 'own.py').default_hooks.late_launch
    assert launch.type == 'LateLaunchHook'
    plain = read_file(path)
    assert launch == plain.default_hooks.late_launch


@pytest.mark.parametrize('name', MAIN[::3])
def test_source_only_differs_in_the_launch_alone(name):
    method = load(name)
    source_only = load(name.replace('ifan_', 'source-only_'))
    assert all(
        key.startswith('default_hooks.late_launch.launch')
        for key in differences(method, source_only)
    )
    assert launch_of(source_only) == {}
    assert launch_of(method)
    launch_of(method).clear()
    assert method.default_hooks == source_only.default_hooks


@pytest.mark.parametrize('name', MAIN[::3])
def test_oracle_differs_in_the_labelled_images_alone(name):
    source_only, oracle = (
        read(name.replace('ifan', kind)) for kind in ('source-only', 'oracle')
    )
    differing = differences(source_only, oracle)
    assert differing
    prefix = 'train_dataloader.dataset.source.'
    assert all(key.startswith(prefix) for key in differing)
    assert {key.removeprefix(prefix) for key in differing} <= {'ann_file', 'data_root'}
    # The labels of the very images that the method sees without.
    target = oracle.train_dataloader.dataset.target
    source = oracle.train_dataloader.dataset.source
    assert (source.data_root, source.ann_file) == (target.data_root, target.images)


@pytest.mark.parametrize('name', MAIN)
def test_all_leaves_of_a_setting_share_the_model_and_the_test(name):
    method, cfg = read('ifan_' + name.split('_', 1)[1]), read(name)
    for block in ('model', 'val_dataloader', 'val_evaluator'):
        assert cfg[block] == method[block]
    assert cfg.test_dataloader == cfg.val_dataloader
    assert cfg.test_evaluator == cfg.val_evaluator


def setting_of(name: str) -> str:
    """Give the backbone and the pair in a leaf's name."""
    return name.split('_', 1)[1]


@pytest.mark.parametrize('name', BASELINES + ABLATIONS)
def test_comparisons_differ_in_the_alignments_alone(name):
    method, other = read(f'ifan_{setting_of(name)}'), read(name)
    allowed = ('default_hooks.late_launch.', 'model.neck', 'model.alignments')
    if name.startswith('strong-weak'):
        # It changes the detector.
        allowed += (
            'model.roi_head.type',
            'model.roi_head.bbox_head.type',
            'model.roi_head.bbox_head.context_channels',
        )
    if name == 'adda_mini-city':
        # Its classifier is as fast as the detector.
        allowed += ('optim_wrapper.paramwise_cfg.custom_keys.alignments.lr_mult',)
    if name.startswith('mtor'):
        # A teacher, which sees the target in other colours.
        allowed += ('default_hooks.teacher.', 'train_dataloader.dataset.target.pipe')
        if 'mini' not in name:
            # It fine-tunes.
            allowed += (
                'load_from',
                'train_cfg.max_iters',
                'optim_wrapper.optimizer.lr',
                'param_scheduler',
            )
    if name.startswith('dt-ft'):
        # Its images are painted, its boxes those of the originals.
        allowed += tuple(
            f'train_dataloader.dataset.source.{key}' for key in ('type', 'data_prefix')
        )
    if name.startswith('few-shot_vgg16'):
        # It pairs images: two a step, and half as many steps.
        allowed += (
            'train_dataloader.batch_size',
            'train_cfg.max_iters',
            'param_scheduler',
            'auto_scale_lr.base_batch_size',
        )
    differing = differences(method, other)
    assert any(key.startswith(allowed[0]) for key in differing)
    assert all(key.startswith(allowed) for key in differing)
    assert 'default_hooks.late_launch.type' not in differing


@pytest.mark.parametrize('name', [name for name in LEAVES if GROUPS[name] == 'teacher'])
def test_rows_of_teachers_differ_in_views_average_and_terms_alone(name):
    row, setting = name.split('_', 1)
    plain = {'mic': 'da-faster', 'oracle-strong': 'oracle'}.get(row, 'ifan')
    terms = 'model.alignments.teacher'
    if f'{plain}_{setting}' not in LEAVES:
        # There is no DA-Faster on a pyramid: MIC's terms stand in for iFAN's.
        plain, terms = 'ifan', 'model.alignments'
    differing = differences(read(name), read(f'{plain}_{setting}'))
    allowed = {
        'default_hooks.teacher.type',
        'default_hooks.teacher.momentum',
        'train_dataloader.dataset.source.pipeline',
        'train_dataloader.dataset.target.pipeline',
    }
    if setting == 'mini-city':
        # The same for all of them; see the facts of each.
        allowed |= {'train_cfg.max_iters', 'train_cfg.val_interval', 'param_scheduler'}
    assert allowed <= differing
    assert all(
        key.startswith(('default_hooks.late_launch.launch', terms))
        for key in differing - allowed
    )
    # Alignments compare like with like.
    source, target = (
        read(name).train_dataloader.dataset[domain].pipeline
        for domain in ('source', 'target')
    )
    drawn = target
    if not row.endswith('-strong'):
        drawn = [*target[:-1], *target[-1].target]
    assert drawn == [step for step in source if step.type != 'LoadAnnotations']


@pytest.mark.parametrize('name', METHOD[:1] + BASELINES[:1])
def test_the_strong_recipe_goes_on_top_of_any_config(tmp_path, name):
    (tmp_path / 'strong.py').write_text(f"""
_base_ = ['mmdet_ifan::{name}.py', 'mmdet_ifan::_base_/recipes/strong.py']
default_hooks = {{{{_base_.strong_hooks}}}}
train_dataloader = {{{{_base_.strong_dataloader}}}}
""")
    plain, strong = read(name), Config.fromfile(tmp_path / 'strong.py')
    assert differences(plain, strong) == {
        'strong_hooks.ema.type',
        'strong_hooks.ema.momentum',
        'strong_dataloader.dataset.augmentation',
        'default_hooks.ema.type',
        'default_hooks.ema.momentum',
        'train_dataloader.dataset.augmentation',
    }
    # A moving average over some 1 / 0.005 = 200 steps.
    assert strong.default_hooks.ema == dict(type='EMAHook', momentum=0.005)
    # Colours alone: a box stays where it is.
    (augmentation,) = strong.train_dataloader.dataset.augmentation
    assert augmentation == dict(
        type='RandAugment',
        aug_num=1,
        aug_space=[
            [dict(type=colour)]
            for colour in (
                'AutoContrast',
                'Equalize',
                'Color',
                'Contrast',
                'Brightness',
                'Sharpness',
                'Posterize',
            )
        ],
    )


@pytest.mark.parametrize(
    ('level', 'files'),
    [('0.005', 'foggy_beta_0.005'), ('0.01', 'foggy_beta_0.01'), ('all', 'foggy_all')],
)
def test_fog_levels_differ_in_the_target_alone(level, files):
    usual = read('ifan_vgg16_city2foggy')
    other = read(f'ifan_vgg16_city2foggy-{level}')
    expected = {
        'train_dataloader.dataset.target.images': f'instances_train_{files}',
        'val_dataloader.dataset.target.ann_file': f'instances_val_{files}',
        'test_dataloader.dataset.target.ann_file': f'instances_val_{files}',
    }
    assert differences(usual, other) == set(expected)
    found = flat(other.to_dict())
    assert {key: found[key] for key in expected} == {
        key: f'annotations/{name}.json' for key, name in expected.items()
    }


@pytest.mark.parametrize('name', ABLATIONS)
def test_ablations_are_what_their_names_say(name):
    cfg = load(name)
    method = load(f'ifan_{setting_of(name)}')
    terms = name.split('_')[0].split('-')
    launch = launch_of(cfg)
    if terms[0].startswith('phi'):
        assert launch == dict(image=launch_of(method)['image'])
        assert tuple(cfg.model.neck.taps) == (int(terms[0][3:]) - 1,)
        return
    assert 'taps' not in cfg.model.neck
    if terms == ['auto']:
        assert cfg.default_hooks.late_launch.when == 'plateau'
        assert list(launch) == list(launch_of(method))
        # The paper's own choice lies within the bounds.
        for name in ('instance', 'correlation'):
            earliest, latest = launch[name]
            assert earliest < launch_of(method)[name] < latest
        return
    names = dict(img='image', ins='instance', cat='instance', corr='correlation')
    assert list(launch) == [names[term] for term in terms if term in names]
    if 'ins' in terms or 'cat' in terms:
        aware = cfg.model.alignments.instance.get('category_aware', True)
        assert aware == ('cat' in terms)
    iteration = terms[-1].replace('k', '000')
    for term, start in launch.items():
        assert start == (
            int(iteration)
            if iteration.isdigit() and term == 'instance'
            else launch_of(method)[term]
        )


@pytest.mark.parametrize('name', MAIN)
def test_target_gives_images_alone(name):
    dataset = read(name).train_dataloader.dataset
    assert dataset.type == 'PairedDomainDataset'
    assert dataset.source.type == 'DomainCocoDataset'
    assert dataset.target.type == 'UnlabelledDataset'
    assert not any('Annotations' in step.type for step in dataset.target.pipeline)
    # But for the boxes both domains are treated alike.
    assert [
        step for step in dataset.source.pipeline if step.type != 'LoadAnnotations'
    ] == dataset.target.pipeline


@pytest.mark.parametrize('name', MAIN)
def test_trains_on_train_tests_on_val_and_picks_nothing(name):
    cfg = load(name)
    dataset = cfg.train_dataloader.dataset
    assert 'train' in dataset.source.ann_file
    assert 'train' in dataset.target.images
    domains = cfg.val_dataloader.dataset
    assert 'val' in domains.target.ann_file
    assert domains.source.metainfo == domains.target.metainfo
    assert domains.source.metainfo == dataset.source.metainfo
    assert cfg.val_evaluator.dataset_prefixes == ['source', 'target']
    assert cfg.train_dataloader.sampler.type == 'PairedDomainSampler'
    assert 'save_best' not in cfg.default_hooks.checkpoint


@pytest.mark.parametrize('name', LEAVES)
def test_launches_lie_inside_the_schedule(name):
    cfg = load(name)
    launch = launch_of(cfg)
    assert set(launch) <= {'image', *(cfg.model.alignments or ())}
    hook = dict(cfg.default_hooks.late_launch)
    hook.pop('type')
    bounds = list(LateLaunchHook(**hook).bounds.values())
    assert all(latest < cfg.train_cfg.max_iters for _, latest in bounds)
    assert bounds == sorted(bounds)


# Building and training


def paired_batch(num_classes: int) -> dict:
    """Give a batch as the data loader does: a pair of small images."""
    shapes = dict(source=(64, 80), target=(48, 64))
    samples = {
        branch: DetDataSample(
            metainfo=dict(
                img_id=0, img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0)
            )
        )
        for branch, shape in shapes.items()
    }
    samples['source'].gt_instances = InstanceData(
        bboxes=torch.tensor([[8.0, 8, 40, 40], [30.0, 20, 70, 60]]),
        labels=torch.tensor([0, num_classes - 1]),
    )
    samples['source'].ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()
    )
    return dict(
        inputs={
            branch: [torch.randint(256, (3, *shape), dtype=torch.uint8)]
            for branch, shape in shapes.items()
        },
        data_samples={branch: [sample] for branch, sample in samples.items()},
    )


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(set(METHOD) - set(OTHERS)))
def test_method_builds_and_takes_a_step_with_everything_launched(name):
    cfg = load(name)
    detector = build(cfg).train()
    optim_wrapper = build_optim_wrapper(detector, cfg.optim_wrapper)
    # Large enough that a step shows in single precision.
    for group in optim_wrapper.param_groups:
        group['lr'] = 0.01
    before = {
        name: parameter.detach().clone()
        for name, parameter in detector.named_parameters()
    }
    classes = cfg.train_dataloader.dataset.source.metainfo.classes
    data = detector.data_preprocessor(paired_batch(len(classes)), training=True)
    loss, logged = detector.parse_losses(detector(**data, mode='loss'))
    loss.backward()
    optim_wrapper.step()
    assert {key.split('/')[0] for key in logged if '/' in key} == {
        'image',
        'instance',
        'correlation',
    }
    assert logged['correlation/objects_target'] > 0
    assert all(value.isfinite().all() for value in logged.values())
    for key, parameter in detector.named_parameters():
        assert parameter.isfinite().all(), key
        if parameter.requires_grad:
            assert parameter.grad is not None, key
        else:
            assert torch.equal(parameter, before[key]), key
    for part in (
        'backbone',
        'neck',
        'rpn_head',
        'roi_head',
        'alignments.instance',
        'alignments.correlation',
    ):
        assert any(
            not torch.equal(parameter, before[key])
            for key, parameter in detector.named_parameters()
            if key.startswith(part)
        ), part
    # The taps are as wide and as fine as the heads expect.
    with torch.no_grad():
        taps = detector.backbone(torch.zeros(1, 3, 64, 96))
    correlation = detector.alignments.correlation
    assert [tuple(tap.shape[1:]) for tap in taps] == [
        (conv.in_channels, 64 // stride, 96 // stride)
        for conv, stride in zip(
            correlation.fuse_convs, correlation.featmap_strides, strict=True
        )
    ]
    assert len(classes) == detector.roi_head.bbox_head.num_classes
    # The names that the leaf launches are those of the detector.
    runner = Mock(model=detector, max_iters=cfg.train_cfg.max_iters, iter=0, hooks=[])
    LateLaunchHook(launch_of(cfg)).before_train(runner)


@pytest.mark.slow
@pytest.mark.parametrize(
    # DT+FT has iFAN's detector and launches nothing.
    'name',
    [name for name in BASELINES if GROUPS[name] != 'dt-ft'],
)
def test_baseline_builds_and_takes_a_step(name):
    cfg = load(name)
    detector = build(cfg).train()
    launch = launch_of(cfg)
    assert list(launch) == list(detector.all_alignments)
    classes = cfg.train_dataloader.dataset.source.metainfo.classes
    batch = paired_batch(len(classes))
    # Two images of a domain: Strong-Weak's batch normalisation of a map of
    # one position needs them.
    for parts in batch.values():
        for branch, values in parts.items():
            parts[branch] = [*values, *copy.deepcopy(values)]
    data = detector.data_preprocessor(batch, training=True)
    teacher = copy.deepcopy(detector).requires_grad_(False).eval()
    detector.follow(teacher)
    loss, logged = detector.parse_losses(detector(**data, mode='loss'))
    loss.backward()
    assert {key.split('/')[0] for key in logged if '/' in key} == set(launch)
    assert all(value.isfinite().all() for value in logged.values())
    for key, parameter in detector.named_parameters():
        assert parameter.grad is not None or not parameter.requires_grad, key


@pytest.mark.parametrize('name', OTHERS)
def test_the_pair_changes_the_same_of_every_trunk(name):
    def change(name: str) -> dict[str, list]:
        models = [
            read(name.replace('sim10k2city', pair)).model
            for pair in ('city2foggy', 'sim10k2city')
        ]
        settings = [flat(model.to_dict()) for model in models]
        return {
            key: [values.get(key, 'absent') for values in settings]
            for key in differences(*models)
        }

    classes = read(name).train_dataloader.dataset.source.metainfo.classes
    assert change(name)['roi_head.bbox_head.num_classes'] == [8, len(classes)]
    assert change(name) == change('ifan_vgg16_sim10k2city')


# From the file to the numbers


@pytest.mark.slow
def test_a_leaf_trains_saves_and_evaluates(write_coco: Callable, tmp_path: Path):
    """The smallest leaf on four images, through mmengine's runner."""
    cfg = load('ifan_mini-city')
    dataset = cfg.train_dataloader.dataset
    tests = cfg.val_dataloader.dataset
    classes = dataset.source.metainfo.classes
    (tmp_path / 'annotations').mkdir()
    boxes = [
        (0, 'car', (10, 10, 40, 30)),
        (1, 'person', (20, 20, 12, 40)),
        (1, 'car', (60, 30, 50, 40)),
    ]
    for file in {
        dataset.source.ann_file,
        dataset.target.images,
        tests.source.ann_file,
        tests.target.ann_file,
    }:
        write_coco(
            file,
            [(f'{Path(file).stem}_{i}.png', (128, 256)) for i in range(2)],
            boxes=boxes,
            categories=classes,
        )
    loader = dict(batch_size=2, num_workers=0, persistent_workers=False)
    root = dict(data_root=str(tmp_path))
    cfg.merge_from_dict(
        dict(
            train_dataloader=dict(**loader, dataset=dict(source=root, target=root)),
            val_dataloader=dict(**loader, dataset=dict(source=root, target=root)),
            train_cfg=dict(max_iters=3, val_interval=3),
            default_hooks=dict(checkpoint=dict(interval=3), logger=dict(interval=1)),
            work_dir=str(tmp_path / 'run'),
            # Of one name there is one in a process, another test's perhaps.
            visualizer=dict(name=str(tmp_path)),
            log_level='ERROR',
            load_from=None,
        )
    )
    # The schedule follows max_iters: after one iteration of warming up, a
    # cosine over the other two.
    warm_up, cosine = cfg.param_scheduler
    warm_up.end = cosine.begin = 1
    launch_of(cfg).update(image=0, instance=1, correlation=2)
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert (tmp_path / 'run/iter_3.pth').is_file()
    (log,) = (tmp_path / 'run').rglob('scalars.json')
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    launched = [
        [
            name
            for name in ('image', 'instance', 'correlation')
            if step[f'{name}/launched']
        ]
        for step in steps[:3]
    ]
    assert launched == [
        ['image'],
        ['image', 'instance'],
        ['image', 'instance', 'correlation'],
    ]
    assert 'correlation/loss_ddsc' in steps[2]
    # The evaluation stands at its iteration.
    assert steps[3]['step'] == 3 and 'target/mAP50' in steps[3]
    assert all(np.isfinite(step['loss']) for step in steps[:3])
    assert steps[2]['base_lr'] == pytest.approx(0.5 * steps[1]['base_lr'])
    for domain in ('source', 'target'):
        for key in ('mAP50', 'AP50/car', 'coco_mAP50', 'coco_AP50/person'):
            assert 0 <= steps[3][f'{domain}/{key}'] <= 100
