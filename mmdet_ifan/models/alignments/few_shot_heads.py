"""Few-shot (FAFRCNN): pairs of cells and pairs of objects.

Wang et al., "Few-shot Adaptive Faster R-CNN", CVPR 2019, in its unsupervised
variant, which no target box is needed for.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from mmcv.ops import bbox_overlaps
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from mmengine.config import ConfigDict
from torch import Tensor, nn

from ..domain_features import DomainFeatures
from ..layers import (
    at_least_float,
    balanced_accuracy,
    domain_cross_entropy,
    frozen,
    mean_over,
)
from .adaptation_term import AdaptationTerm
from .base_alignment import BaseAlignment


class Pairs(NamedTuple):
    """Pairs of one kind, drawn at random.

    Attributes:
        first (Tensor): Index of each pair's first member, (..., P).
        second (Tensor): Index of each pair's second member, (..., P).
        drawn (Tensor): Booleans of the same shape. The others fill up places
            for which there was no pair, and count 0.
    """

    first: Tensor
    second: Tensor
    drawn: Tensor


def draw_pairs(allowed: Tensor, number: int) -> Pairs:
    """Draw pairs without repetition; all if there are no more than asked for.

    Args:
        allowed (Tensor): Which pairs there are, booleans of shape
            (..., A, B).
        number (int): Pairs to draw of each (A, B), at most.

    Returns:
        Pairs: ``min(number, A * B)`` places of each.
    """
    choices = allowed.flatten(-2)
    # Drawing from those that are allowed would wait for the device.
    order = torch.rand(choices.shape, device=allowed.device)
    order = order.masked_fill(~choices, -1)
    best, index = order.topk(min(number, order.shape[-1]))
    width = max(1, allowed.shape[-1])
    return Pairs(index // width, index % width, best >= 0)


def both_kinds(same: Pairs, cross: Pairs) -> tuple[Pairs, Pairs]:
    """Leave out what has pairs of one kind alone: nothing to tell apart.

    Args:
        same (Pairs): Two of source, (..., P).
        cross (Pairs): One of source and one of target, (..., P').

    Returns:
        tuple[Pairs, Pairs]: The same, none of them drawn where one kind is
        missing.
    """
    both = same.drawn.any(-1, keepdim=True) & cross.drawn.any(-1, keepdim=True)
    return (
        same._replace(drawn=same.drawn & both),
        cross._replace(drawn=cross.drawn & both),
    )


def grid_cells(
    img_shape: tuple[int, int], size: tuple[int, int], shift: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Lay a grid of whole cells on an image.

    Args:
        img_shape (tuple[int, int]): Height and width in pixels.
        size (tuple[int, int]): Width and height of a cell in pixels.
        shift (Sequence[Tensor]): x and y of the grid's first corner in
            pixels, two scalars.

    Returns:
        tuple[Tensor, Tensor]: Boxes (K, 4) of as many cells as fit without a
        shift, row by row; and which of them lie in the image, booleans (K, ).
    """
    (height, width), (cell_width, cell_height) = img_shape, size
    columns, rows = (
        torch.arange(length // side, device=start.device) * side + start
        for length, side, start in zip((width, height), size, shift, strict=True)
    )
    y, x = (corner.flatten() for corner in torch.meshgrid(rows, columns, indexing='ij'))
    boxes = torch.stack([x, y, x + cell_width, y + cell_height], dim=1)
    return boxes, (boxes[:, 2] <= width) & (boxes[:, 3] <= height)


@MODELS.register_module()
class SplitPoolingHead(BaseAlignment):
    r"""Pair cells of the last tap, and tell source-source from source-target.

    Grids of whole cells, shifted at random, are laid on each image without
    its padding: for each scale S and ratio r cells of
    :math:`S \sqrt r \times S / \sqrt r` px. A cell is the average of its
    features. For the pairs of a scale, :math:`G_1` of two source images and
    :math:`G_2` of a source and a target image, a classifier D gives the
    probability that a pair is of :math:`G_1`:

    .. math::
        L_d &= -E_{G_1} \log D - E_{G_2} \log (1 - D), \\
        L_g &= -E_{G_1} \log (1 - D) - E_{G_2} \log D

    both added up over the scales. The classifiers minimise :math:`L_d`, the
    detector :math:`L_g`. Nobody else gets a gradient (see :func:`frozen`).
    The j-th target image is paired with the j-th source image, from the first
    again if there are fewer. A scale that has pairs of one kind alone counts
    0, so a batch with a single source image counts 0: a pair of one image
    would tell its kind by that alone.

    Widths of the classifiers and the weight are ours; the paper's are not
    known.

    Args:
        in_channels (int): Channels of the last tap.
        featmap_strides (Sequence[int]): Stride of each tap in pixels.
        scales (Sequence[int]): Scales of cells in pixels, each with a
            classifier of its own. Defaults to (256, 160, 96).
        max_pairs (Sequence[int]): Pairs of either kind that are drawn in a
            step, for each scale. Defaults to (50, 100, 200).
        ratios (Sequence[float]): Width of a cell through its height. Defaults
            to (0.5, 1.0, 2.0).
        hidden_channels (Sequence[int]): Hidden widths of the classifiers.
            Defaults to (512, 128).
        **kwargs: ``loss_weight`` and ``grl_weight`` of
            :class:`BaseAlignment`. Nothing is reversed; ``grl_weight``
            multiplies the detector's loss.

    Raises:
        ValueError: If scales, ratios or pairs are not positive, or scales and
            pairs differ in number.
    """

    FROM_DETECTOR = dict(in_channels='last_tap_channels', featmap_strides='tap_strides')
    min_source_images = 2

    def __init__(
        self,
        in_channels: int,
        featmap_strides: Sequence[int],
        scales: Sequence[int] = (256, 160, 96),
        max_pairs: Sequence[int] = (50, 100, 200),
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        hidden_channels: Sequence[int] = (512, 128),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, values in dict(
            scales=scales, max_pairs=max_pairs, ratios=ratios
        ).items():
            if not values or min(values) <= 0:
                raise ValueError(
                    f'{name} of SplitPoolingHead must be positive numbers, at '
                    f'least one, but got {tuple(values)}.'
                )
        if len(scales) != len(max_pairs):
            raise ValueError(
                f'SplitPoolingHead needs max_pairs for each of its {len(scales)} '
                f'scales, but got {len(max_pairs)}.'
            )
        self.featmap_strides = tuple(featmap_strides)
        self.scales = tuple(scales)
        self.max_pairs = tuple(max_pairs)
        #: Width and height of the cells of each scale.
        self.sizes = [
            [
                (
                    max(1, round(scale * math.sqrt(ratio))),
                    max(1, round(scale / math.sqrt(ratio))),
                )
                for ratio in ratios
            ]
            for scale in scales
        ]
        self.pooler = SingleRoIExtractor(
            dict(type='RoIAlign', output_size=1, sampling_ratio=4),
            out_channels=in_channels,
            featmap_strides=[self.featmap_strides[-1]],
        )
        self.classifiers = nn.ModuleList(
            _classifier(2 * in_channels, hidden_channels, 1) for _ in scales
        )

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Compute both sides' losses on pairs drawn at random.

        Args:
            source (DomainFeatures): Gives the source's last tap.
            target (DomainFeatures): Gives the target's last tap.

        Returns:
            dict[str, Tensor]: ``loss_classifiers`` and ``loss_detector``; in
            percent, ``accuracy_{scale}`` of each classifier; the numbers
            ``pairs_same`` and ``pairs_cross``.
        """
        maps = [at_least_float(domain.taps[-1]) for domain in (source, target)]
        # In the graph also without any cell.
        nothing = maps[0][:0].sum() + maps[1][:0].sum()
        losses = [nothing, nothing]
        numbers = [nothing.detach(), nothing.detach()]
        logged = {}
        for scale, sizes, number, classifier in zip(
            self.scales, self.sizes, self.max_pairs, self.classifiers, strict=True
        ):
            cells, inside = zip(
                *(self._cells(domain, sizes) for domain in (source, target)),
                strict=True,
            )
            kinds = both_kinds(
                *(
                    draw_pairs(allowed, number)
                    for allowed in allowed_cells(cells, inside, len(maps[0]))
                )
            )
            outputs, *own = play(
                classifier,
                [
                    torch.cat(
                        [
                            self._pool(maps[0], cells[0][kind.first]),
                            self._pool(maps[other], cells[other][kind.second]),
                        ],
                        dim=1,
                    )
                    for other, kind in enumerate(kinds)
                ],
                [kind.drawn for kind in kinds],
                lambda logits, kind: domain_cross_entropy(logits[..., 0], 1 - kind),
            )
            losses = [a + b for a, b in zip(losses, own, strict=True)]
            numbers = [
                a + kind.drawn.sum() for a, kind in zip(numbers, kinds, strict=True)
            ]
            same, cross = (output[..., 0].float().sigmoid() for output in outputs)
            logged[f'accuracy_{scale}'] = balanced_accuracy(
                cross, same, [kind.drawn for kind in reversed(kinds)]
            )
        return dict(
            loss_classifiers=self.loss_weight * losses[0],
            loss_detector=self.loss_weight * self.reverse.weight * losses[1],
            **logged,
            pairs_same=numbers[0],
            pairs_cross=numbers[1],
        )

    def _cells(
        self, domain: DomainFeatures, sizes: Sequence[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """Lay the grids of a scale on each image.

        Returns:
            tuple[Tensor, Tensor]: Image index and box, (K, 5); and which lie
            in the image, booleans (K, ).
        """
        # On the device: numbers of the host would be sent over.
        draws = torch.rand(
            len(domain.img_shapes), len(sizes), 2, device=domain.taps[-1].device
        )
        rois, inside = [], []
        for i, shape in enumerate(domain.img_shapes):
            for size, draw in zip(sizes, draws[i], strict=True):
                boxes, whole = grid_cells(
                    shape,
                    size,
                    [(x * side).floor() for x, side in zip(draw, size, strict=True)],
                )
                rois.append(torch.cat([boxes.new_full((len(boxes), 1), i), boxes], 1))
                inside.append(whole)
        return torch.cat(rois), torch.cat(inside)

    def _pool(self, level: Tensor, rois: Tensor) -> Tensor:
        """Average the features in each box, (K, in_channels)."""
        return self.pooler((level,), rois).flatten(1)


@MODELS.register_module()
class SemanticPairHead(BaseAlignment):
    r"""Pair objects of a class, and tell source-source from source-target.

    A source object is a proposal that overlaps a labelled box by
    ``pos_iou_thr`` or more, and has its class. A target object is a confident
    detection with its predicted class; its box is a constant. For the pairs of
    a class i, :math:`N_{i1}` of two source images and :math:`N_{i2}` of source
    and target, one classifier D gives the probabilities of 2C outputs, a
    class's two kinds side by side:

    .. math::
        L_d &= \sum_i -E_{N_{i1}} \log D_{i1} - E_{N_{i2}} \log D_{i2}, \\
        L_g &= \sum_i -E_{N_{i1}} \log D_{i2} - E_{N_{i2}} \log D_{i1}

    The classifier minimises :math:`L_d`, the detector :math:`L_g`, which swaps
    the kinds within a class. Gradient reversal would instead push a pair
    towards whatever other class is likeliest. Nobody else gets a gradient (see
    :func:`frozen`). A class without source objects in two images or without a
    target object counts 0.

    Width of the classifier, weight and numbers of pairs are ours; the paper's
    are not known.

    Args:
        in_channels (int): Length of the box head's vectors.
        num_classes (int): Number C of classes.
        hidden_channels (Sequence[int]): Hidden widths of the classifier.
            Defaults to (1024, 1024).
        max_pairs (int): Pairs of either kind that are drawn of a class in a
            step. Defaults to 128.
        pos_iou_thr (float): Overlap that makes a source proposal an object, in
            (0, 1]. Defaults to 0.7.
        object_cfg (dict, optional): Which target detections are objects:
            ``score_thr``, ``nms`` and ``max_per_img``, as in mmdet's R-CNN
            test configuration. Defaults to None: scores above 0.7, NMS at
            0.5, at most 32 objects per image.
        **kwargs: ``loss_weight`` and ``grl_weight`` of
            :class:`BaseAlignment`. Nothing is reversed; ``grl_weight``
            multiplies the detector's loss.

    Raises:
        ValueError: If ``max_pairs`` or ``pos_iou_thr`` is out of range.
    """

    FROM_DETECTOR = dict(in_channels='vector_channels', num_classes='num_classes')
    min_source_images = 2

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        hidden_channels: Sequence[int] = (1024, 1024),
        max_pairs: int = 128,
        pos_iou_thr: float = 0.7,
        object_cfg: ConfigType | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_pairs < 1:
            raise ValueError(
                f'max_pairs of SemanticPairHead must be >= 1, but is {max_pairs}.'
            )
        if not 0 < pos_iou_thr <= 1:
            raise ValueError(
                'pos_iou_thr of SemanticPairHead must be in (0, 1], but is '
                f'{pos_iou_thr}.'
            )
        self.num_classes = num_classes
        self.max_pairs = max_pairs
        self.pos_iou_thr = pos_iou_thr
        self.object_cfg = ConfigDict(
            object_cfg
            or dict(
                score_thr=0.7, nms=dict(type='nms', iou_threshold=0.5), max_per_img=32
            )
        )
        self.classifier = _classifier(2 * in_channels, hidden_channels, 2 * num_classes)

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Compute both sides' losses on pairs drawn at random.

        Args:
            source (DomainFeatures): Gives the source proposals, boxes and
                labels.
            target (DomainFeatures): Gives the target objects; its annotations
                are not read.

        Returns:
            dict[str, Tensor]: ``loss_classifier`` and ``loss_detector``;
            ``accuracy`` of the classifier's choice between the two kinds of a
            pair's class, in percent; the numbers ``objects_source``,
            ``objects_target``, ``pairs_same`` and ``pairs_cross``.

        Raises:
            ValueError: If the box head has another number of classes.
        """
        proposals = source.proposals
        num_classes = proposals.cls_score.shape[1] - 1
        if num_classes != self.num_classes:
            raise ValueError(
                f'{type(self).__name__} has num_classes={self.num_classes}, but '
                f'the box head scores {num_classes} classes: make them agree.'
            )
        labels, is_object = self._source_labels(source)
        objects = target.detect(self.object_cfg)
        target_labels = torch.cat([image.labels for image in objects])
        pooled = target.pool([image.bboxes for image in objects])
        vectors = (proposals.vectors, pooled.vectors)

        classes = torch.arange(self.num_classes, device=labels.device)[:, None]
        ours, theirs = (labels == classes) & is_object, target_labels == classes
        image = proposals.rois[:, 0]
        kinds = both_kinds(
            *(
                draw_pairs(allowed, self.max_pairs)
                for allowed in (
                    ours[:, :, None]
                    & ours[:, None]
                    & (image[:, None] < image),  # Each pair once, in two images.
                    ours[:, :, None] & theirs[:, None],
                )
            )
        )
        outputs, classifier_loss, detector_loss = play(
            self.classifier,
            [
                torch.cat([vectors[0][kind.first], vectors[other][kind.second]], dim=-1)
                for other, kind in enumerate(kinds)
            ],
            [kind.drawn for kind in kinds],
            swapped_cross_entropy,
        )
        same, cross = (
            output.diff(dim=-1).squeeze(-1).neg().sigmoid()
            for output in map(own_outputs, outputs)
        )
        return dict(
            loss_classifier=self.loss_weight * classifier_loss,
            loss_detector=self.loss_weight * self.reverse.weight * detector_loss,
            accuracy=balanced_accuracy(
                cross, same, [kind.drawn for kind in reversed(kinds)]
            ),
            objects_source=is_object.sum().float(),
            objects_target=same.new_full((), len(target_labels)),
            pairs_same=kinds[0].drawn.sum().float(),
            pairs_cross=kinds[1].drawn.sum().float(),
        )

    def _source_labels(self, source: DomainFeatures) -> tuple[Tensor, Tensor]:
        """Tell each source proposal's class, and whether it is an object."""
        proposals = source.proposals
        labels, is_object = [], []
        for rois, sample in zip(
            proposals.rois.split(proposals.num_per_img),
            source.data_samples,
            strict=True,
        ):
            truth = sample.gt_instances
            if len(truth.bboxes):
                # mmdet's sends a number to the device.
                overlaps = bbox_overlaps(rois[:, 1:], truth.bboxes.type_as(rois))
                overlap, best = overlaps.max(dim=1)
                labels.append(truth.labels[best])
                is_object.append(overlap >= self.pos_iou_thr)
            else:
                labels.append(rois.new_zeros(len(rois), dtype=torch.long))
                is_object.append(labels[-1].bool())
        return torch.cat(labels), torch.cat(is_object)


@MODELS.register_module()
class SourceRegularization(AdaptationTerm):
    r"""Keep the features of source objects as a source detector has them.

    With :math:`f` the last tap, :math:`f_s` that of the teacher, and M the
    positions whose centre lies in a labelled box, k in number,

    .. math::
        L_{reg} = E_x \frac{1}{k} \| (f_s(x) - f(x)) M \|_2^2

    over source images, with the mean of the channels instead of their sum, so
    that the weight does not depend on the backbone. An image without such a
    position counts 0. The paper needs it against over-adaptation to a handful
    of target images; without labels it is an option.

    Args:
        **kwargs: ``loss_weight`` of :class:`AdaptationTerm`.
    """

    needs_teacher = True

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Compute the mean over the source images.

        Args:
            source (DomainFeatures): Gives the source's last tap, its teacher's
                and the boxes.
            target (DomainFeatures): Not used.

        Returns:
            dict[str, Tensor]: ``loss``, and the number ``positions``.

        Raises:
            ValueError: If nobody has given the detector a teacher.
        """
        if source.teacher is None:
            raise ValueError(
                'SourceRegularization compares with a source detector, but there '
                "is none: add default_hooks=dict(teacher=dict(type='"
                "FrozenTeacherHook', checkpoint=...))."
            )
        level, kept = (
            at_least_float(domain.taps[-1]) for domain in (source, source.teacher)
        )
        mask = self._foreground(source, level.shape[-2:])
        error = (kept - level).square().mean(dim=1)
        return dict(
            loss=self.loss_weight * mean_over(error, mask, dim=(1, 2)).mean(),
            positions=mask.sum().float(),
        )

    @staticmethod
    def _foreground(source: DomainFeatures, size: Sequence[int]) -> Tensor:
        """Mark the positions of objects, booleans of shape (N, H, W)."""
        masks = []
        for sample in source.data_samples:
            boxes = sample.gt_instances.bboxes
            rows, columns = (
                (torch.arange(number, device=boxes.device) + 0.5) * padded / number
                for number, padded in zip(size, source.batch_shape, strict=True)
            )
            x1, y1, x2, y2 = boxes[:, :, None].unbind(dim=1)
            inside = ((y1 <= rows) & (rows < y2))[:, :, None] & (
                (x1 <= columns) & (columns < x2)
            )[:, None]
            masks.append(inside.any(dim=0))
        return torch.stack(masks)


def allowed_cells(
    rois: tuple[Tensor, Tensor], inside: tuple[Tensor, Tensor], num_source: int
) -> tuple[Tensor, Tensor]:
    """Tell which cells may be paired.

    Args:
        rois (tuple[Tensor, Tensor]): Image index and box of the cells of
            source, (A, 5), and of target, (B, 5).
        inside (tuple[Tensor, Tensor]): Which of them count, (A, ), (B, ).
        num_source (int): Number of source images.

    Returns:
        tuple[Tensor, Tensor]: Booleans (A, A) of the pairs of two source
        images, the earlier image first; and (A, B) of those of a target image
        and its source image.
    """
    ours, theirs = (cells[:, 0] for cells in rois)
    return (
        inside[0][:, None] & inside[0] & (ours[:, None] < ours),
        inside[0][:, None] & inside[1] & (ours[:, None] == theirs % num_source),
    )


def play(
    classifier: nn.Module,
    vectors: Sequence[Tensor],
    drawn: Sequence[Tensor],
    entropy: Callable[[Tensor, int], Tensor],
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Compute the losses of both sides of the game.

    Args:
        classifier (nn.Module): Tells the two kinds of pairs apart.
        vectors (Sequence[Tensor]): The pairs of each kind, (..., P, 2C).
        drawn (Sequence[Tensor]): Which of them count, (..., P).
        entropy (Callable): Gives the cross-entropy (..., P) of outputs if
            their pairs were of kind 0 or 1.

    Returns:
        tuple[list[Tensor], Tensor, Tensor]: The classifier's outputs for each
        kind; its loss; and the detector's, with the kinds swapped. Each kind
        is averaged over P, then all are added up.
    """
    outputs = [classifier(pairs.detach()) for pairs in vectors]
    fooled = [frozen(classifier)(pairs) for pairs in vectors]
    losses = [
        torch.stack(
            [
                mean_over(
                    entropy(logits, kind if right else 1 - kind), counts, dim=-1
                ).sum()
                for kind, (logits, counts) in enumerate(
                    zip(logits_of, drawn, strict=True)
                )
            ]
        ).sum()
        for right, logits_of in ((True, outputs), (False, fooled))
    ]
    return outputs, losses[0], losses[1]


def own_outputs(logits: Tensor) -> Tensor:
    """Take the two outputs of each pair's own class.

    Args:
        logits (Tensor): Pairs of each of C classes, (C, P, 2C); the outputs
            are (0 same, 0 cross, 1 same, ...).

    Returns:
        Tensor: Float32 of shape (C, P, 2).
    """
    num_classes = len(logits)
    by_class = logits.float().unflatten(-1, (num_classes, 2))
    return by_class.diagonal(dim1=0, dim2=2).movedim(-1, 0)


def swapped_cross_entropy(logits: Tensor, kind: int) -> Tensor:
    """Compute the cross-entropy of pairs as a kind of their own class.

    Args:
        logits (Tensor): See :func:`own_outputs`.
        kind (int): 0 for source-source, 1 for source-target.

    Returns:
        Tensor: Float32 of shape (C, P), >= 0.
    """
    return -own_outputs(logits.float().log_softmax(dim=-1))[..., kind]


def _classifier(
    in_channels: int, hidden_channels: Sequence[int], out_channels: int
) -> nn.Sequential:
    """Make linear layers with ReLU between."""
    widths = (in_channels, *hidden_channels)
    layers: list[nn.Module] = []
    for width, next_width in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(width, next_width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], out_channels))
