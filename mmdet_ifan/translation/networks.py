"""Generator and classifier of CycleGAN (Zhu et al., ICCV 2017)."""

from itertools import pairwise

from mmdet.registry import MODELS
from torch import Tensor, nn

#: Stages that halve an image, and as many that double it again.
STAGES = 2


@MODELS.register_module()
class ResnetGenerator(nn.Sequential):
    """Paint an image anew, at its size.

    A 7x7 convolution, two that halve, residual blocks, two that double, a 7x7
    convolution and tanh. Instance normalisation has no running statistics, so
    an image is painted alike in training and afterwards.

    Args:
        width (int): Channels of the first convolution; four times as many in
            the blocks. Defaults to 64.
        num_blocks (int): Number of residual blocks. Defaults to 9; 6 suit
            images of 128 px.
        upsample (str): ``deconv``, a transposed convolution, or ``bilinear``
            and a convolution, which draws no checkerboards. Defaults to
            ``deconv``.

    Attributes:
        divisor (int): Sides of images must be multiples of it.
        min_image_size (int): Shortest side in px.

    Raises:
        ValueError: If ``upsample`` is neither.
    """

    divisor = 2**STAGES
    # Instance normalisation needs more than one position, reflection two.
    min_image_size = 2 * divisor

    def __init__(
        self, width: int = 64, num_blocks: int = 9, upsample: str = 'deconv'
    ) -> None:
        if upsample not in ('deconv', 'bilinear'):
            raise ValueError(
                f"upsample must be 'deconv' or 'bilinear', but is {upsample!r}."
            )
        widths = [width * 2**i for i in range(STAGES + 1)]
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7)]
        layers += _norm_relu(width)
        for narrow, wide in pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 3, 2, 1), *_norm_relu(wide)]
        layers += [ResidualBlock(widths[-1]) for _ in range(num_blocks)]
        for wide, narrow in pairwise(reversed(widths)):
            layers += [*_double(wide, narrow, upsample), *_norm_relu(narrow)]
        super().__init__(
            *layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()
        )


class ResidualBlock(nn.Module):
    """Add two 3x3 convolutions of a map to it; nothing follows the sum.

    Args:
        channels (int): Channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            *_norm_relu(channels),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Change a map (N, C, H, W)."""
        return x + self.layers(x)


@MODELS.register_module()
class PatchClassifier(nn.Sequential):
    """Tell real images (1) from painted ones (0), one value for each patch.

    4x4 convolutions with padding 1: those that halve, one more, and the one
    that classifies. With the default a value sees 70 x 70 px.

    Args:
        width (int): Channels of the first convolution, doubled by each
            further one up to eight times as many. Defaults to 64.
        num_halvings (int): Number of convolutions that halve. Defaults to 3.

    Attributes:
        min_image_size (int): Shortest side in px.
    """

    def __init__(self, width: int = 64, num_halvings: int = 3) -> None:
        widths = [width * min(2**i, 8) for i in range(num_halvings + 1)]
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for i, (narrow, wide) in enumerate(pairwise(widths), start=1):
            layers += [
                nn.Conv2d(narrow, wide, 4, 2 if i < num_halvings else 1, 1),
                nn.InstanceNorm2d(wide),
                nn.LeakyReLU(0.2),
            ]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        # Three positions are left for the last two, which take one each.
        self.min_image_size = 3 * 2**num_halvings


def _norm_relu(channels: int) -> list[nn.Module]:
    """Normalise each image's channels, without weights or running statistics."""
    return [nn.InstanceNorm2d(channels), nn.ReLU()]


def _double(wide: int, narrow: int, upsample: str) -> list[nn.Module]:
    """Double a map's sides."""
    if upsample == 'deconv':
        return [nn.ConvTranspose2d(wide, narrow, 3, 2, 1, output_padding=1)]
    return [
        nn.Upsample(scale_factor=2, mode='bilinear'),
        nn.ReflectionPad2d(1),
        nn.Conv2d(wide, narrow, 3),
    ]
