"""CycleGAN, trained in one step by one optimizer (Zhu et al., ICCV 2017)."""

from typing import Any

from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import ConfigType
from mmengine.model import BaseModel, ModuleDict
from torch import Tensor
from torch.nn import functional as F

from ..models.layers import at_least_float, frozen
from .image_pool import ImagePool

#: Grey levels of 0 in what a generator sees and gives, and of 1 from there.
MIDDLE = 127.5
DOMAINS = ('source', 'target')
#: Each domain with the other.
PAIRS = (('source', 'target'), ('target', 'source'))
#: Images from 0 to 255 in BGR become RGB in [-1, 1].
PREPROCESSOR = dict(
    type='MultiBranchDataPreprocessor',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[MIDDLE] * 3, std=[MIDDLE] * 3, bgr_to_rgb=True
    ),
)


@MODELS.register_module()
class CycleGAN(BaseModel):
    r"""Learn to paint each domain's images in the look of the other.

    Generators :math:`G: X \to Y` and :math:`F: Y \to X`, source to target and
    back, and classifiers :math:`D_Y, D_X`, which call real patches 1 and
    painted ones 0. With means over images, positions and channels,

    .. math::
        L_{classifier}(D_Y) &= \tfrac 1 2 (E_y (D_Y(y) - 1)^2
                               + E_x D_Y(G(x))^2), \\
        L_{fool}(G) &= E_x (D_Y(G(x)) - 1)^2, \\
        L_{cycle}(X) &= \lambda E_x |F(G(x)) - x|, \\
        L_{identity}(Y) &= \lambda \mu E_y |G(y) - y|,

    likewise for the other domain. Classifiers minimise the first, generators
    the sum of the others. The paper alternates between the two sides. Here
    each side calls the other with constant parameters (see :func:`frozen`), so
    one step of one optimizer is both: the classifiers see images painted
    before the generators' step in either case. The classifiers see painted
    images through pools.

    All weights start from N(0, 0.02), all biases from 0. Boxes are not used.

    Args:
        generator (dict): Config of either generator.
        classifier (dict): Config of either classifier.
        pool_size (int): Images of a pool. Defaults to 50.
        cycle_weight (float): :math:`\lambda`. Defaults to 10.
        identity_weight (float): :math:`\mu`; the paper has it in some of its
            experiments, and without it colours may come out inverted.
            Defaults to 0.5.
        data_preprocessor (dict, optional): Defaults to None, which maps
            images to [-1, 1]; a generator gives no others.
        init_cfg (dict, optional): Defaults to None, the above.
    """

    def __init__(
        self,
        generator: ConfigType,
        classifier: ConfigType,
        pool_size: int = 50,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        data_preprocessor: ConfigType | None = None,
        init_cfg: ConfigType | None = None,
    ) -> None:
        super().__init__(
            data_preprocessor or PREPROCESSOR,
            init_cfg
            or dict(
                type='Normal', layer=['Conv2d', 'ConvTranspose2d'], std=0.02, bias=0
            ),
        )
        self.cycle_weight = cycle_weight
        self.identity_weight = identity_weight
        #: By the domain whose images they paint, or know.
        self.generators, self.classifiers, self.pools = (
            ModuleDict({domain: make() for domain in DOMAINS})
            for make in (
                lambda: MODELS.build(generator),
                lambda: MODELS.build(classifier),
                lambda: ImagePool(pool_size),
            )
        )

    @property
    def divisor(self) -> int:
        """int: Sides of images must be multiples of it, in px."""
        return self.generators['target'].divisor

    @property
    def min_image_size(self) -> int:
        """int: Shortest side of an image in training, in px."""
        networks = self.generators['target'], self.classifiers['target']
        return max(network.min_image_size for network in networks)

    def forward(
        self,
        inputs: dict[str, Tensor],
        data_samples: dict[str, SampleList] | None = None,
        mode: str = 'tensor',
    ) -> dict[str, Tensor]:
        """Compute losses, or paint images.

        Args:
            inputs (dict[str, Tensor]): Images in [-1, 1] of ``source`` and
                ``target``, (N, 3, H, W).
            data_samples (dict, optional): Not used. Defaults to None.
            mode (str): ``loss``; any other paints. Defaults to ``tensor``.

        Returns:
            dict[str, Tensor]: Losses by name, or painted images by the domain
            that they look like, (N, 3, H, W).
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        return self.paint(inputs)

    def paint(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Paint images of both domains in the look of the other.

        Args:
            inputs (dict[str, Tensor]): See :meth:`forward`.

        Returns:
            dict[str, Tensor]: By the domain that they look like, of the other
            domain's shape.
        """
        return {
            domain: self.generators[domain](inputs[other]) for domain, other in PAIRS
        }

    def loss(self, inputs: dict[str, Tensor], data_samples: Any = None) -> dict:
        """Compute the losses of all four networks.

        Args:
            inputs (dict[str, Tensor]): See :meth:`forward`.
            data_samples (Any): Not used. Defaults to None.

        Returns:
            dict[str, Tensor]: ``loss_classifier``, ``loss_fool``,
            ``loss_cycle`` and ``loss_identity`` of either domain, and
            ``accuracy``, the share of patches in percent that its classifier
            has right.
        """
        painted = self.paint(inputs)
        losses = {}
        for domain, other in PAIRS:
            generator, classifier = self.generators[domain], self.classifiers[domain]
            real = inputs[domain]
            scores = [
                at_least_float(classifier(images))
                for images in (real, self.pools[domain].query(painted[domain]))
            ]
            fooled = at_least_float(frozen(classifier)(painted[domain]))
            back, same = generator(painted[other]), generator(real)
            losses[f'loss_classifier_{domain}'] = (
                (scores[0] - 1).square().mean() + scores[1].square().mean()
            ) / 2
            losses[f'loss_fool_{domain}'] = (fooled - 1).square().mean()
            losses[f'loss_cycle_{domain}'] = self.cycle_weight * F.l1_loss(
                at_least_float(back), real
            )
            losses[f'loss_identity_{domain}'] = (
                self.cycle_weight
                * self.identity_weight
                * F.l1_loss(at_least_float(same), real)
            )
            right = (scores[0] > 0.5).float().mean() + (scores[1] < 0.5).float().mean()
            losses[f'accuracy_{domain}'] = 50 * right
        return losses
