"""Start a VGG detector from the ImageNet classifier."""

from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

#: Where the layers of the detector stand in torchvision's state dict:
#: the backbone under its own names, fc6 and fc7 in the classifier.
FULLY_CONNECTED = {
    'shared_fcs.0.weight': 'classifier.0.weight',
    'shared_fcs.0.bias': 'classifier.0.bias',
    'shared_fcs.1.weight': 'classifier.3.weight',
    'shared_fcs.1.bias': 'classifier.3.bias',
}
#: The 1000-way ImageNet layer has no counterpart in a detector.
IMAGENET_ONLY = {'classifier.6.weight', 'classifier.6.bias'}


@WEIGHT_INITIALIZERS.register_module()
class VGG16Init:
    """Load a torchvision VGG-16 state dict into a backbone or a box head.

    Given to :class:`TappedVGG` it fills ``features``; given to mmdet's
    ``Shared2FCBBoxHead`` (RoIAlign 7x7, ``fc_out_channels=4096``) it fills
    fc6 and fc7, as every VGG row of the literature does.

    Args:
        checkpoint (str): URL or file of the state dict
            (torchvision's ``vgg16-397923af.pth``).
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def __call__(self, module: nn.Module) -> None:
        """Fill the module.

        Args:
            module (nn.Module): A backbone with ``features`` or a box head
                with ``shared_fcs``.

        Raises:
            ValueError: If a key is missing, left over or of another shape.
        """
        state = CheckpointLoader.load_checkpoint(self.checkpoint, map_location='cpu')
        own = dict(module.named_parameters())
        is_backbone = hasattr(module, 'features')
        names = {name: name for name in own} if is_backbone else FULLY_CONNECTED
        self._check(own, state, names)
        for ours, theirs in names.items():
            own[ours].data.copy_(state[theirs])

    def _check(
        self,
        own: dict[str, nn.Parameter],
        state: dict[str, Tensor],
        names: dict[str, str],
    ) -> None:
        """Refuse a state dict that does not fit key by key."""
        other = 'features.' if names is FULLY_CONNECTED else 'classifier.'
        used = set(names.values())
        problems = [f'{key} is missing' for key in sorted(used - set(state))]
        problems += [
            f'{key} is left over'
            for key in sorted(set(state) - used - IMAGENET_ONLY)
            if not key.startswith(other)
        ]
        problems += [f'the detector has no {ours}' for ours in names if ours not in own]
        problems += [
            f'{theirs} has shape {tuple(state[theirs].shape)}, the '
            f'detector needs {tuple(own[ours].shape)}'
            for ours, theirs in names.items()
            if theirs in state
            and ours in own
            and state[theirs].shape != own[ours].shape
        ]
        if problems:
            raise ValueError(
                f'{self.checkpoint} does not fit as VGG-16 weights: '
                f"{'; '.join(problems)}. Use the state dict of torchvision's "
                'vgg16 (vgg16-397923af.pth, without batch normalisation).'
            )

    def _get_init_info(self) -> str:
        """Name the source for mmengine's initialisation log."""
        return f'{type(self).__name__}: load from {self.checkpoint}'
