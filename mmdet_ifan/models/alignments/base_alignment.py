"""The one interface of all alignments."""
from abc import abstractmethod
from typing import TYPE_CHECKING

from mmdet.utils import OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor

from ..layers import GradientReversal, check_weight

if TYPE_CHECKING:
    from ..detectors import DomainFeatures


class BaseAlignment(BaseModule):
    """A discriminator that the detector learns to fool (iFAN, Eq. 7).

    A new alignment subclasses this, registers itself in mmdet's ``MODELS``,
    implements :meth:`loss` and is named in the detector's ``alignments``.

    Args:
        loss_weight (float): The paper's lambda_adv: scales the whole term,
            thus also the discriminator's own step, as the weight in
            Strong-Weak's code does, which it has for SIM10K alone. Defaults
            to 0.1.
        grl_weight (float): Reversal weight: scales only what flows back into
            the detector. Defaults to 1.0.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Attributes:
        launched (bool): Whether the alignment takes part in training. Set by
            :class:`mmdet_ifan.engine.LateLaunchHook`; what is not launched is
            never called and costs nothing. True without the hook.

    Raises:
        ValueError: If a weight is no finite number >= 0.
    """

    def __init__(self,
                 loss_weight: float = 0.1,
                 grl_weight: float = 1.0,
                 init_cfg: OptMultiConfig = None) -> None:
        super().__init__(init_cfg)
        check_weight(f'The loss_weight of {type(self).__name__}', loss_weight)
        self.loss_weight = loss_weight
        self.reverse = GradientReversal(grl_weight)
        self.launched = True

    @abstractmethod
    def loss(self, source: 'DomainFeatures',
             target: 'DomainFeatures') -> dict[str, Tensor]:
        """Compare the two domains of a batch.

        Args:
            source (DomainFeatures): What the detector knows of the source
                images; each part is computed when it is first asked for.
            target (DomainFeatures): The same of the target images.

        Returns:
            dict[str, Tensor]: Scalars. Those with ``loss`` in their key are
            already weighted, are added to the objective and stay connected to
            the graph whatever the batch holds; the others are logged.
        """
