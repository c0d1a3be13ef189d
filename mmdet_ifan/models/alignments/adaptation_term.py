"""The interface of every term that adapts a detector."""

from abc import abstractmethod
from typing import ClassVar

import torch
from mmdet.utils import OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor

from ..domain_features import DomainFeatures
from ..layers import check_weight


class AdaptationTerm(BaseModule):
    """A term of the objective that compares or uses both domains.

    To write a term, subclass this, or :class:`BaseAlignment` if the detector
    is to fool it; register the class in mmdet's ``MODELS``; implement
    :meth:`loss`; and name it in the detector's ``alignments``::

        @MODELS.register_module()
        class MeanGap(BaseAlignment):
            def loss(self, source, target):
                means = [
                    self.reverse(domain.taps[-1]).mean(dim=(0, 2, 3))
                    for domain in (source, target)
                ]
                gap = (means[0] - means[1]).square().sum()
                return dict(loss=self.loss_weight * gap, gap=gap.detach())

        # In a config:
        model = dict(alignments=dict(gap=dict(type='MeanGap')))

    Args:
        loss_weight (float): Weight of the whole term, >= 0. Defaults to 1.0.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Attributes:
        launched (bool): Whether the term takes part in training.
            :class:`mmdet_ifan.engine.LateLaunchHook` sets it; without the hook
            it stays True. A term that is not launched is never called.
        progress (float): Share of the iterations from the term's launch to
            the end of the run that are done, in [0, 1). The same hook sets
            it; without the hook it stays 0.

    Raises:
        ValueError: If ``loss_weight`` is no finite number >= 0.
    """

    #: Arguments that a config may leave out, since the detector knows them,
    #: and the name of each in :meth:`IFANDetector.facts`.
    FROM_DETECTOR: ClassVar[dict[str, str]] = {}
    #: Whether the term reads the taps of both domains, or what follows from
    #: them; they are then computed in one pass.
    compares_domains: ClassVar[bool] = True
    #: Whether the term reads ``source.teacher`` or ``target.teacher``.
    needs_teacher: ClassVar[bool] = False
    #: Branches of the batch that the term cannot do without, such as
    #: ``target_teacher``, which ``target.teacher`` reads.
    needs_views: ClassVar[tuple[str, ...]] = ()
    #: Source images that a batch needs, in each process.
    min_source_images: ClassVar[int] = 1
    #: Smallest side in pixels of an image that the term can use.
    min_image_size: int = 1

    def __init__(
        self, loss_weight: float = 1.0, init_cfg: OptMultiConfig = None
    ) -> None:
        super().__init__(init_cfg)
        check_weight(f'The loss_weight of {type(self).__name__}', loss_weight)
        self.loss_weight = loss_weight
        self.launched = True
        self.progress = 0.0

    @abstractmethod
    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        """Compute the term for a batch.

        Args:
            source (DomainFeatures): What the detector knows of the source
                images. Each part is computed when it is first asked for.
            target (DomainFeatures): The same for the target images.

        Returns:
            dict[str, Tensor]: Scalars. Those with ``loss`` in their key join
            the objective: multiply them by ``self.loss_weight``, and keep
            them connected to the graph whatever the batch holds. The others
            are only logged.
        """

    def checked_loss(
        self, source: DomainFeatures, target: DomainFeatures
    ) -> dict[str, Tensor]:
        """Compute :meth:`loss` and refuse what cannot be trained.

        Args:
            source (DomainFeatures): See :meth:`loss`.
            target (DomainFeatures): See :meth:`loss`.

        Returns:
            dict[str, Tensor]: What :meth:`loss` returns.

        Raises:
            TypeError: If that is no dict of scalar tensors.
            ValueError: If no key holds ``loss`` or, while gradients are
                recorded, the value of such a key has none.
        """
        losses = self.loss(source, target)
        name = f'{type(self).__name__}.loss'
        if not isinstance(losses, dict):
            raise TypeError(
                f'{name} must return a dict of scalar tensors, '
                f'but returned a {type(losses).__name__}.'
            )
        if not any('loss' in key for key in losses):
            raise ValueError(
                f'{name} returned {list(losses)}, none of which joins the '
                'objective: name the value to minimise "loss" or "loss_...".'
            )
        for key, value in losses.items():
            if not isinstance(value, Tensor) or value.dim():
                found = (
                    f'a tensor of shape {tuple(value.shape)}'
                    if isinstance(value, Tensor)
                    else type(value).__name__
                )
                raise TypeError(
                    f'{key} of {name} must be a scalar tensor, but is {found}.'
                )
            if 'loss' in key and torch.is_grad_enabled() and not value.requires_grad:
                raise ValueError(
                    f'{key} of {name} has no gradient, so it trains nothing: '
                    'compute it from features or weights that are not '
                    'detached.'
                )
        return losses
