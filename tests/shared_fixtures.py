"""Small models, batches and files that several test modules share."""

import gc
import importlib.util
import json
import os
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import mmcv
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from processes import QUICK
from torch import Tensor, nn
from yapf.yapflib.yapf_api import FormatCode

import mmdet_ifan.patch_mmengine  # noqa: F401  # As every tool does.
from mmdet_ifan.models import DomainClassifier, DomainFeatures
from mmdet_ifan.models.backbones.timm_taps import TimmTaps

ROOT = Path(__file__).resolve().parents[1]
#: Channels of the tiny detector's taps; their strides are 4, 8, 16, 16.
TAP_CHANNELS = (8, 16, 32, 64)
NUM_CLASSES = 3

Size = tuple[int, int]

# Also for fixtures that outlive a test: what processes are compared in bit for
# bit, they compute with one thread each.
torch.set_num_threads(1)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the libraries and the tests, which stay."""
    gc.collect()
    gc.freeze()


def measure_once(measure: Callable[[TimmTaps], tuple]) -> Callable[[TimmTaps], tuple]:
    """Measure trunks that are built alike only once."""
    measured: dict[str, tuple] = {}

    def measure_new(trunk: TimmTaps) -> tuple:
        device = next(trunk.parameters()).device
        kind = repr((trunk.model, trunk.taps, trunk.model_args, device))
        if kind not in measured:
            measured[kind] = measure(trunk)
        return measured[kind]

    return measure_new


@pytest.fixture(scope='session', autouse=True)
def quick() -> Iterator[None]:
    """Spare every test what none of them is about.

    A run writes its config several times, and yapf takes a second for one of
    ours. The processes that tests start find a package that stands for it.
    """
    with pytest.MonkeyPatch.context() as patch:
        # mmengine collects garbage for every data set that it builds, a search
        # through all of torch and of the tests. Python does so by itself.
        patch.setattr('mmengine.dataset.base_dataset.gc', Mock())
        patch.setattr(
            'yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, True)
        )
        patch.setenv('PYTHONPATH', str(QUICK), prepend=os.pathsep)
        # Many tests build the same few trunks, and each would run on two images.
        patch.setattr(TimmTaps, '_measure', measure_once(TimmTaps._measure))
        # torch waits that long, in seconds, for each worker that the garbage
        # collector ends.
        patch.setattr('torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL', 0.1)
        # Threads of several processes on few cores wait for each other.
        patch.setenv('OMP_NUM_THREADS', '1')
        yield


@pytest.fixture
def yapf(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write configs as users' runs do."""
    monkeypatch.setattr('yapf.yapflib.yapf_api.FormatCode', FormatCode)


@pytest.fixture(autouse=True)
def reproducible() -> None:
    """One thread, mmdet's registries and the same random numbers."""
    init_default_scope('mmdet')
    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(scope='session')
def configs() -> Path:
    """Folder of the configs."""
    return ROOT / 'configs'


@pytest.fixture(scope='session')
def runs() -> Callable[[int], bool]:
    """Whether there is a process of a number that is not merely unburied."""

    def process_runs(pid: int) -> bool:
        try:
            status = Path(f'/proc/{pid}/stat').read_text()
        except FileNotFoundError:
            return False
        return status.rpartition(')')[2].split()[0] != 'Z'

    return process_runs


@pytest.fixture(scope='session')
def outliving(runs: Callable[[int], bool]) -> Callable[[Iterable[int]], list]:
    """Which of a killed process's workers run a second later; ends them."""

    def find(workers: Iterable[int]) -> list[int]:
        time.sleep(1)
        found = list(filter(runs, workers))
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return found

    return find


@pytest.fixture(scope='session')
def load_setup_env() -> Callable[[], ModuleType]:
    """Loader of ``tools/setup_env.py``, which reads the command line."""

    def load() -> ModuleType:
        spec = importlib.util.spec_from_file_location(
            'setup_env', ROOT / 'tools' / 'setup_env.py'
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope='session')
def wheel(
    load_setup_env: Callable[[], ModuleType], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The wheel of this checkout, unpacked."""
    folder = tmp_path_factory.mktemp('wheel')
    setup_env = load_setup_env()
    setup_env.VENV_PYTHON = sys.executable
    setup_env.LOG = folder / 'build.log'
    with zipfile.ZipFile(setup_env.build_wheel(folder)) as archive:
        archive.extractall(folder / 'unpacked')
    return folder / 'unpacked'


@pytest.fixture
def tiny_cfg(configs: Path) -> ConfigDict:
    """Config of a complete ``IFANDetector`` that takes 0.1 s a step."""
    cfg = Config.fromfile(configs / '_base_/models/ifan_faster-rcnn.py')
    last = TAP_CHANNELS[-1]
    cfg.merge_from_dict(
        dict(
            model=dict(
                backbone=dict(
                    type='ResNet',
                    depth=18,
                    base_channels=TAP_CHANNELS[0],
                    strides=(1, 2, 2, 1),
                    dilations=(1, 1, 1, 2),
                    out_indices=(0, 1, 2, 3),
                    norm_cfg=dict(type='GN', num_groups=4),
                    norm_eval=False,
                ),
                neck=dict(in_channels=TAP_CHANNELS),
                rpn_head=dict(
                    in_channels=last,
                    feat_channels=16,
                    anchor_generator=dict(scales=[1, 2]),
                ),
                roi_head=dict(
                    bbox_roi_extractor=dict(
                        out_channels=last,
                        roi_layer=dict(output_size=3, sampling_ratio=1),
                    ),
                    bbox_head=dict(
                        in_channels=last,
                        roi_feat_size=3,
                        fc_out_channels=32,
                        num_classes=NUM_CLASSES,
                    ),
                ),
                alignments=dict(
                    instance=dict(in_channels=last, num_classes=NUM_CLASSES),
                    correlation=dict(
                        in_channels=TAP_CHANNELS,
                        featmap_strides=(4, 8, 16, 16),
                        embed_channels=16,
                        roi_size=3,
                    ),
                ),
                train_cfg=dict(
                    rpn=dict(sampler=dict(num=32)),
                    rpn_proposal=dict(nms_pre=100, max_per_img=40),
                    rcnn=dict(sampler=dict(num=16)),
                ),
                test_cfg=dict(rpn=dict(nms_pre=100, max_per_img=20)),
            )
        )
    )
    return cfg.model


@pytest.fixture
def make_sample() -> Callable[..., DetDataSample]:
    """Maker of a data sample of an image in a padded batch."""

    def make(
        img_shape: Size,
        batch_shape: Size,
        bboxes: Sequence[Sequence[float]] | None = None,
        labels: Sequence[int] | None = None,
    ) -> DetDataSample:
        sample = DetDataSample(
            metainfo=dict(
                img_id=0,
                img_shape=img_shape,
                ori_shape=img_shape,
                pad_shape=batch_shape,
                batch_input_shape=batch_shape,
                scale_factor=(1.0, 1.0),
            )
        )
        if bboxes is not None:
            sample.gt_instances = InstanceData(
                bboxes=torch.tensor(bboxes).float().reshape(-1, 4),
                labels=torch.tensor(labels).long(),
            )
            sample.ignored_instances = InstanceData(
                bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()
            )
        return sample

    return make


@pytest.fixture
def make_batch(make_sample: Callable) -> Callable[[], tuple[dict, dict]]:
    """Maker of a training batch: labelled source, bare target.

    The domains differ in the padded shape, the images in their sizes.
    """

    def make() -> tuple[dict[str, Tensor], dict[str, list[DetDataSample]]]:
        generator = torch.Generator().manual_seed(1)
        inputs, samples = {}, {}
        for branch, batch_shape, img_shapes in (
            ('source', (64, 96), [(64, 96), (56, 80)]),
            ('target', (64, 64), [(48, 64), (64, 48)]),
        ):
            images = torch.zeros(len(img_shapes), 3, *batch_shape)
            for image, (height, width) in zip(images, img_shapes, strict=True):
                image[:, :height, :width] = torch.randn(
                    3, height, width, generator=generator
                )
            inputs[branch] = images
            samples[branch] = [make_sample(shape, batch_shape) for shape in img_shapes]
        for sample, bboxes, labels in zip(
            samples['source'],
            ([[4, 4, 30, 28], [40, 10, 90, 60]], [[10, 20, 26, 50]]),
            ([1, 2], [0]),
            strict=True,
        ):
            sample.gt_instances = InstanceData(
                bboxes=torch.tensor(bboxes).float(), labels=torch.tensor(labels)
            )
            sample.ignored_instances = InstanceData(
                bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()
            )
        return inputs, samples

    return make


@pytest.fixture
def make_domain(make_sample: Callable) -> Callable[..., DomainFeatures]:
    """Maker of a domain whose parts are given instead of computed."""

    def make(
        img_shapes: Sequence[Size], batch_shape: Size, **parts: Any
    ) -> DomainFeatures:
        domain = DomainFeatures(
            None,
            torch.zeros(len(img_shapes), 3, *batch_shape),
            [make_sample(shape, batch_shape) for shape in img_shapes],
        )
        for name, part in parts.items():
            setattr(domain, name, part)
        return domain

    return make


@pytest.fixture(scope='session')
def classify() -> Callable[[DomainClassifier, Tensor], Tensor]:
    """The domain classifier, written out for one position (C, )."""

    def by_hand(classifier: DomainClassifier, x: Tensor) -> Tensor:
        (w1, b1), (w2, b2), (w3, b3) = [
            (conv.weight[:, :, 0, 0], conv.bias)
            for conv in classifier.modules()
            if isinstance(conv, nn.Conv2d)
        ]
        hidden = (w1 @ x + b1).clamp(min=0)
        hidden = (w2 @ hidden + b2).clamp(min=0)
        return 1 / (1 + torch.exp(-(w3 @ hidden + b3)))

    return by_hand


@pytest.fixture(scope='session')
def spread() -> Callable[[nn.Module], None]:
    """Filler that makes classifiers disagree, unlike a fresh one's 0.5."""

    def fill(module: nn.Module) -> None:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.normal_(std=0.15)

    return fill


@pytest.fixture
def write_coco(tmp_path: Path) -> Callable[..., Path]:
    """Writer of a COCO file and its images into ``tmp_path``."""

    def write(
        name: str,
        images: Sequence[tuple[str, Size]],
        boxes: Sequence[tuple[int, str, Sequence[float]]] = (),
        categories: Sequence[str] = ('car', 'person'),
        crowds: Sequence[int] = (),
    ) -> Path:
        """Write ``boxes`` of (image, category, x y w h)."""
        for file_name, size in images:
            mmcv.imwrite(
                np.random.randint(0, 255, (*size, 3), dtype=np.uint8),
                str(tmp_path / file_name),
            )
        # Ids that are neither positions nor in order.
        ids = {cat: 40 - 3 * i for i, cat in enumerate(categories)}
        content = dict(
            images=[
                dict(id=7 + i, file_name=file_name, height=h, width=w)
                for i, (file_name, (h, w)) in enumerate(images)
            ],
            categories=[dict(id=id_, name=cat) for cat, id_ in ids.items()],
            annotations=[
                dict(
                    id=i + 1,
                    image_id=7 + image,
                    category_id=ids[cat],
                    bbox=list(box),
                    area=box[2] * box[3],
                    iscrowd=int(i in crowds),
                )
                for i, (image, cat, box) in enumerate(boxes)
            ],
        )
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    return write
