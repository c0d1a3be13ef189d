"""VGG-16 as iFAN taps it (paper, Implementation Details)."""

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import VGG
from mmdet.registry import MODELS
from mmdet.utils import OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor


@MODELS.register_module()
class TappedVGG(VGG, BaseModule):
    """``mmcv.cnn.VGG`` as a detector backbone.

    mmcv's class is in no registry, takes no ``init_cfg`` and gives a bare
    tensor for a single tap. With the defaults the taps are pool2 (128
    channels, stride 4), pool3 (256, 8), pool4 (512, 16) and relu5_3 (512, 16),
    and conv1 is frozen. Parameter names equal torchvision's ``features.*``.

    Args:
        depth (int): 11, 13, 16 or 19. Defaults to 16.
        out_indices (Sequence[int]): Stages, of 0 to 4, whose outputs are the
            taps, ascending. Defaults to (1, 2, 3, 4).
        frozen_stages (int): Number of leading stages that are not trained; 1
            keeps the first tap trainable, without which its alignment could
            not reach the detector. Defaults to 1.
        init_cfg (dict, optional): Initialisation, for instance
            :class:`VGG16Init`. Defaults to None.
        **kwargs: Further arguments of ``mmcv.cnn.VGG``.

    Raises:
        ValueError: If ``out_indices`` names a stage that VGG does not have,
            or is not ascending.
    """

    def __init__(
        self,
        depth: int = 16,
        out_indices: Sequence[int] = (1, 2, 3, 4),
        frozen_stages: int = 1,
        init_cfg: OptMultiConfig = None,
        **kwargs: Any,
    ) -> None:
        taps = list(out_indices)
        if not taps or taps != sorted(set(taps)) or taps[0] < 0 or taps[-1] > 4:
            raise ValueError(
                'VGG has the stages 0 to 4, and out_indices names those to '
                f'tap in ascending order, but got {tuple(out_indices)}.'
            )
        VGG.__init__(
            self,
            depth,
            with_last_pool=False,
            out_indices=tuple(taps),
            frozen_stages=frozen_stages,
            **kwargs,
        )
        self.init_cfg = init_cfg
        self._is_init = False
        # mmcv freezes only here; the optimizer and DDP look before training.
        self.train()

    def train(self, mode: bool = True) -> 'TappedVGG':
        """Set the mode, and return the module, which mmcv forgets."""
        super().train(mode)
        return self

    def init_weights(self, pretrained: None = None) -> None:
        """Initialise as ``init_cfg`` says, not by mmcv's own loader."""
        BaseModule.init_weights(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the taps of images of shape (N, 3, H, W)."""
        taps = super().forward(x)
        return taps if isinstance(taps, tuple) else (taps,)
