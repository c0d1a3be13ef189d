"""Start a trunk of timm from ImageNet weights."""

import re

from mmengine.model import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner import CheckpointLoader
from torch import Tensor

from .timm_taps import TimmTaps, import_timm

#: timm's names of EfficientNet-PyTorch's layers outside the blocks.
AROUND = dict(
    _conv_stem='conv_stem',
    _bn0='bn1',
    _conv_head='conv_head',
    _bn1='bn2',
    _fc='classifier',
)
#: The same inside a block that does not expand, and in one that does.
PLAIN = dict(_depthwise_conv='conv_dw', _bn1='bn1', _project_conv='conv_pw', _bn2='bn2')
EXPANDING = dict(
    _expand_conv='conv_pw',
    _bn0='bn1',
    _depthwise_conv='conv_dw',
    _bn1='bn2',
    _project_conv='conv_pwl',
    _bn2='bn3',
)


@WEIGHT_INITIALIZERS.register_module()
class TimmInit:
    """Load ImageNet weights into a :class:`TimmTaps`, key by key.

    Args:
        checkpoint (str, optional): File or address of the whole model's
            weights, or ``package://NAME/FILE`` in an installed package. Their
            keys are timm's or, for EfficientNets, those of
            EfficientNet-PyTorch. Defaults to None: timm's own weights, which
            timm downloads.
    """

    def __init__(self, checkpoint: str | None = None) -> None:
        self.checkpoint = checkpoint

    def __call__(self, module: TimmTaps) -> None:
        """Fill the trunk.

        Args:
            module (TimmTaps): The trunk.

        Raises:
            ValueError: If a key is missing, left over or of another shape.
            RuntimeError: If timm has no such weights or cannot download them.
        """
        if self.checkpoint is None:
            state = _pretrained(module)
        else:
            state = CheckpointLoader.load_checkpoint(
                self.checkpoint, map_location='cpu'
            )
            state = _renamed(state.get('state_dict', state), module)
        own = module.net.state_dict()
        # Counts of batches, which fixed statistics do not need.
        needed = {key for key in own if not key.endswith('_tracked')}
        problems = [f'{key} is missing' for key in sorted(needed - set(state))]
        problems += [
            f'{key} is left over'
            for key in sorted(set(state) - set(own) - module.left_out)
        ]
        problems += [
            f'{key} has shape {tuple(state[key].shape)} instead of {tuple(value.shape)}'
            for key, value in own.items()
            if key in state and state[key].shape != value.shape
        ]
        if problems:
            more = len(problems) - 3
            raise ValueError(
                f'{self.checkpoint} does not hold weights of {module.model}: '
                f'{"; ".join(problems[:3])}'
                f'{f"; and {more} more" if more > 0 else ""}. Correct '
                'init_cfg.checkpoint or model of the backbone.'
            )
        module.net.load_state_dict(
            {key: state[key] for key in own if key in state}, strict=False
        )
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())

    def _get_init_info(self) -> str:
        """Name the source for mmengine's initialisation log."""
        return f'{type(self).__name__}: load from {self.checkpoint or "timm"}'


def _pretrained(trunk: TimmTaps) -> dict[str, Tensor]:
    """Let timm download its weights of the whole model."""
    try:
        whole = import_timm().create_model(
            trunk.model, pretrained=True, **trunk.model_args
        )
    except (OSError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RuntimeError(
            f"timm's weights of {trunk.model} are not at hand and cannot be "
            f'downloaded ({reason}): get them elsewhere and name the file in '
            'init_cfg.checkpoint of the backbone.'
        ) from error
    return whole.state_dict()


def _renamed(state: dict[str, Tensor], trunk: TimmTaps) -> dict[str, Tensor]:
    """Give EfficientNet-PyTorch's keys timm's names.

    Args:
        state (dict[str, Tensor]): Weights of a whole model.
        trunk (TimmTaps): The trunk they are for, which knows how many blocks
            a stage has.

    Returns:
        dict[str, Tensor]: The same; a key without a counterpart stays.
    """
    blocks = sorted(
        {
            (int(found[1]), int(found[2]))
            for key in {*trunk.net.state_dict(), *trunk.left_out}
            if (found := re.match(r'blocks\.(\d+)\.(\d+)\.', key))
        }
    )
    renamed = {}
    for key, value in state.items():
        layer, _, kind = key.rpartition('.')
        found = re.fullmatch(r'_blocks\.(\d+)\.(\w+)', layer)
        if found and int(found[1]) < len(blocks):
            stage, block = blocks[int(found[1])]
            expands = f'_blocks.{found[1]}._expand_conv.weight' in state
            name = (EXPANDING if expands else PLAIN).get(found[2])
            layer = f'blocks.{stage}.{block}.{name}' if name else layer
        else:
            layer = AROUND.get(layer, layer)
        renamed[f'{layer}.{kind}' if kind and layer else key] = value
    return renamed
