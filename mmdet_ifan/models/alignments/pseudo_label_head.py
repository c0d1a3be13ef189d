"""A mean teacher's boxes as labels of target images.

Li et al., "Cross-Domain Adaptive Teacher for Object Detection", CVPR 2022;
Hoyer et al., "MIC", CVPR 2023, by its public code.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from mmdet.models import FasterRCNN
from mmdet.models.utils import filter_gt_instances
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import Tensor, nn

from ..domain_features import DomainFeatures
from .adaptation_term import AdaptationTerm

#: Of a teacher's box that counts, in pixels; as mmdet's semi-supervised detectors.
MIN_SIDE = 0.01


class TaughtTerm(AdaptationTerm):
    """A term whose target images have boxes of a teacher.

    The teacher is the averaged detector. It sees the view ``teacher`` of the
    target; the detector in training, its student, sees the view ``student``.

    Args:
        score_thr (float): Score above which a box of the teacher counts, in
            [0, 1). Defaults to 0.8. A box without an area never does.
        **kwargs: ``loss_weight`` of :class:`AdaptationTerm`.

    Raises:
        ValueError: If ``score_thr`` is out of range.
    """

    compares_domains = False
    needs_teacher = True
    needs_views = ('target_teacher', 'target_student')

    def __init__(self, score_thr: float = 0.8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= score_thr < 1:
            raise ValueError(
                'score_thr is the score above which a box of the teacher counts, '
                f'in [0, 1), but got {score_thr}.'
            )
        self.score_thr = score_thr

    def taught(
        self, target: DomainFeatures
    ) -> tuple[DomainFeatures, DomainFeatures, dict[str, Tensor]]:
        """Let the teacher label the student's view.

        Args:
            target (DomainFeatures): What the detector knows of the target.

        Returns:
            tuple: The student's view with the teacher's boxes; the teacher's
            view; and what to log: ``pseudo_boxes`` of an image, on average,
            and their ``mean_score`` in [0, 1], 0 if there is none.

        Raises:
            ValueError: If there is no teacher.
        """
        teacher = target.teacher
        if teacher is None:
            raise ValueError(
                f'{type(self).__name__} learns from a teacher, but has none: add '
                "default_hooks=dict(teacher=dict(type='TeacherHook', "
                'momentum=0.001)).'
            )
        student = target.views.get('student', target).labelled(
            teacher.detect(
                ConfigDict(teacher.detector.test_cfg.rcnn, score_thr=self.score_thr)
            )
        )
        # What is clipped to a line at the border has no deltas.
        images = filter_gt_instances(student.data_samples, wh_thr=(MIN_SIDE, MIN_SIDE))
        scores = torch.cat([image.gt_instances.scores for image in images])
        logged = dict(
            pseudo_boxes=scores.new_full((), len(scores) / len(images)),
            mean_score=scores.sum() / max(len(scores), 1),
        )
        return student, teacher, logged


@MODELS.register_module()
class PseudoLabelHead(TaughtTerm):
    """Train on the teacher's boxes as if they were true.

    The loss is the detector's own. An image in which the teacher is sure of
    nothing is background.

    Args:
        score_thr (float): See :class:`TaughtTerm`. Defaults to 0.8.
        box_losses (bool): Whether boxes are learnt as well, not only what is
            an object and which. A score says little about how well a box
            fits. Defaults to False, as in Adaptive Teacher and MIC.
        weight_by_score (bool): Whether an anchor counts as much as the
            student takes it for an object, and a proposal as much as the
            student is sure of its class, as in MIC's public code. Defaults to
            False.
        **kwargs: ``loss_weight`` of :class:`AdaptationTerm`.

    Raises:
        ValueError: If ``score_thr`` is out of range or, in training, if the
            detector has no teacher.
    """

    def __init__(
        self,
        score_thr: float = 0.8,
        box_losses: bool = False,
        weight_by_score: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(score_thr, **kwargs)
        self.box_losses = box_losses
        self.weight_by_score = weight_by_score

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Compute the detection loss on target.

        Args:
            source (DomainFeatures): Not used.
            target (DomainFeatures): Gives the views of student and teacher.

        Returns:
            dict[str, Tensor]: ``loss_objectness`` and ``loss_category``, with
            ``box_losses`` also ``loss_rpn_box`` and ``loss_box``; and the
            logged values of :meth:`TaughtTerm.taught`.

        Raises:
            ValueError: If there is no teacher.
        """
        student, _, logged = self.taught(target)
        detector = student.detector
        with weighted_by_score(detector) if self.weight_by_score else nullcontext():
            found, proposals, _ = detector.detection_loss(student)
        # mmdet leaves out the category's if there is no proposal.
        found.setdefault('loss_cls', proposals.cls_score.sum())
        losses = dict(
            loss_objectness=sum(found['loss_rpn_cls']), loss_category=found['loss_cls']
        )
        if self.box_losses:
            losses.update(
                loss_rpn_box=sum(found['loss_rpn_bbox']), loss_box=found['loss_bbox']
            )
        return {key: self.loss_weight * loss for key, loss in losses.items()} | logged


@contextmanager
def weighted_by_score(detector: FasterRCNN) -> Iterator[None]:
    """Weight what the classification losses compare by the scores themselves.

    Args:
        detector (FasterRCNN): The detector.
    """
    handles = [
        head.loss_cls.register_forward_pre_hook(_weight)
        for head in (detector.rpn_head, detector.roi_head.bbox_head)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _weight(criterion: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Multiply the weights, the third of the inputs of a loss of mmdet."""
    logits, labels, weights, *others = inputs
    scores = logits.detach().float()
    if criterion.use_sigmoid:
        sure = scores.sigmoid().flatten()
    else:
        sure = scores.softmax(dim=1).amax(dim=1)
    return logits, labels, weights * sure, *others
