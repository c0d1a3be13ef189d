"""Image level: hierarchically nested domain classifiers (iFAN, Eq. 2, 3)."""

from collections.abc import Sequence
from typing import Any

from mmdet.registry import MODELS
from torch import Tensor, nn

from ..domain_features import DomainFeatures
from ..layers import (
    SOURCE,
    TARGET,
    DomainClassifier,
    balanced_accuracy,
    check_weight,
    mean_of_valid,
)
from .base_alignment import BaseAlignment


@MODELS.register_module()
class HierarchicalDomainHead(BaseAlignment):
    r"""A domain classifier on each backbone tap.

    .. math::
        L_{D_l} = E[D_l(\Phi_l(x_s))^2] + E[(1 - D_l(\Phi_l(x_t)))^2],
        \quad L_{img} = \sum_l \lambda_l L_{D_l}

    The mean runs over the valid positions of each image first, then over the
    images. A position is valid if its whole cell lies in the image: padding
    would tell the classifier the domain.

    Args:
        in_channels (Sequence[int]): Channels of each backbone tap.
        taps (Sequence[int], optional): Taps to align, counted from 0 (paper,
            Table 4a). Defaults to None, all.
        tap_weights (Sequence[float], optional): lambda_l of each aligned tap,
            >= 0. Defaults to None, 1.0 each.
        hidden_channels (Sequence[int]): Hidden widths of the classifiers.
            Defaults to (256, 128).
        **kwargs: ``loss_weight`` and ``grl_weight`` of
            :class:`BaseAlignment`.

    Raises:
        ValueError: If ``taps`` is empty, repeats a tap or names one that the
            backbone does not have, or if ``tap_weights`` has another length
            or holds anything but finite numbers >= 0.
    """

    #: Whether, as a neck, it computes with its weights when the detector
    #: predicts.
    predicts = False

    FROM_DETECTOR = dict(in_channels='tap_channels')

    def __init__(
        self,
        in_channels: Sequence[int],
        taps: Sequence[int] | None = None,
        tap_weights: Sequence[float] | None = None,
        hidden_channels: Sequence[int] = (256, 128),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.in_channels = tuple(in_channels)
        if isinstance(taps, int):
            raise ValueError(f'taps is a list, such as ({taps}, ), but got {taps}.')
        self.taps = tuple(range(len(self.in_channels)) if taps is None else taps)
        if not self.taps:
            raise ValueError(
                'taps names no tap to align. For a detector without the image '
                "level use neck=dict(_delete_=True, type='LastTap')."
            )
        known = range(len(self.in_channels))
        if len(set(self.taps)) < len(self.taps) or any(
            tap not in known for tap in self.taps
        ):
            raise ValueError(
                f'The backbone has the taps {list(known)}, and taps names '
                f'each at most once, but got {list(self.taps)}.'
            )
        self.tap_weights = tuple(
            [1.0] * len(self.taps) if tap_weights is None else tap_weights
        )
        if len(self.tap_weights) != len(self.taps):
            raise ValueError(
                'tap_weights needs one weight for each of the '
                f'{len(self.taps)} aligned taps, but got '
                f'{len(self.tap_weights)}.'
            )
        for tap, weight in zip(self.taps, self.tap_weights, strict=True):
            check_weight(f'The weight of tap {tap} in tap_weights', weight)
        self.classifiers = nn.ModuleList(
            DomainClassifier(self.in_channels[tap], hidden_channels=hidden_channels)
            for tap in self.taps
        )

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Compute Eq. 2 for each aligned tap.

        Args:
            source (DomainFeatures): Gives the source taps.
            target (DomainFeatures): Gives the target taps.

        Returns:
            dict[str, Tensor]: For tap l, counted from 1 as in the paper,
            ``loss_phi{l}`` and ``accuracy_phi{l}`` (in percent).
        """
        losses: dict[str, Tensor] = {}
        for tap, weight, classifier in zip(
            self.taps, self.tap_weights, self.classifiers, strict=True
        ):
            terms, outputs, valids = [], [], []
            for domain, label in ((source, SOURCE), (target, TARGET)):
                output = classifier(self.reverse(domain.taps[tap])).squeeze(1)
                valid = domain.valid_positions(output)
                error = (output - label).square()
                terms.append(mean_of_valid(error, valid).mean())
                outputs.append(output)
                valids.append(valid)
            name = f'phi{tap + 1}'
            losses[f'loss_{name}'] = self.loss_weight * weight * (terms[0] + terms[1])
            losses[f'accuracy_{name}'] = balanced_accuracy(
                outputs[0], outputs[1], valids
            )
        return losses
