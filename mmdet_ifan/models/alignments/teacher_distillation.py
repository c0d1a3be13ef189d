"""Self-distillation from a mean teacher, at all outputs of Faster R-CNN.

Kay et al., "Align and Distill: Unifying and Improving Domain Adaptive Object
Detection", TMLR 2025.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from ..domain_features import DomainFeatures
from ..layers import check_weight, mean_over
from .pseudo_label_head import TaughtTerm


@MODELS.register_module()
class TeacherDistillation(TaughtTerm):
    r"""Compare what student and teacher predict for a target image.

    The teacher's boxes decide which anchors and proposals are sampled, as true
    boxes do in training, and are proposals themselves. For these, with the
    logits z and the deltas d of student and teacher (T),

    .. math::
        L_{obj} &= \frac{1}{|A|} \sum_{a \in A}
                   BCE(z_a, \sigma(z^T_a / \tau)), \\
        L_{rpn} &= \frac{1}{|P|} \sum_{a \in P}
                   \frac{1}{4} \| d_a - d^T_a \|_1, \\
        L_{cat} &= \frac{1}{|R|} \sum_{r \in R}
                   CE(z_r, softmax(z^T_r / \tau)), \\
        L_{box} &= \frac{1}{|R|} \sum_{r \in F} \| d_{r, c} - d^T_{r, c} \|_1

    over the sampled anchors A of all images, the positive ones P among them,
    the sampled R of the student's proposals and the teacher's boxes, and those
    F of R whose best class c in the teacher's eyes is no background. The teacher is
    constant, and sees anchors and proposals in its own view. A loss over
    nothing is 0. Source images are not used, and no network is added.

    Args:
        score_thr (float): See :class:`TaughtTerm`. Defaults to 0.8.
        temperature (float): Temperature :math:`\tau` > 0 of the teacher's
            logits; less than 1 sharpens. Defaults to 1.0.
        objectness_weight (float): Weight of L_obj, >= 0. Defaults to 1.0.
        rpn_box_weight (float): Weight of L_rpn, >= 0. Defaults to 1.0.
        category_weight (float): Weight of L_cat, >= 0. Defaults to 1.0.
        box_weight (float): Weight of L_box, >= 0. Defaults to 1.0.
        **kwargs: ``loss_weight`` of :class:`AdaptationTerm`.

    Raises:
        ValueError: If an argument is out of range or, in training, if the
            detector has no teacher.
    """

    def __init__(
        self,
        score_thr: float = 0.8,
        temperature: float = 1.0,
        objectness_weight: float = 1.0,
        rpn_box_weight: float = 1.0,
        category_weight: float = 1.0,
        box_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(score_thr, **kwargs)
        if not temperature > 0:
            raise ValueError(f'temperature must be > 0, but is {temperature}.')
        self.temperature = temperature
        self.weights = dict(
            objectness=objectness_weight,
            rpn_box=rpn_box_weight,
            category=category_weight,
            box=box_weight,
        )
        for name, weight in self.weights.items():
            check_weight(f'The {name}_weight of TeacherDistillation', weight)
        if not any(self.weights.values()):
            raise ValueError(
                'All weights of TeacherDistillation are 0, so that it teaches nothing: '
                'leave the term out.'
            )

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Compute the four losses on target.

        Args:
            source (DomainFeatures): Not used.
            target (DomainFeatures): Gives the views of student and teacher.

        Returns:
            dict[str, Tensor]: ``loss_objectness``, ``loss_rpn_box``,
            ``loss_category`` and ``loss_box``; the logged values of
            :meth:`TaughtTerm.taught`; and ``foreground``, the share of the
            sampled proposals that show an object in the teacher's eyes, in
            [0, 1].

        Raises:
            ValueError: If there is no teacher.
        """
        student, teacher, logged = self.taught(target)
        values = {
            **self._compare_anchors(student, teacher),
            **self._compare_proposals(student, teacher),
        }
        return dict(
            {
                f'loss_{name}': self.loss_weight * weight * values[name]
                for name, weight in self.weights.items()
            },
            foreground=values['foreground'],
            **logged,
        )

    def _compare_anchors(
        self, student: DomainFeatures, teacher: DomainFeatures
    ) -> dict[str, Tensor]:
        """Compute L_obj as ``objectness`` and L_rpn as ``rpn_box``."""
        (logits, deltas), (taught_logits, taught_deltas) = (
            (_by_anchor(maps[0], 1)[..., 0], _by_anchor(maps[1], 4))
            for maps in (student.rpn_outputs, teacher.rpn_outputs)
        )
        sampled, positive = _sampled_anchors(student)
        return dict(
            objectness=mean_over(
                F.binary_cross_entropy_with_logits(
                    logits,
                    (taught_logits / self.temperature).sigmoid(),
                    reduction='none',
                ),
                sampled,
            ),
            rpn_box=mean_over((deltas - taught_deltas).abs().mean(dim=-1), positive),
        )

    def _compare_proposals(
        self, student: DomainFeatures, teacher: DomainFeatures
    ) -> dict[str, Tensor]:
        """Compute L_cat as ``category``, L_box as ``box``, and ``foreground``."""
        detector = student.detector
        sampled = detector.sample_proposals(
            student,
            student.propose(
                detector.train_cfg.get('rpn_proposal', detector.test_cfg.rpn)
            ),
        )
        boxes = [image.priors for image in sampled]
        seen, taught = student.pool(boxes), teacher.pool(boxes)
        logits, taught_logits = seen.cls_score, taught.cls_score
        number = max(len(logits), 1)
        best = taught_logits.argmax(dim=1)
        is_object = best < taught_logits.shape[1] - 1
        gaps = (seen.bbox_pred - taught.bbox_pred).abs().unflatten(1, (-1, 4)).sum(-1)
        # Background has no deltas; all classes may share theirs.
        column = best.clamp(max=gaps.shape[1] - 1)[:, None]
        return dict(
            category=F.cross_entropy(
                logits,
                (taught_logits / self.temperature).softmax(dim=1),
                reduction='sum',
            )
            / number,
            box=(gaps.gather(1, column)[:, 0] * is_object).sum() / number,
            foreground=is_object.sum() / number,
        )


def _sampled_anchors(domain: DomainFeatures) -> tuple[Tensor, Tensor]:
    """Sample anchors as for the RPN's loss.

    Args:
        domain (DomainFeatures): Images with boxes.

    Returns:
        tuple[Tensor, Tensor]: Booleans (N, K), which of an image's anchors are
        sampled, and which of these are positive.
    """
    head, levels = domain.detector.rpn_head, domain.rpn_outputs[0]
    metas = [sample.metainfo for sample in domain.data_samples]
    sizes = [level.shape[-2:] for level in levels]
    _, weights, _, box_weights, *_ = head.get_targets(
        *head.get_anchors(sizes, metas, device=levels[0].device),
        [sample.gt_instances for sample in domain.data_samples],
        metas,
    )
    return torch.cat(weights, dim=1) > 0, torch.cat(box_weights, dim=1)[..., 0] > 0


def _by_anchor(levels: Sequence[Tensor], size: int) -> Tensor:
    """Order maps (N, A * size, H, W) of all levels as anchors (N, K, size)."""
    return torch.cat(
        [level.permute(0, 2, 3, 1).reshape(len(level), -1, size) for level in levels],
        dim=1,
    )
