"""The exported detector, where mmdet_ifan cannot be imported."""

from functools import partial
from pathlib import Path

import pytest
import torch
from mmdet.apis import DetInferencer
from mmdet.registry import MODELS
from mmengine.config import Config
from processes import run_script, run_tool

from mmdet_ifan.deployment import export, load_fitting, plain_config
from mmdet_ifan.utils.errors import DataError
from mmdet_ifan.utils.named_configs import config_path

ROOT = Path(__file__).resolve().parents[2]
#: Detects and evaluates without this package.
ELSEWHERE = """
import sys
sys.modules['mmdet_ifan'] = None
import torch
from mmdet.apis import DetInferencer
from mmengine.config import Config
from mmengine.runner import Runner

assert torch.get_num_threads() == 1
folder, *images = sys.argv[1:]
detector = DetInferencer(f'{folder}/config.py', f'{folder}/weights.pth',
                         device='cpu', show_progress=False)
predictions = detector(images, return_datasamples=True)['predictions']
torch.save([dict(p.pred_instances.items()) for p in predictions],
           f'{folder}/predictions.pth')
assert type(detector.model).__name__ == 'FasterRCNN'
assert not any(name.startswith('mmdet_ifan.') for name in sys.modules)
cfg = Config.fromfile(f'{folder}/config.py')
cfg.load_from = f'{folder}/weights.pth'
cfg.work_dir = folder
print(Runner.from_cfg(cfg).test())
"""


def config_of(name: str, data_root: Path) -> Config:
    """Read a leaf without downloads, with narrow layers and a small test set."""
    cfg = Config.fromfile(config_path(f'{name}.py'))
    cfg.merge_from_dict(
        {
            'model.backbone.init_cfg': None,
            'model.roi_head.bbox_head.init_cfg': None,
            'model.roi_head.bbox_head.fc_out_channels': 16,
            'model.rpn_head.feat_channels': 16,
            'test_dataloader.dataset.target.data_root': str(data_root),
            'test_dataloader.dataset.target.ann_file': 'target.json',
            'test_dataloader.num_workers': 0,
            'test_dataloader.persistent_workers': False,
        }
    )
    resize = cfg.test_dataloader.dataset.pipeline[1]
    resize.scale = (96, 64)
    return cfg


def trained(cfg: Config, path: Path) -> None:
    """Write a checkpoint as a run does."""
    model = MODELS.build(cfg.model)
    model.init_weights()
    classes = cfg.test_dataloader.dataset.target.metainfo.classes
    torch.save(
        dict(
            meta=dict(dataset_meta=dict(classes=classes)), state_dict=model.state_dict()
        ),
        path,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [
        'ifan_mini-city',
        'ifan_vgg16_city2foggy',
        'ifan_r50-fpn_city2foggy',
        'ifan_convnext-t-fpn_city2foggy',
        'ifan_swin-t-fpn_sim10k2city',
        'few-shot_mini-city',
        'select-align_mini-city',
        'mtor_mini-city',
        'ifan-teacher_mini-city',
    ],
)
def test_detections_are_bit_identical_without_the_package(name, tmp_path, write_coco):
    cfg = config_of(name, tmp_path)
    classes = cfg.test_dataloader.dataset.target.metainfo.classes
    sizes = {'0.png': (64, 96), '1.png': (80, 64)}
    write_coco(
        'target.json',
        list(sizes.items()),
        categories=classes,
        boxes=[(0, classes[0], (2, 3, 20, 20))],
    )
    images = [str(tmp_path / file_name) for file_name in sizes]
    trained(cfg, tmp_path / 'iter_1.pth')
    out = tmp_path / 'out'
    export(cfg, str(tmp_path / 'iter_1.pth'), out)

    # Sums depend on the number of threads.
    assert torch.get_num_threads() == 1
    result = run_script(ELSEWHERE, out, *images, cwd=out)
    assert result.returncode == 0, result.stderr
    assert 'coco/bbox_mAP' in result.stdout

    ours = DetInferencer(
        cfg, str(tmp_path / 'iter_1.pth'), device='cpu', show_progress=False
    )
    expected = ours(images, return_datasamples=True)['predictions']
    predictions = torch.load(out / 'predictions.pth', weights_only=False)
    assert len(predictions) == len(expected) == 2
    for prediction, sample in zip(predictions, expected, strict=True):
        instances = sample.pred_instances
        assert len(instances) > 0
        assert set(prediction) == set(instances.keys())
        for key, value in prediction.items():
            assert torch.equal(value, instances[key])


@pytest.mark.slow
def test_nothing_of_ours_is_left(yapf, tmp_path):
    """mmdet has all that this detector needs."""
    cfg = config_of('ifan_r50-dc5_city2foggy', tmp_path)
    trained(cfg, tmp_path / 'iter_1.pth')
    export(cfg, str(tmp_path / 'iter_1.pth'), tmp_path / 'out')
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'config.py',
        'weights.pth',
    }
    text = (tmp_path / 'out/config.py').read_text()
    for word in ('ifan', 'IFAN', 'Domain', 'Paired', 'Region', 'custom_imports'):
        assert word not in text
    # Anyone may load it without running code of ours.
    weights = torch.load(tmp_path / 'out/weights.pth', weights_only=True)
    stock = MODELS.build(plain_config(cfg).model)
    assert set(weights['state_dict']) == set(stock.state_dict())


def test_what_mmdet_lacks_goes_along_wherever_it_is():
    cfg = Config.fromfile(ROOT / 'configs/ifan/ifan_r50-dc5_city2foggy.py')
    cfg.model.roi_head.shared_head = dict(type='TimmTaps')
    plain = plain_config(cfg)
    assert plain.custom_imports.imports == ['plain_timm']
    assert plain.model.roi_head.shared_head.type == 'PlainTimm'
    assert cfg.model.roi_head.shared_head.type == 'TimmTaps'


def test_refuses_what_is_no_plain_detector(tmp_path):
    cfg = Config.fromfile(config_path('strong-weak_mini-city.py'))
    with pytest.raises(ValueError, match='ContextRoIHead'):
        export(cfg, 'unread.pth', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_refuses_the_checkpoint_of_another_config(tmp_path):
    cfg = config_of('ifan_mini-city', tmp_path)
    trained(cfg, tmp_path / 'iter_1.pth')
    cfg.model.roi_head.bbox_head.num_classes = 3
    with pytest.raises(ValueError, match='iter_1.pth does not fit'):
        export(cfg, str(tmp_path / 'iter_1.pth'), tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (lambda names: names[::-1], 'iter_1.pth .* order: bicycle, motorcycle'),
        (lambda names: ['pedestrian', *names[1:]], r'iter_1.pth \(8\) are person'),
    ],
)
def test_refuses_the_checkpoint_of_other_classes(tmp_path, change, sentence):
    cfg = config_of('ifan_mini-city', tmp_path)
    trained(cfg, tmp_path / 'iter_1.pth')
    for domain in ('source', 'target'):
        metainfo = cfg.test_dataloader.dataset[domain].metainfo
        metainfo.classes = change(list(metainfo.classes))
    with pytest.raises(ValueError, match=sentence):
        export(cfg, str(tmp_path / 'iter_1.pth'), tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_refuses_what_has_no_test_data(tmp_path):
    cfg = config_of('ifan_mini-city', tmp_path)
    cfg.test_dataloader = None
    with pytest.raises(ValueError, match='has no test_dataloader, whose'):
        export(cfg, 'unread.pth', tmp_path / 'out')


@pytest.mark.parametrize('parts', [{}, dict(meta={})])
def test_refuses_a_checkpoint_without_class_names(tmp_path, parts):
    cfg = config_of('ifan_mini-city', tmp_path)
    path = tmp_path / 'iter_1.pth'
    trained(cfg, path)
    torch.save(dict(state_dict=torch.load(path)['state_dict']) | parts, path)
    with pytest.raises(ValueError, match='iter_1.pth does not name its cla'):
        export(cfg, str(path), tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


# Whether a checkpoint fits


def renamed(state: dict, old: str, new: str) -> dict:
    """Rename the weights whose names have this prefix."""
    return {
        new + key.removeprefix(old) if key.startswith(old) else key: value
        for key, value in state.items()
    }


@pytest.mark.parametrize(
    'change',
    [
        lambda state: renamed(state, '', 'student.'),
        lambda state: renamed(state, 'rpn_head.rpn_reg.bias', 'rpn_head.other'),
        lambda state: dict(state, **{'backbone.other': torch.zeros(1)}),
        lambda state: dict(state, **{'rpn_head.rpn_reg.bias': torch.zeros(1)}),
        lambda state: {},
    ],
)
def test_weights_that_do_not_fit(tmp_path, change):
    cfg = config_of('ifan_mini-city', tmp_path)
    model = MODELS.build(cfg.model)
    path = tmp_path / 'iter_1.pth'
    torch.save(dict(state_dict=change(model.state_dict())), path)
    with pytest.raises(
        DataError,
        match=(
            r'iter_1.pth does not fit the config: \d+ weights are .* first of '
            r'them (backbone|rpn_head)\.'
        ),
    ):
        load_fitting(model, str(path))


@pytest.mark.parametrize('name', ['ifan_mini-city', 'strong-weak_mini-city'])
@pytest.mark.parametrize(
    'change',
    [
        lambda state: dict(state_dict=state),
        lambda state: state,
        lambda state: dict(state_dict=renamed(state, '', 'module.')),
        lambda state: dict(state_dict=renamed(state, 'alignments.', 'other.')),
    ],
)
def test_weights_that_fit(tmp_path, name, change):
    model = MODELS.build(config_of(name, tmp_path).model)
    path = tmp_path / 'iter_1.pth'
    torch.save(change(model.state_dict()), path)
    load_fitting(model, str(path))


@pytest.mark.slow
def test_command_tests_only_weights_that_fit(tmp_path, write_coco):
    """An export's weights fit: testing needs no alignment."""
    cfg = config_of('ifan_mini-city', tmp_path)
    classes = cfg.test_dataloader.dataset.target.metainfo.classes
    write_coco(
        'target.json',
        [('0.png', (64, 96))],
        categories=classes,
        boxes=[(0, classes[0], (2, 3, 20, 20))],
    )
    dataset = cfg.test_dataloader.dataset
    dataset.source = dataset.target
    cfg.dump(tmp_path / 'config.py')
    trained(cfg, tmp_path / 'iter_1.pth')
    export(cfg, str(tmp_path / 'iter_1.pth'), tmp_path / 'out')
    state = torch.load(tmp_path / 'iter_1.pth')['state_dict']
    torch.save(renamed(state, '', 'student.'), tmp_path / 'student.pth')

    test = partial(run_tool, 'test.py', 'config.py', cwd=tmp_path)
    result = test('out/weights.pth')
    assert result.returncode == 0, result.stderr
    result = test('student.pth')
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(
        'error: student.pth does not fit the config: '
    )
    # Even if the config has none of our hooks.
    for domain in (dataset.source, dataset.target):
        domain.metainfo.classes = classes[::-1]
    del cfg.default_hooks.preflight
    cfg.dump(tmp_path / 'config.py')
    result = test('iter_1.pth')
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(
        'error: iter_1.pth was trained with the classes person, rider, '
    )
    assert 'Traceback' not in result.stderr
