"""Detectors without training, and images without content, to time."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.models import FasterRCNN
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmdet_ifan.deployment.peel_off import plain_model, plain_state
from mmdet_ifan.models import (
    CorrelationMetricHead,
    DomainClassifier,
    IFANDetector,
)

from .profiling import Part

Size = tuple[int, int]
#: The variant that launches no alignment.
NOTHING = 'nothing'


@dataclass(frozen=True)
class Load:
    """What a step works on.

    Attributes:
        size (tuple[int, int]): Height and width of the images in pixels.
        batch (int): Images of each domain.
        instances (int): Labelled boxes of each image.
    """
    size: Size
    batch: int = 1
    instances: int = 8


class TrainStep:
    """One step of the optimizer on one batch, with a learning rate of 0.

    So every step of every variant starts from the same weights.

    Args:
        detector (FasterRCNN): On the device.
        cfg (Config): Config with ``optim_wrapper``.
        batch (dict): What a data loader gives.
        launched (Sequence[str]): Alignments to launch. Defaults to none.
    """

    def __init__(self,
                 detector: FasterRCNN,
                 cfg: Config,
                 batch: dict[str, Any],
                 launched: Sequence[str] = ()) -> None:
        self.detector = detector
        self.batch = batch
        self.launched = tuple(launched)
        optim_wrapper = cfg.optim_wrapper.to_dict()
        optim_wrapper['optimizer']['lr'] = 0.
        self.optim_wrapper: OptimWrapper = build_optim_wrapper(
            detector, optim_wrapper)

        self._fill_state()

    def _fill_state(self) -> None:
        """Let the optimizer keep what it keeps from its first step on."""
        idle = [
            alignment for name, alignment in getattr(
                self.detector, 'all_alignments', {}).items()
            if name not in self.launched
        ]
        never = {id(p) for alignment in idle for p in alignment.parameters()}
        for parameter in self.detector.parameters():
            if parameter.requires_grad and id(parameter) not in never:
                parameter.grad = torch.zeros_like(parameter)
        self.optim_wrapper.step()
        self.optim_wrapper.zero_grad()

    def __call__(self) -> None:
        """Take a step."""
        if isinstance(self.detector, IFANDetector):
            for name, alignment in self.detector.all_alignments.items():
                alignment.launched = name in self.launched
        self.detector.train()
        self.detector.train_step(self.batch, self.optim_wrapper)

    @property
    def held_bytes(self) -> int:
        """int: Parameters, buffers and the state of the optimizer."""
        tensors = [*self.detector.parameters(), *self.detector.buffers()]
        for state in self.optim_wrapper.optimizer.state.values():
            tensors += [x for x in state.values() if torch.is_tensor(x)]
        return sum(x.numel() * x.element_size() for x in tensors)

    @property
    def parts(self) -> list[Part]:
        """list[Part]: Parts of the step, for ``profile_parts``."""
        detector, roi_head = self.detector, self.detector.roi_head
        parts = [
            (detector.data_preprocessor, 'forward', 'images to tensors'),
            (detector.backbone, 'forward', 'backbone'),
            (detector.rpn_head, 'loss_and_predict', 'RPN'),
            (detector.rpn_head, 'predict', 'RPN'),
            (roi_head.bbox_roi_extractor, 'forward', 'RoIAlign'),
            (roi_head.bbox_head, 'forward', 'box head'),
            (roi_head.bbox_head, 'loss_and_target', 'box head'),
            (roi_head.bbox_assigner, 'assign', 'assign and sample'),
            (roi_head.bbox_sampler, 'sample', 'assign and sample'),
            (roi_head.bbox_head, 'predict_by_feat', 'objects'),
            (self.optim_wrapper, 'step', 'optimizer'),
        ]
        if not isinstance(detector, IFANDetector):
            return parts
        for name, alignment in detector.all_alignments.items():
            parts.append((alignment, 'loss', f'{name}: the rest'))
            for module in alignment.modules():
                if isinstance(module, DomainClassifier):
                    parts.append(
                        (module, 'forward', f'{name}: classifiers'))
            if isinstance(alignment, CorrelationMetricHead):
                parts += [(module, 'forward', f'{name}: RoIAlign')
                          for module in alignment.poolers]
                parts += [(module, 'forward', f'{name}: embedding')
                          for module in (*alignment.fuse_convs,
                                         alignment.embed)]
        return parts


class TestStep:
    """The detections of one image.

    Args:
        detector (FasterRCNN): On the device.
        size (tuple[int, int]): Height and width of the image in pixels.
    """

    def __init__(self, detector: FasterRCNN, size: Size) -> None:
        self.detector = detector
        self.batch = random_images(Load(size, instances=1))

    def __call__(self) -> list[DetDataSample]:
        """Detect."""
        self.detector.eval()
        with torch.no_grad():
            return self.detector.test_step(self.batch)


def build_untrained(model: ConfigDict) -> FasterRCNN:
    """Build a detector with random weights, whatever its config loads.

    Args:
        model (ConfigDict): Config of the detector.

    Returns:
        FasterRCNN: On the CUDA device if there is one.
    """
    init_default_scope('mmdet')
    model = ConfigDict(model.to_dict())
    model.backbone.init_cfg = None
    model.roi_head.bbox_head.pop('init_cfg', None)
    torch.manual_seed(0)
    detector = MODELS.build(model)
    detector.init_weights()
    return detector.to(get_device())


def build_stock(cfg: Config, like: IFANDetector) -> FasterRCNN:
    """Build the Faster R-CNN that a detector adds alignments to.

    Args:
        cfg (Config): Config of ``like``.
        like (IFANDetector): Whose weights it gets.

    Returns:
        FasterRCNN: mmdet's class.
    """
    stock = build_untrained(plain_model(cfg))
    copy_weights(like, stock)
    return stock


def copy_weights(giver: FasterRCNN, taker: FasterRCNN) -> None:
    """Give one detector the weights of another, alignments left out."""
    taker.load_state_dict(plain_state(giver.state_dict()), strict=False)


def random_images(load: Load, num_classes: int = 1) -> dict[str, Any]:
    """Make a batch of a data loader without a data set.

    Args:
        load (Load): Its size.
        num_classes (int): Categories of the boxes. Defaults to 1.

    Returns:
        dict: ``inputs`` and ``data_samples``, always the same.
    """
    random = torch.Generator().manual_seed(0)
    height, width = load.size
    scale = torch.tensor([width, height, width, height])
    inputs, data_samples = [], []
    for _ in range(load.batch):
        inputs.append(
            torch.randint(
                256, (3, height, width), dtype=torch.uint8, generator=random))
        corners = torch.rand(load.instances, 2, generator=random) * 0.7
        sides = torch.rand(load.instances, 2, generator=random) * 0.2 + 0.1
        sample = DetDataSample(
            metainfo=dict(
                img_id=0,
                img_shape=load.size,
                ori_shape=load.size,
                scale_factor=(1., 1.)))
        sample.gt_instances = InstanceData(
            bboxes=torch.cat([corners, corners + sides], dim=1) * scale,
            labels=torch.randint(
                num_classes, (load.instances, ), generator=random))
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
        data_samples.append(sample)
    return dict(inputs=inputs, data_samples=data_samples)


def pair(images: dict[str, Any]) -> dict[str, Any]:
    """Deal a batch out to the two domains: the first half is source."""
    return {
        key: dict(
            source=values[:len(values) // 2], target=values[len(values) // 2:])
        for key, values in images.items()
    }


def launches(detector: IFANDetector) -> dict[str, tuple[str, ...]]:
    """Name what to launch: nothing, the first alignment, the first two, ..."""
    names = tuple(detector.all_alignments)
    return {
        ' + '.join(names[:count]) or NOTHING: names[:count]
        for count in range(len(names) + 1)
    }
