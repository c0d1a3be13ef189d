"""MTOR: a student that keeps its teacher's relations between objects.

Cai et al., "Exploring Object Relation in Mean Teacher for Cross-Domain
Detection", CVPR 2019.
"""

import math
from typing import Any

import torch
from mmdet.registry import MODELS
from torch import Tensor

from ..domain_features import DomainFeatures
from ..layers import at_least_float, check_weight, mean_over, unit_vectors
from .adaptation_term import AdaptationTerm

#: Length up to which the vector of a region has no direction.
EPS = 1e-6


@MODELS.register_module()
class ObjectRelationHead(AdaptationTerm):
    r"""Compare regions of a target image as detector and teacher see them.

    The teacher is the moving average of the detector, the student. It
    proposes regions in its view of the image; both score them, each in its
    own view. With the class probabilities p, background included, and the
    vector f that a box head scores, the regions that count are those whose
    largest foreground probability in the teacher's eyes is above
    :math:`\epsilon`. They are R, n in number, and c is that foreground class.
    With the cosine :math:`M_{ij} = \cos(f_i, f_j)`,

    .. math::
        L_{RLC} &= \frac{1}{n} \sum_{i \in R} \| p^T_i - p^S_i \|^2, \\
        L_{EGC} &= \frac{1}{n^2} \sum_{i, j \in R} (M^T_{ij} - M^S_{ij})^2, \\
        L_{IGC} &= \frac{\sum_{i, j \in R} [c_i = c_j] (1 - M^S_{ij})}
                   {\sum_{i, j \in R} [c_i = c_j]}

    The teacher is constant. Each loss is computed for each image and averaged
    over images; without regions that count it is 0. The threshold grows with
    the progress q of the term from its start b,
    :math:`\epsilon = b + (1 - b) \log(1 + 10 q) / \log 11`. Source images are
    not used, and no network is added.

    Where paper and public code differ, the losses are the paper's: the code
    divides by one more than n, n squared and the number of pairs, and in place
    of :math:`L_{IGC}` it pulls and pushes squared distances, with a margin.
    Weights, threshold and the decay of the average are the code's, with which
    the published detectors were trained. Regions are the first of those that
    the teacher proposes at test time.

    Args:
        num_regions (int): Number of regions of an image, at most, >= 1.
            Defaults to 128.
        threshold (float): Start b of the threshold, in [0, 1). Defaults to
            0.98, the code's for Cityscapes to Foggy Cityscapes.
        region_weight (float): Weight of L_RLC, >= 0. Defaults to 1.0.
        inter_weight (float): Weight of L_EGC, >= 0. Defaults to 0.1, the
            code's for the same pair.
        intra_weight (float): Weight of L_IGC, >= 0. Defaults to 0.1, the
            same.
        **kwargs: ``loss_weight`` of :class:`AdaptationTerm`.

    Raises:
        ValueError: If an argument is out of range or, in training, if the
            detector has no teacher.
    """

    needs_teacher = True
    needs_views = ('target_teacher', 'target')

    def __init__(
        self,
        num_regions: int = 128,
        threshold: float = 0.98,
        region_weight: float = 1.0,
        inter_weight: float = 0.1,
        intra_weight: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_regions < 1:
            raise ValueError(f'num_regions must be >= 1, but is {num_regions}.')
        if not 0 <= threshold < 1:
            raise ValueError(
                'threshold is a probability to start from, in [0, 1), but got '
                f'{threshold}.'
            )
        self.num_regions = num_regions
        self.threshold = threshold
        self.weights = dict(
            region=region_weight, inter=inter_weight, intra=intra_weight
        )
        for name, weight in self.weights.items():
            check_weight(f'The {name}_weight of ObjectRelationHead', weight)

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Compute the three losses on target.

        Args:
            source (DomainFeatures): Not used.
            target (DomainFeatures): Gives the target images as detector and
                teacher see them.

        Returns:
            dict[str, Tensor]: ``loss_region``, ``loss_inter`` and
            ``loss_intra``; ``regions_kept``, how many of an image count, on
            average; and the ``threshold`` in [0, 1).

        Raises:
            ValueError: If there is no teacher.
        """
        if target.teacher is None:
            raise ValueError(
                'ObjectRelationHead compares the detector with a teacher, but has '
                "none: add default_hooks=dict(teacher=dict(type='TeacherHook', "
                'momentum=0.001)).'
            )
        boxes = [image[: self.num_regions] for image in target.teacher.proposal_boxes]
        with torch.no_grad():
            taught = target.teacher.pool(boxes)
        seen = target.pool(boxes)
        sizes = seen.num_per_img
        threshold = self.threshold + (1 - self.threshold) * (
            math.log1p(10 * self.progress) / math.log(11)
        )
        images = [
            _compare(threshold, *image)
            for image in zip(
                *(
                    at_least_float(values).split(sizes)
                    for values in (
                        taught.cls_score,
                        taught.vectors,
                        seen.cls_score,
                        seen.vectors,
                    )
                ),
                strict=True,
            )
        ]
        means = {
            key: torch.stack([image[key] for image in images]).mean()
            for key in images[0]
        }
        return dict(
            {
                f'loss_{name}': self.loss_weight * weight * means[name]
                for name, weight in self.weights.items()
            },
            regions_kept=means['kept'],
            threshold=means['region'].new_full((), threshold),
        )


def _compare(
    threshold: float,
    teacher_scores: Tensor,
    teacher_vectors: Tensor,
    student_scores: Tensor,
    student_vectors: Tensor,
) -> dict[str, Tensor]:
    """Compute the losses of one image, without their weights.

    Args:
        threshold (float): Foreground probability above which a region counts.
        teacher_scores (Tensor): Logits of the teacher for K regions,
            background last, (K, num_classes + 1).
        teacher_vectors (Tensor): The vectors behind them, (K, C).
        student_scores (Tensor): The student's logits, alike.
        student_vectors (Tensor): The student's vectors, alike.

    Returns:
        dict[str, Tensor]: L_RLC as ``region``, L_EGC as ``inter``, L_IGC as
        ``intra``, and ``kept``, the number of regions that count.
    """
    probs = teacher_scores.softmax(dim=1)
    surest, classes = probs[:, :-1].max(dim=1)
    kept = surest > threshold
    pairs = kept[:, None] & kept
    alike = pairs & (classes[:, None] == classes)
    teacher, student = map(_cosines, (teacher_vectors, student_vectors))
    return dict(
        region=mean_over(
            (probs - student_scores.softmax(dim=1)).square().sum(dim=1), kept
        ),
        inter=mean_over((teacher - student).square(), pairs),
        intra=mean_over(1 - student, alike),
        kept=kept.sum().to(probs.dtype),
    )


def _cosines(vectors: Tensor) -> Tensor:
    """Compute the cosines (K, K) of vectors (K, C); 0 where one has no direction."""
    units = unit_vectors(vectors, EPS)
    # Mixed precision would round the product of matrices.
    with torch.autocast(units.device.type, enabled=False):
        return units @ units.T
