"""Category correlation by metric learning (iFAN, Eq. 6)."""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import ConfigType
from mmengine.config import ConfigDict
from torch import Tensor, nn

from ..domain_features import DomainFeatures
from ..layers import at_least_float, mean_over, unit_vectors
from .base_alignment import BaseAlignment


@MODELS.register_module()
class CorrelationMetricHead(BaseAlignment):
    r"""A metric discriminator on the predicted objects of both domains.

    Each predicted object (a decoded, refined box without gradient) is pooled
    from every tap, brought to one width by a 1x1 convolution per tap, summed
    over the taps, embedded by one fully connected layer, and scaled to length
    1. With d the Euclidean distance of two embeddings,

    .. math::
        L_{corr} = E_{S_{sddc}} d^2 + E_{S_{ddsc}} \max(0, m - d)^2

    over the pairs of the same domain and different categories, and of
    different domains and the same category. Categories are the predicted ones
    in both domains. An empty group counts 0. The reversal lies on the pooled
    features, so the 1x1 convolutions belong to the discriminator.

    Length 1 is ours, not the paper's. Without it the first term, which the
    detector maximises, has no upper bound and grows with the square of the
    features' scale: with a pretrained VGG-16 it destroyed the detector within
    fifty iterations. With it :math:`d \le 2` and, as the layers have no bias,
    neither the term nor its gradient depends on the features' scale.

    Args:
        in_channels (Sequence[int]): Channels of each tap.
        featmap_strides (Sequence[int]): Stride of each tap, in pixels.
        embed_channels (int): Width of the fused features and of the
            embedding. Defaults to 256.
        roi_size (int): Side P of the pooled P x P features. Defaults to 7.
        margin (float): The margin m, in (0, 2) if embeddings are normalised.
            Defaults to 1.0.
        normalize (bool): Whether to scale embeddings to length 1. False gives
            Eq. 6 as printed, with biases: use it only with features that are
            small when the term is launched. Defaults to True.
        object_cfg (dict, optional): Which detections are objects:
            ``score_thr``, ``nms`` and ``max_per_img``, as in mmdet's R-CNN
            test configuration. Defaults to None: scores above 0.05, NMS at
            0.5, at most 32 objects per image.
        **kwargs: ``loss_weight`` and ``grl_weight`` of
            :class:`BaseAlignment`.

    Raises:
        ValueError: If ``featmap_strides`` and ``in_channels`` differ in
            length, or the margin is out of range.
    """

    FROM_DETECTOR = dict(in_channels='tap_channels', featmap_strides='tap_strides')

    def __init__(
        self,
        in_channels: Sequence[int],
        featmap_strides: Sequence[int],
        embed_channels: int = 256,
        roi_size: int = 7,
        margin: float = 1.0,
        normalize: bool = True,
        object_cfg: ConfigType | None = None,
        **kwargs: Any,
    ) -> None:
        # Without normalisation, PyTorch's initialisation puts distances far
        # above the margin, and d^2 outweighs the detection loss.
        super().__init__(
            init_cfg=dict(type='Normal', layer=['Conv2d', 'Linear'], std=0.01), **kwargs
        )
        if len(in_channels) != len(featmap_strides):
            raise ValueError(
                'CorrelationMetricHead needs a stride for each of the '
                f'{len(in_channels)} taps, but got {len(featmap_strides)}.'
            )
        if margin <= 0:
            raise ValueError(f'The margin must be positive, but got {margin}.')
        if normalize and margin >= 2:
            raise ValueError(
                'Normalised embeddings are at most 2 apart, so the margin '
                f'must be below 2, but got {margin}.'
            )
        self.margin = margin
        self.normalize = normalize
        self.featmap_strides = tuple(featmap_strides)
        self.object_cfg = ConfigDict(
            object_cfg
            or dict(
                score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=32
            )
        )
        # mmcv's own RoIAlign fails on a GPU when there is no object.
        self.poolers = nn.ModuleList(
            SingleRoIExtractor(
                dict(type='RoIAlign', output_size=roi_size, sampling_ratio=2),
                out_channels=channels,
                featmap_strides=[stride],
            )
            for channels, stride in zip(in_channels, featmap_strides, strict=True)
        )
        # A bias would outweigh small features and vanish beside large ones.
        self.fuse_convs = nn.ModuleList(
            nn.Conv2d(channels, embed_channels, 1, bias=not normalize)
            for channels in in_channels
        )
        self.embed = nn.Linear(
            embed_channels * roi_size**2, embed_channels, bias=not normalize
        )

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Compute Eq. 6 over all pairs of objects in the batch.

        Args:
            source (DomainFeatures): Gives the source taps and objects.
            target (DomainFeatures): Gives the target taps and objects.

        Returns:
            dict[str, Tensor]: ``loss_sddc`` and ``loss_ddsc``; the numbers
            ``objects_source``, ``objects_target``, ``pairs_sddc`` and
            ``pairs_ddsc``.
        """
        (source_embeds, source_labels), (target_embeds, target_labels) = (
            self._embed_objects(domain) for domain in (source, target)
        )
        embeds = torch.cat([source_embeds, target_embeds])
        labels = torch.cat([source_labels, target_labels])
        is_target = torch.arange(len(labels), device=labels.device) >= len(
            source_labels
        )

        # It needs no (N, N, C) differences, |a|^2 + |b|^2 - 2ab would cancel,
        # and its gradient is 0, not NaN, where two embeddings coincide.
        distance = torch.cdist(
            embeds, embeds, compute_mode='donot_use_mm_for_euclid_dist'
        )
        same_class = labels[:, None] == labels[None]
        same_domain = is_target[:, None] == is_target[None]
        each_pair_once = torch.ones_like(same_class).triu(diagonal=1)
        sddc = same_domain & ~same_class & each_pair_once
        ddsc = ~same_domain & same_class & each_pair_once

        pull = mean_over(distance.square(), sddc)
        push = mean_over((self.margin - distance).clamp(min=0).square(), ddsc)
        return dict(
            loss_sddc=self.loss_weight * pull,
            loss_ddsc=self.loss_weight * push,
            objects_source=embeds.new_full((), len(source_labels)),
            objects_target=embeds.new_full((), len(target_labels)),
            pairs_sddc=sddc.sum().float(),
            pairs_ddsc=ddsc.sum().float(),
        )

    def _embed_objects(self, domain: DomainFeatures) -> tuple[Tensor, Tensor]:
        """Compute one domain's embeddings (K, embed_channels) and labels."""
        objects = domain.detect(self.object_cfg)
        rois = bbox2roi([image.bboxes for image in objects])
        # Boxes in half precision, the taps' under AMP, are off by pixels.
        fused = torch.stack(
            [
                conv(self.reverse(pooler((tap,), rois)))
                for tap, pooler, conv in zip(
                    map(at_least_float, domain.taps),
                    self.poolers,
                    self.fuse_convs,
                    strict=True,
                )
            ]
        ).sum(dim=0)
        embeds = self.embed(fused.flatten(1)).float()
        if self.normalize:
            embeds = unit_vectors(embeds)
        return embeds, torch.cat([image.labels for image in objects])
