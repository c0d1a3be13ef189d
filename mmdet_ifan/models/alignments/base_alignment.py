"""The interface of a term whose networks the detector learns to fool."""

from mmdet.utils import OptMultiConfig

from ..layers import GradientReversal
from .adaptation_term import AdaptationTerm


class BaseAlignment(AdaptationTerm):
    """A domain discriminator behind a gradient reversal (iFAN, Eq. 7).

    A subclass passes the features that it reads through ``self.reverse``.
    Whatever lies behind it minimises the loss; the detector maximises it. A
    term whose two sides have different losses multiplies the detector's by
    ``self.reverse.weight`` and reverses nothing: see :func:`frozen`.

    Args:
        loss_weight (float): The paper's lambda_adv, >= 0. It scales the whole
            term, so also the discriminator's own step, as the weight in
            Strong-Weak's code does (which has one for SIM10K only).
            Defaults to 0.1.
        grl_weight (float): Reversal weight, >= 0. It scales only the gradient
            that flows back into the detector. Defaults to 1.0.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Raises:
        ValueError: If a weight is no finite number >= 0.
    """

    def __init__(
        self,
        loss_weight: float = 0.1,
        grl_weight: float = 1.0,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(loss_weight, init_cfg)
        self.reverse = GradientReversal(grl_weight)
