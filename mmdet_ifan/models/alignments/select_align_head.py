"""SelectAlign (SCDA): align regions that the proposals point at.

Zhu et al., "Adapting Object Detectors via Selective Cross-Domain Alignment",
CVPR 2019.
"""

import math
from typing import Any, NamedTuple

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from ..domain_features import DomainFeatures
from ..layers import (
    SinglePrecisionConv2d,
    balanced_accuracy,
    cut_patches,
    domain_cross_entropy,
    first_members,
    frozen,
    k_means,
)
from .base_alignment import BaseAlignment


class Regions(NamedTuple):
    """The regions of N images of a domain, K each.

    Attributes:
        vectors (Tensor): Vectors of each region's proposals, read as an image
            with a channel for each, (N * K, M, S, S).
        patches (Tensor): What the images show there, in [-1, 1], without
            gradient, (N * K, 3, R, R).
        filled (list[bool]): Which images have proposals. The regions of the
            others are blank and count 0.
    """

    vectors: Tensor
    patches: Tensor
    filled: list[bool]

    def mean(self, values: Tensor) -> Tensor:
        """Average a number of each region, (N * K, ), over regions and images."""
        images = values.unflatten(0, (len(self.filled), -1))
        # A tensor of what is filled would be sent to the device.
        return sum(
            image.mean() * is_filled
            for image, is_filled in zip(images, self.filled, strict=True)
        ) / len(self.filled)


@MODELS.register_module()
class SelectAlignHead(BaseAlignment):
    r"""Decode regions of proposals into pictures, and compare these.

    Where to look: k-means groups the centres of an image's first K * M
    proposals into K regions. Each gives the vectors :math:`\Theta` of its
    first M proposals, repeated from the front if it has fewer, and the patch
    p of the image around its centre.

    How to align: decoders :math:`R_S, R_T` rebuild a patch from
    :math:`\Theta`, classifiers :math:`D_S, D_T` tell real patches (1) from
    rebuilt ones (0), and an estimator E tells source (1) from target (0). Its
    mean output for a target region is the weight w, a constant. With BCE
    averaged over regions and images,

    .. math::
        L_E &= BCE(E(\Theta_s), 1) + BCE(E(\Theta_t), 0), \\
        L_D &= BCE(D_S(p_s), 1) + BCE(D_S(R_S \Theta_s), 0)
               + BCE(D_T(p_t), 1) + w BCE(D_T(R_T \Theta_t), 0), \\
        L_R &= BCE(D_S(R_S \Theta_s), 1) + w BCE(D_T(R_T \Theta_t), 1), \\
        L_F &= BCE(D_T(R_T \Theta_s), 1) + w BCE(D_S(R_S \Theta_t), 1)

    E, D and R minimise the loss of their letter. The detector minimises
    :math:`L_F`: its vectors should look real when the other domain's decoder
    rebuilds them. Nobody else gets a gradient (see :func:`frozen`).

    The public code differs. It passes :math:`\Theta` through numpy, so no
    gradient reaches the detector. On the source its labels make :math:`D_S`
    and :math:`R_S` cooperate, so the detector is asked to look rebuilt. Both
    are corrected here. It draws the labels of E and D from [0.8, 1] and
    [0, 0.3] and normalises E over the batch; here labels are the means, which
    gives the same expected loss, and E has no normalisation, which would
    remove the difference of the domains. It adds up the regions, where we
    average.

    Args:
        in_channels (int): Length of the box head's vectors, a square >= 4.
        num_proposals (int): Proposals that the detector gives for an image of
            either domain, at most.
        num_regions (int): Number K of regions of an image. Defaults to 4, the
            code's recommendation.
        proposals_per_region (int, optional): Number M of proposals of a
            region. Defaults to None, as many as there are:
            ``num_proposals // num_regions``.
        patch_size (int, optional): Side R of a patch in pixels: the vector's
            side S times a power of 2, for each of which a decoder halves the
            M channels. Defaults to None, 4 S: 256 of VGG-16.
        classifier_channels (int): Width of the first layer of the picture
            classifiers; each further one is twice as wide. Defaults to 32.
        labels (tuple[float, float]): Labels for 0 and 1 in E and D. Defaults
            to (0.15, 0.9).
        **kwargs: ``loss_weight`` and ``grl_weight`` of
            :class:`BaseAlignment`. Nothing is reversed; ``grl_weight``
            multiplies the detector's loss.

    Raises:
        ValueError: If the sizes do not fit each other, the regions need more
            proposals than there are, or, in training, an image is smaller
            than a patch.
    """

    FROM_DETECTOR = dict(in_channels='vector_channels', num_proposals='num_proposals')

    def __init__(
        self,
        in_channels: int,
        num_proposals: int,
        num_regions: int = 4,
        proposals_per_region: int | None = None,
        patch_size: int | None = None,
        classifier_channels: int = 32,
        labels: tuple[float, float] = (0.15, 0.9),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.side = math.isqrt(in_channels)
        if self.side < 2 or self.side**2 != in_channels:
            raise ValueError(
                'SelectAlignHead reads a vector as a square image, but vectors '
                f'have {in_channels} numbers: let fc_out_channels of the box '
                'head be a square, such as 256, 1024 or 4096.'
            )
        if num_regions < 1:
            raise ValueError(f'num_regions must be >= 1, but is {num_regions}.')
        if proposals_per_region is None:
            proposals_per_region = num_proposals // num_regions
        if not 1 <= proposals_per_region <= num_proposals // num_regions:
            raise ValueError(
                f'{num_regions} regions of {proposals_per_region} proposals do '
                f'not fit into the {num_proposals} that the detector gives for '
                'an image: lower num_regions or proposals_per_region, or raise '
                'num of train_cfg.rcnn.sampler and max_per_img of '
                'test_cfg.rpn.'
            )
        self.min_image_size = patch_size = patch_size or 4 * self.side
        doublings = (patch_size // self.side).bit_length() - 1
        if patch_size < self.side or self.side << doublings != patch_size:
            raise ValueError(
                f'patch_size must be {self.side}, the side of a vector as an '
                f'image, times a power of 2, but is {patch_size}.'
            )
        if proposals_per_region % 2**doublings:
            raise ValueError(
                f'A decoder halves proposals_per_region {doublings} times up to '
                f'patches of {patch_size} px, but it is {proposals_per_region}: '
                f'give a multiple of {2**doublings}, or another patch_size.'
            )
        self.num_regions = num_regions
        self.proposals_per_region = proposals_per_region
        self.labels = labels
        self.decoders, self.classifiers = (
            nn.ModuleDict({domain: make() for domain in ('source', 'target')})
            for make in (
                lambda: _decoder(proposals_per_region, doublings),
                lambda: _classifier(classifier_channels, doublings + 1),
            )
        )
        self.estimator = _estimator(proposals_per_region)

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Compute the losses of all networks and of the detector.

        Args:
            source (DomainFeatures): Gives the source proposals and pixels.
            target (DomainFeatures): Gives the target proposals and pixels.

        Returns:
            dict[str, Tensor]: ``loss_estimator``, ``loss_classifiers``,
            ``loss_decoders`` and ``loss_detector``; in percent,
            ``accuracy_estimator``, and ``accuracy_source`` and
            ``accuracy_target`` of the picture classifiers;
            ``target_weight``, the mean of w in [0, 1]; the numbers
            ``proposals_source`` and ``proposals_target``.
        """
        regions = dict(source=self._regions(source), target=self._regions(target))
        false, true = self.labels
        estimates = {
            name: self.estimator(part.vectors.detach())
            for name, part in regions.items()
        }
        likeness = estimates['target'].detach().sigmoid().mean(dim=1)
        estimator = regions['source'].mean(
            _cross_entropy(estimates['source'], true)
        ) + regions['target'].mean(_cross_entropy(estimates['target'], false))
        terms, accuracies = [], []
        for name, other, weight in (
            ('source', 'target', 1.0),
            ('target', 'source', likeness),
        ):
            part, classify = regions[name], self.classifiers[name]
            rebuilt = self.decoders[name](part.vectors.detach())
            on_real, on_rebuilt = classify(part.patches), classify(rebuilt.detach())
            exchanged = frozen(self.decoders[other])(part.vectors)
            terms.append(
                dict(
                    loss_classifiers=part.mean(
                        _cross_entropy(on_real, true)
                        + weight * _cross_entropy(on_rebuilt, false)
                    ),
                    loss_decoders=part.mean(
                        weight * _cross_entropy(frozen(classify)(rebuilt), 1)
                    ),
                    loss_detector=self.reverse.weight
                    * part.mean(
                        weight
                        * _cross_entropy(frozen(self.classifiers[other])(exchanged), 1)
                    ),
                )
            )
            accuracies.append(
                balanced_accuracy(on_rebuilt.sigmoid(), on_real.sigmoid())
            )
        return dict(
            {
                key: self.loss_weight * (terms[0][key] + terms[1][key])
                for key in terms[0]
            },
            loss_estimator=self.loss_weight * estimator,
            accuracy_estimator=balanced_accuracy(
                estimates['target'].sigmoid(), estimates['source'].sigmoid()
            ),
            accuracy_source=accuracies[0],
            accuracy_target=accuracies[1],
            target_weight=likeness.mean(),
            proposals_source=likeness.new_full((), sum(source.proposals.num_per_img)),
            proposals_target=likeness.new_full((), sum(target.proposals.num_per_img)),
        )

    def _regions(self, domain: DomainFeatures) -> Regions:
        """Group the proposals of each image, and look at the groups."""
        proposals = domain.proposals
        sizes = proposals.num_per_img
        vectors, patches = [], []
        for rois, of_image, pixels, shape in zip(
            proposals.rois.split(sizes),
            proposals.vectors.split(sizes),
            domain.pixels,
            domain.img_shapes,
            strict=True,
        ):
            if min(shape) < self.min_image_size:
                raise ValueError(
                    f'SelectAlignHead cuts patches of {self.min_image_size} px, '
                    f'but an image has {shape[0]} x {shape[1]} px: lower '
                    'patch_size, or enlarge images with Resize.'
                )
            boxes = rois[: self.num_regions * self.proposals_per_region, 1:]
            if len(boxes):
                centres, own = k_means(
                    (boxes[:, :2] + boxes[:, 2:]) / 2, self.num_regions
                )
                members = first_members(own, self.proposals_per_region)
                vectors.append(of_image[members])
            else:
                centres = boxes.new_zeros(self.num_regions, 2)
                # In the graph all the same.
                blank = of_image.new_zeros(
                    self.num_regions, self.proposals_per_region, self.side**2
                )
                vectors.append(blank + of_image.sum())
            patches.append(cut_patches(pixels, centres, self.min_image_size, shape))
        return Regions(
            torch.cat(vectors).unflatten(2, (self.side, self.side)),
            torch.cat(patches),
            [size > 0 for size in sizes],
        )


class _Residual(nn.Module):
    """Add two normalised convolutions of maps (N, channels, H, W) to them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.InstanceNorm2d(channels),
            nn.Dropout(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the sum, of the same shape."""
        return x + self.layers(x)


def _decoder(channels: int, doublings: int) -> nn.Sequential:
    """Make a decoder of vectors (N, channels, S, S) to pictures in [-1, 1].

    Each doubling of S halves the channels.
    """
    layers: list[nn.Module] = [_Residual(channels) for _ in range(3)]
    for _ in range(doublings):
        layers += [
            nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True),
            nn.Conv2d(channels, channels // 2, 3, padding=1),
            nn.InstanceNorm2d(channels // 2),
            nn.LeakyReLU(inplace=True),
        ]
        channels //= 2
    return nn.Sequential(*layers, nn.Conv2d(channels, 3, 1), nn.Tanh())


def _classifier(channels: int, halvings: int) -> nn.Sequential:
    """Make a classifier of pictures, a logit for each of several places."""
    widths = [3, *(channels << i for i in range(halvings))]
    layers: list[nn.Module] = []
    for width, next_width in zip(widths[:-1], widths[1:], strict=True):
        layers += [
            nn.Conv2d(width, next_width, 3, stride=2, padding=1),
            nn.LeakyReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 1))


def _estimator(channels: int) -> nn.Sequential:
    """Make an estimator of logits (N, 4 * channels) from (N, channels, S, S)."""
    widths = (channels, 2 * channels, 4 * channels, 4 * channels)
    layers: list[nn.Module] = []
    for width, next_width in zip(widths[:-1], widths[1:], strict=True):
        layers += [
            SinglePrecisionConv2d(width, next_width, 3, stride=2, padding=1),
            nn.LeakyReLU(inplace=True),
        ]
    # Nothing after the last convolution but the average.
    return nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    """Average the cross-entropy over each region's outputs, giving (N, )."""
    return domain_cross_entropy(logits, label).flatten(1).mean(dim=1)
