"""Start a trunk of timm from ImageNet weights."""
import re
from typing import Any

import torch
from mmengine.model import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from .timm_import import import_timm

#: timm's names of EfficientNet-PyTorch's layers outside the blocks.
AROUND = {'_conv_stem': 'conv_stem', '_bn0': 'bn1', '_conv_head': 'conv_head',
          '_bn1': 'bn2', '_fc': 'classifier'}
#: The same inside a block, without and with an expansion.
PLAIN = {'_depthwise_conv': 'conv_dw', '_bn1': 'bn1', '_project_conv':
         'conv_pw', '_bn2': 'bn2'}
EXPANDED = {'_expand_conv': 'conv_pw', '_bn0': 'bn1', '_depthwise_conv':
            'conv_dw', '_bn1': 'bn2', '_project_conv': 'conv_pwl', '_bn2':
            'bn3'}


@WEIGHT_INITIALIZERS.register_module()
class TimmInit:
    """Load ImageNet weights into a :class:`TimmTaps`, each key checked.

    Args:
        checkpoint (str, optional): File, address or ``package://NAME/FILE``
            of an installed package, with timm's keys or those of
            EfficientNet-PyTorch and its relatives. Defaults to None, timm's
            own weights, which are downloaded.
    """

    def __init__(self, checkpoint: str | None = None) -> None:
        self.checkpoint = checkpoint

    def __call__(self, module: nn.Module) -> None:
        """Fill the trunk.

        Args:
            module (TimmTaps): The trunk.

        Raises:
            ValueError: If a key is missing, left over or of another shape.
            RuntimeError: If timm's weights cannot be downloaded.
        """
        state = self._load(module)
        own = module.net.state_dict()
        # A count of batches, which fixed statistics do not need.
        needed = {key for key in own if not key.endswith('_tracked')}
        problems = [f'{key} is missing' for key in sorted(needed - set(state))]
        problems += [
            f'{key} is left over'
            for key in sorted(set(state) - set(own) - module.left_out)
        ]
        problems += [
            f'{key} has shape {tuple(state[key].shape)}, the trunk needs '
            f'{tuple(own[key].shape)}' for key in own
            if key in state and state[key].shape != own[key].shape
        ]
        if problems:
            more = f' (and {len(problems) - 3} more)' * (len(problems) > 3)
            raise ValueError(
                f'{self.checkpoint or "What timm has"} does not fit as '
                f'weights of {module.model}: {"; ".join(problems[:3])}{more}. '
                'Name weights of this model in backbone.init_cfg.checkpoint.')
        module.net.load_state_dict(
            {key: state[key] for key in own if key in state}, strict=False)
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())

    def _load(self, module: Any) -> dict[str, Tensor]:
        """Get the weights under timm's names."""
        if self.checkpoint is None:
            timm = import_timm()
            try:
                whole = timm.create_model(
                    module.model, pretrained=True, **module.model_args)
            except (OSError, RuntimeError) as error:
                reason = (str(error).strip() or repr(error)).splitlines()[0]
                raise RuntimeError(
                    f"timm's weights of {module.model} cannot be downloaded "
                    f'({reason}): name a file in backbone.init_cfg.checkpoint.'
                ) from error
            return whole.state_dict()
        state = CheckpointLoader.load_checkpoint(
            self.checkpoint, map_location='cpu')
        for key in ('state_dict', 'model'):
            if isinstance(state.get(key), dict):
                state = state[key]
        if '_conv_stem.weight' in state:
            state = _rename(state, [len(stage) for stage in whole_blocks(
                module)])
        return state

    def _get_init_info(self) -> str:
        """Name the source for mmengine's initialisation log."""
        return (f'{type(self).__name__}: load from '
                f'{self.checkpoint or "timm"}')


def whole_blocks(module: Any) -> Any:
    """Give the stages of the whole model that a trunk is made of."""
    with torch.device('meta'):
        return import_timm().create_model(
            module.model, **module.model_args).blocks


def _rename(state: dict[str, Tensor],
            depths: list[int]) -> dict[str, Tensor]:
    """Give EfficientNet-PyTorch's keys timm's names.

    Args:
        state (dict[str, Tensor]): Weights by EfficientNet-PyTorch's keys.
        depths (list[int]): Blocks of each stage.

    Returns:
        dict[str, Tensor]: The same by timm's; a key without a counterpart
        keeps its name.
    """
    places = [f'blocks.{stage}.{block}' for stage, depth in enumerate(depths)
              for block in range(depth)]
    renamed = {}
    for key, value in state.items():
        block = re.fullmatch(r'_blocks\.(\d+)\.(\w+)\.(\w+)', key)
        layer, _, rest = key.rpartition('.')
        if block and int(block[1]) < len(places):
            expands = f'_blocks.{block[1]}._expand_conv.weight' in state
            layers = EXPANDED if expands else PLAIN
            if block[2] in layers:
                key = (f'{places[int(block[1])]}.{layers[block[2]]}.'
                       f'{block[3]}')
        elif layer in AROUND:
            key = f'{AROUND[layer]}.{rest}'
        renamed[key] = value
    return renamed
