"""Untrained detectors and random images to time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.models import FasterRCNN
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmdet_ifan.deployment.peel_off import plain_model, plain_state
from mmdet_ifan.models import CorrelationMetricHead, DomainClassifier, IFANDetector

from .profiling import Part

Size = tuple[int, int]


@dataclass(frozen=True)
class Load:
    """The load of a step.

    Attributes:
        size (tuple[int, int]): Height and width of the images in pixels.
        batch (int): Number of images of each domain.
        instances (int): Number of boxes of each image.
    """

    size: Size
    batch: int = 1
    instances: int = 8


class TrainStep:
    """An optimizer step on one batch.

    The learning rate is 0, so all steps start from the same weights. A term
    with a teacher has one, of the same images, which is averaged after the
    step.

    Args:
        detector (FasterRCNN): The detector, on its device.
        cfg (Config): Config with an ``optim_wrapper``.
        batch (dict): Batch of a data loader.
        launched (Sequence[str]): Alignments to launch. Defaults to none.
    """

    def __init__(
        self,
        detector: FasterRCNN,
        cfg: Config,
        batch: dict[str, Any],
        launched: Sequence[str] = (),
    ) -> None:
        self.detector = detector
        self.batch = batch
        self.launched = tuple(launched)
        #: None of a stock detector.
        self.alignments = getattr(detector, 'all_alignments', {})
        optim_wrapper = cfg.optim_wrapper.to_dict()
        optim_wrapper['optimizer']['lr'] = 0.0
        self.optim_wrapper: OptimWrapper = build_optim_wrapper(detector, optim_wrapper)
        self.average: ExponentialMovingAverage | None = None
        if any(self.alignments[name].needs_teacher for name in launched):
            self.average = ExponentialMovingAverage(detector)
            self.average.module.eval()
        self._fill_state()

    def _fill_state(self) -> None:
        """Let the optimizer allocate its state, as after the first step."""
        idle = {
            id(parameter)
            for name, alignment in self.alignments.items()
            if name not in self.launched
            for parameter in alignment.parameters()
        }
        for parameter in self.detector.parameters():
            if parameter.requires_grad and id(parameter) not in idle:
                parameter.grad = torch.zeros_like(parameter)
        self.optim_wrapper.step()
        self.optim_wrapper.zero_grad()

    def __call__(self) -> None:
        """Take a step."""
        for name, alignment in self.alignments.items():
            alignment.launched = name in self.launched
        self.detector.train()
        if self.average is not None:
            self.detector.follow(self.average.module)
        self.detector.train_step(self.batch, self.optim_wrapper)
        if self.average is not None:
            self.average.update_parameters(self.detector)

    @property
    def held_bytes(self) -> int:
        """int: Bytes of weights, the teacher's too, and the optimizer's state."""
        tensors = [*self.detector.parameters(), *self.detector.buffers()]
        if self.average is not None:
            tensors += self.average.state_dict().values()
        for state in self.optim_wrapper.optimizer.state.values():
            tensors += filter(torch.is_tensor, state.values())
        return sum(x.numel() * x.element_size() for x in tensors)

    @property
    def parts(self) -> list[Part]:
        """list[Part]: The parts to tell apart in a profile."""
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
        for name, alignment in self.alignments.items():
            parts.append((alignment, 'loss', f'{name}: the rest'))
            parts += [
                (module, 'forward', f'{name}: classifiers')
                for module in alignment.modules()
                if isinstance(module, DomainClassifier)
            ]
            if isinstance(alignment, CorrelationMetricHead):
                parts += [
                    (module, 'forward', f'{name}: RoIAlign')
                    for module in alignment.poolers
                ]
                parts += [
                    (module, 'forward', f'{name}: embedding')
                    for module in (*alignment.fuse_convs, alignment.embed)
                ]
        return parts


class TestStep:
    """Detection in one image.

    Args:
        detector (FasterRCNN): The detector, on its device.
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
        FasterRCNN: The detector, on the CUDA device if there is one.
    """
    init_default_scope('mmdet')
    model = ConfigDict(model.to_dict())
    model.backbone.init_cfg = None
    model.roi_head.bbox_head.pop('init_cfg', None)
    torch.manual_seed(0)
    detector = MODELS.build(model)
    detector.init_weights()
    return detector.to(get_device())


def launch_all(detector: FasterRCNN) -> None:
    """Launch all terms; teachers are sure of whatever they detect.

    Before training a teacher is sure of nothing, so a term would learn from
    no box.

    Args:
        detector (FasterRCNN): An untrained detector, changed in place.
    """
    for term in detector.all_alignments.values():
        term.launched = True
        if term.needs_teacher:
            term.threshold = term.score_thr = 0.0


def split_domains(images: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Let the first half of a batch be source, and the rest target.

    Args:
        images (dict): Batch of :func:`random_images`.

    Returns:
        dict: ``inputs`` and ``data_samples`` of ``source`` and ``target``.
    """
    half = len(images['inputs']) // 2
    return {
        key: dict(source=values[:half], target=values[half:])
        for key, values in images.items()
    }


def with_views(
    pairs: dict[str, dict[str, Any]], detector: IFANDetector
) -> dict[str, dict[str, Any]]:
    """Add the views that the terms of a detector need.

    Args:
        pairs (dict): Batch of ``source`` and ``target``.
        detector (IFANDetector): The detector.

    Returns:
        dict: The batch; each view is the images of its domain.
    """
    views = {view for a in detector.all_alignments.values() for view in a.needs_views}
    return {
        key: values | {view: values[view.split('_')[0]] for view in views}
        for key, values in pairs.items()
    }


def build_stock(cfg: Config, like: IFANDetector) -> FasterRCNN:
    """Build the Faster R-CNN that a detector adds alignments to.

    Args:
        cfg (Config): Config of ``like``.
        like (IFANDetector): Detector to copy the weights from.

    Returns:
        FasterRCNN: The detector, of mmdet's class.
    """
    stock = build_untrained(plain_model(cfg))
    copy_weights(like, stock)
    return stock


def copy_weights(giver: FasterRCNN, taker: FasterRCNN) -> None:
    """Copy one detector's weights, except its alignments', to another."""
    taker.load_state_dict(plain_state(giver.state_dict()), strict=False)


def random_images(load: Load, num_classes: int = 1) -> dict[str, Any]:
    """Make a batch without a data set.

    Args:
        load (Load): Size of the batch.
        num_classes (int): Number of categories. Defaults to 1.

    Returns:
        dict: ``inputs`` and ``data_samples`` as a data loader gives them,
        always the same.
    """
    random = torch.Generator().manual_seed(0)
    height, width = load.size
    scale = torch.tensor([width, height, width, height])
    inputs, data_samples = [], []
    for _ in range(load.batch):
        inputs.append(
            torch.randint(256, (3, height, width), dtype=torch.uint8, generator=random)
        )
        corners = torch.rand(load.instances, 2, generator=random) * 0.7
        sides = torch.rand(load.instances, 2, generator=random) * 0.2 + 0.1
        sample = DetDataSample(
            metainfo=dict(
                img_id=0,
                img_shape=load.size,
                ori_shape=load.size,
                scale_factor=(1.0, 1.0),
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.cat([corners, corners + sides], dim=1) * scale,
            labels=torch.randint(num_classes, (load.instances,), generator=random),
        )
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()
        )
        data_samples.append(sample)
    return dict(inputs=inputs, data_samples=data_samples)
