"""The interface of every term that adapts a detector."""
from abc import abstractmethod
from typing import ClassVar

from mmdet.utils import OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor

from ..domain_features import DomainFeatures
from ..layers import check_weight


class AdaptationTerm(BaseModule):
    """A term of the objective that compares or uses both domains.

    A new term subclasses this, or :class:`BaseAlignment` if the detector is
    to fool it, registers itself in mmdet's ``MODELS``, implements
    :meth:`loss` and is named in the detector's ``alignments``.

    Args:
        loss_weight (float): Scales the whole term. Defaults to 1.0.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Attributes:
        launched (bool): Whether the term takes part in training. Set by
            :class:`mmdet_ifan.engine.LateLaunchHook`; what is not launched is
            never called and costs nothing. True without the hook.
        progress (float): Share of the run, of the iterations from the term's
            launch to the end, that is done, in [0, 1). Set by the same hook;
            0 without it.

    Raises:
        ValueError: If the weight is no finite number >= 0.
    """

    #: Arguments that a config may leave out, since the detector knows them,
    #: and the name of each in :meth:`IFANDetector.facts`.
    FROM_DETECTOR: ClassVar[dict[str, str]] = {}

    def __init__(self, loss_weight: float = 1.0,
                 init_cfg: OptMultiConfig = None) -> None:
        super().__init__(init_cfg)
        check_weight(f'The loss_weight of {type(self).__name__}', loss_weight)
        self.loss_weight = loss_weight
        self.launched = True
        self.progress = 0.

    @abstractmethod
    def loss(self, source: DomainFeatures,
             target: DomainFeatures) -> dict[str, Tensor]:
        """Compute the term for a batch.

        Args:
            source (DomainFeatures): What the detector knows of the source
                images; each part is computed when it is first asked for.
            target (DomainFeatures): The same of the target images.

        Returns:
            dict[str, Tensor]: Scalars. Those with ``loss`` in their key are
            already weighted, are added to the objective and stay connected to
            the graph whatever the batch holds; the others are logged.
        """
