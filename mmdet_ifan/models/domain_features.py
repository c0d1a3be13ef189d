"""Everything a term may read of one domain's images in a training step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from mmdet.models import BBoxHead, FasterRCNN
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import InstanceList
from mmengine.config import ConfigDict
from torch import Tensor, nn

from .layers import valid_positions

#: What an image and a view of it must have in common, or boxes of one are not
#: boxes of the other.
GEOMETRY = ('img_shape', 'scale_factor', 'flip', 'flip_direction')


@dataclass
class Proposals:
    """Region proposals of N images and the box head's outputs for them.

    Attributes:
        rois (Tensor): Image index and box (x1, y1, x2, y2) in pixels, of
            shape (K, 5), ordered by image. No gradient.
        num_per_img (list[int]): Proposals of each image, K in all.
        roi_feats (Tensor): Pooled features, (K, C, P, P).
        cls_score (Tensor): Logits, background last, (K, num_classes + 1).
        bbox_pred (Tensor): Box deltas, (K, 4 * num_classes).
        vectors (Tensor): Outputs of the box head's shared layers,
            (K, fc_out_channels).
    """

    rois: Tensor
    num_per_img: list[int]
    roi_feats: Tensor
    cls_score: Tensor
    bbox_pred: Tensor
    vectors: Tensor

    @cached_property
    def foreground_probs(self) -> Tensor:
        """Tensor: (K, num_classes) in [0, 1], no background, no gradient."""
        return self.cls_score.detach().float().softmax(dim=1)[:, :-1]


@contextmanager
def kept_vectors(bbox_head: BBoxHead) -> Iterator[list[Tensor]]:
    """Collect the vectors that a box head's ``fc_cls`` reads.

    Args:
        bbox_head (BBoxHead): The box head.

    Yields:
        list[Tensor]: For each forward pass, (K, fc_out_channels).
    """
    vectors: list[Tensor] = []
    handle = bbox_head.fc_cls.register_forward_pre_hook(
        lambda _, inputs: vectors.append(inputs[0])
    )
    try:
        yield vectors
    finally:
        handle.remove()


class DomainFeatures:
    """One domain's images, features, proposals and predicted objects.

    A term reads :attr:`taps`, :attr:`feats`, :attr:`proposals`,
    :attr:`pixels` and :meth:`detect`, and pools boxes of its own with
    :meth:`pool`. :attr:`teacher` has the same for the averaged detector. Each
    part is computed when it is first asked for and then kept: a term pays
    only for what it uses, two terms share it, and nothing is computed for a
    term that is not launched. Nothing here reads an annotation.

    Args:
        detector (FasterRCNN): The detector.
        batch_inputs (Tensor): Normalised and padded images, (N, 3, H, W).
        data_samples (list[DetDataSample]): Their meta information.
        views (dict[str, DomainFeatures], optional): Other looks at the same
            images by name, with the same sizes and flips. Defaults to None.

    Attributes:
        views (dict[str, DomainFeatures]): See there.

    Raises:
        ValueError: If a view has another geometry.
    """

    def __init__(
        self,
        detector: FasterRCNN,
        batch_inputs: Tensor,
        data_samples: SampleList,
        views: 'dict[str, DomainFeatures] | None' = None,
    ) -> None:
        self.detector = detector
        self.batch_inputs = batch_inputs
        self.data_samples = data_samples
        self.views = views or {}
        for name, view in self.views.items():
            for sample, seen in zip(self.data_samples, view.data_samples, strict=True):
                for key in GEOMETRY:
                    if sample.get(key) != seen.get(key):
                        raise ValueError(
                            f'{key} of an image is {sample.get(key)}, but '
                            f'{seen.get(key)} in its view {name}: put the '
                            'transforms that move pixels before MultiBranch.'
                        )

    @property
    def batch_shape(self) -> tuple[int, int]:
        """tuple[int, int]: Height and width of the padded batch, in px."""
        height, width = self.batch_inputs.shape[-2:]
        return height, width

    @property
    def img_shapes(self) -> list[tuple[int, int]]:
        """list[tuple[int, int]]: Each image's height and width, unpadded."""
        return [sample.img_shape[:2] for sample in self.data_samples]

    @cached_property
    def teacher(self) -> 'DomainFeatures | None':
        """DomainFeatures | None: What the averaged detector knows of them.

        Of the view ``teacher``, if the batch has one; without gradient. None
        without a :class:`mmdet_ifan.engine.TeacherHook`.
        """
        if self.detector.teacher is None:
            return None
        seen = self.views.get('teacher', self)
        return DomainFeatures(
            self.detector.teacher, seen.batch_inputs.detach(), seen.data_samples
        )

    @cached_property
    def pixels(self) -> Tensor:
        """Tensor: The images in [-1, 1], (N, 3, H, W), padding aside."""
        preprocessor = self.detector.data_preprocessor.data_preprocessor
        std, mean = (getattr(preprocessor, name, None) for name in ('std', 'mean'))
        images = self.batch_inputs
        if std is not None:
            images = images * std + mean
        return images / 127.5 - 1

    def valid_positions(self, maps: Tensor) -> Tensor:
        """Mark the positions of maps that show the image, not padding.

        Args:
            maps (Tensor): Of shape (N, H, W), covering the padded batch.

        Returns:
            Tensor: Booleans of shape (N, H, W), at least one of each image
            true.
        """
        return valid_positions(maps, self.img_shapes, self.batch_shape)

    @cached_property
    def taps(self) -> tuple[Tensor, ...]:
        """tuple[Tensor]: Backbone outputs, the l-th (N, C_l, H_l, W_l)."""
        return self.detector.backbone(self.batch_inputs)

    @cached_property
    def feats(self) -> tuple[Tensor, ...]:
        """tuple[Tensor]: Maps that RPN and RoI head work on."""
        return self.detector.neck(self.taps)

    @cached_property
    def rpn_outputs(self) -> tuple[list[Tensor], list[Tensor]]:
        """tuple[list[Tensor], list[Tensor]]: The RPN's logits and box deltas.

        For each level of shape (N, A, H, W) and (N, 4 * A, H, W), with A
        anchors at a position.
        """
        return self.detector.rpn_head(self.feats)

    @cached_property
    def proposal_boxes(self) -> list[Tensor]:
        """list[Tensor]: The RPN's boxes of each image, as at test time.

        Each of shape (K, 4), in pixels of the input, without gradient.
        """
        return [result.bboxes for result in self.propose()]

    def propose(self, cfg: ConfigDict | None = None) -> InstanceList:
        """Let the RPN propose boxes.

        Args:
            cfg (ConfigDict, optional): As mmdet's ``rpn_proposal``. Defaults
                to None, as at test time.

        Returns:
            list[InstanceData]: For each image ``bboxes`` (K, 4) in pixels of
            the input and ``scores`` (K, ), without gradient.
        """
        # Under no_grad, they would be kept without their gradient.
        outputs = self.rpn_outputs
        with torch.no_grad():
            return self.detector.rpn_head.predict_by_feat(
                *outputs,
                batch_img_metas=[sample.metainfo for sample in self.data_samples],
                cfg=cfg,
                rescale=False,
            )

    @cached_property
    def proposals(self) -> Proposals:
        """Proposals: The RPN's; ``cls_score``, ``bbox_pred`` lack gradient."""
        pooled = self.pool(self.proposal_boxes)
        return replace(
            pooled,
            cls_score=pooled.cls_score.detach(),
            bbox_pred=pooled.bbox_pred.detach(),
        )

    def pool(self, boxes: list[Tensor]) -> Proposals:
        """Pool boxes and let the box head score and refine them.

        Args:
            boxes (list[Tensor]): For each image (K, 4), in pixels of the
                input.

        Returns:
            Proposals: All but ``rois`` carry gradient.
        """
        roi_head = self.detector.roi_head
        rois = bbox2roi(boxes)
        with kept_vectors(roi_head.bbox_head) as vectors:
            outputs = roi_head._bbox_forward(self.feats, rois)
        return Proposals(
            rois,
            [len(box) for box in boxes],
            outputs['bbox_feats'],
            outputs['cls_score'],
            outputs['bbox_pred'],
            *vectors,
        )

    def labelled(self, objects: InstanceList) -> 'DomainFeatures':
        """Give the same images with objects that stand for true ones.

        Args:
            objects (list[InstanceData]): For each image, ``bboxes`` (K, 4) in
                pixels of the input and ``labels`` (K, ).

        Returns:
            DomainFeatures: It shares the features, and has nothing else of
            the images' own data samples than the meta information.
        """
        seen = DomainFeatures(
            self.detector,
            self.batch_inputs,
            [
                DetDataSample(metainfo=sample.metainfo, gt_instances=found)
                for sample, found in zip(self.data_samples, objects, strict=True)
            ],
        )
        seen.taps, seen.feats = self.taps, self.feats
        return seen

    def detect(self, object_cfg: ConfigDict) -> InstanceList:
        """Predict objects: refine the proposals, then suppress class-wise.

        Args:
            object_cfg (ConfigDict): ``score_thr``, ``nms`` and
                ``max_per_img``, as in mmdet's R-CNN test configuration.

        Returns:
            list[InstanceData]: For each image ``bboxes`` (K, 4) in pixels of
            the input, ``scores`` (K, ) in [0, 1] and ``labels`` (K, ), all
            without gradient.
        """
        proposals = self.proposals
        num_per_img = proposals.num_per_img
        with torch.no_grad():
            return self.detector.roi_head.bbox_head.predict_by_feat(
                rois=proposals.rois.split(num_per_img),
                cls_scores=proposals.cls_score.detach().split(num_per_img),
                bbox_preds=proposals.bbox_pred.detach().split(num_per_img),
                batch_img_metas=[s.metainfo for s in self.data_samples],
                rcnn_test_cfg=object_cfg,
                rescale=False,
            )


def extract_together(
    backbone: nn.Module, *batches: Tensor
) -> Iterator[tuple[Tensor, ...]]:
    """Compute the taps of batches of one shape in one pass.

    Batches of different shapes need a pass each: padding them alike would
    change the detector's anchors and give the classifiers a hint. Trained
    batch normalisation uses, and keeps for testing, the statistics of all
    batches together.

    Args:
        backbone (nn.Module): The detector's backbone.
        *batches (Tensor): Images, each (N, 3, H, W).

    Returns:
        Iterator[tuple[Tensor, ...]]: The taps of each batch, in order.
    """
    taps = backbone(torch.cat(batches))
    sizes = [len(batch) for batch in batches]
    return zip(*(tap.split(sizes) for tap in taps), strict=True)
