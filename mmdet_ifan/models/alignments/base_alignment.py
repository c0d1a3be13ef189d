"""A term that the detector learns to fool."""
from mmdet.utils import OptMultiConfig

from ..layers import GradientReversal
from .adaptation_term import AdaptationTerm


class BaseAlignment(AdaptationTerm):
    """A discriminator of the domains behind a gradient reversal (iFAN, Eq. 7).

    Args:
        loss_weight (float): The paper's lambda_adv: scales the whole term,
            thus also the discriminator's own step, as the weight in
            Strong-Weak's code does, which it has for SIM10K alone. Defaults
            to 0.1.
        grl_weight (float): Reversal weight: scales only what flows back into
            the detector. Defaults to 1.0.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Raises:
        ValueError: If a weight is no finite number >= 0.
    """

    def __init__(self,
                 loss_weight: float = 0.1,
                 grl_weight: float = 1.0,
                 init_cfg: OptMultiConfig = None) -> None:
        super().__init__(loss_weight, init_cfg)
        self.reverse = GradientReversal(grl_weight)
