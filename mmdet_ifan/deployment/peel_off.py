"""Peel the alignments off: a stock Faster R-CNN is left."""
import inspect
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from ..models.backbones import tapped_vgg

#: Parts of a stock detector's state dict.
PARTS = ('backbone.', 'rpn_head.', 'roi_head.')
#: VGG is no backbone of mmdet: its file goes with the detector, under a name
#: that does not clash with ours where both are loaded.
PLAIN_VGG, VGG_MODULE = 'PlainVGG', 'plain_vgg'
#: What a test needs of our configs, besides the model and the data.
RUNTIME = ('default_scope', 'env_cfg', 'vis_backends', 'visualizer',
           'log_processor', 'log_level')


def plain_model(cfg: Config) -> ConfigDict:
    """Describe what an ``IFANDetector`` runs when it predicts.

    Args:
        cfg (Config): Its config.

    Returns:
        ConfigDict: Config of a ``FasterRCNN``; the backbone's type stays.

    Raises:
        ValueError: If it is no plain Faster R-CNN when it predicts.
    """
    model = cfg.model.to_dict()
    roi_head = model['roi_head']
    types = (model['type'], roi_head['type'])
    if types != ('IFANDetector', 'StandardRoIHead'):
        raise ValueError(
            'Only an IFANDetector with a StandardRoIHead is a plain Faster '
            f'R-CNN once it is trained, but this is a {types[0]} with a '
            f'{types[1]}.')
    backbone = model['backbone']
    default = inspect.signature(
        MODELS.get(backbone['type'])).parameters['out_indices'].default
    # The last tap alone goes on; the weights are not to be downloaded again.
    backbone.update(
        out_indices=backbone.get('out_indices', default)[-1:], init_cfg=None)
    roi_head['bbox_head'].pop('init_cfg', None)
    for part in ('neck', 'alignments'):
        model.pop(part, None)
    model.update(
        type='FasterRCNN',
        data_preprocessor=model['data_preprocessor']['data_preprocessor'])
    return ConfigDict(model)


def plain_config(cfg: Config) -> Config:
    """Write a config of mmdet's own types for what testing runs.

    Args:
        cfg (Config): Config of an ``IFANDetector``.

    Returns:
        Config: Model, the target's test set with ``CocoMetric``, and runtime.
        With VGG it imports the module ``plain_vgg``, otherwise nothing.

    Raises:
        ValueError: If the detector is no plain Faster R-CNN when it predicts.
    """
    model = plain_model(cfg)
    plain: dict[str, Any] = dict(model=model)
    if model['backbone']['type'] == tapped_vgg.TappedVGG.__name__:
        model['backbone']['type'] = PLAIN_VGG
        plain['custom_imports'] = dict(
            imports=[VGG_MODULE], allow_failed_imports=False)
    loader = cfg.test_dataloader.to_dict()
    target, pipeline = (
        loader['dataset'][key] for key in ('target', 'pipeline'))
    # As DomainCocoDataset has it.
    target.setdefault('data_prefix', dict(img=''))
    loader['dataset'] = dict(
        target, type='CocoDataset', test_mode=True, pipeline=pipeline)
    plain.update(
        test_dataloader=loader,
        test_evaluator=dict(
            type='CocoMetric',
            ann_file=str(
                Path(target.get('data_root', ''), target['ann_file'])),
            metric='bbox'),
        test_cfg=dict(type='TestLoop'),
        **{key: cfg[key]
           for key in RUNTIME})
    return Config(plain)


def plain_state(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keep a stock detector's part of a state dict.

    Args:
        state_dict (dict[str, Tensor]): An ``IFANDetector``'s.

    Returns:
        dict[str, Tensor]: What a ``FasterRCNN`` has, nothing of an alignment.
    """
    return {
        key: value
        for key, value in state_dict.items() if key.startswith(PARTS)
    }


def export(cfg: Config, checkpoint: str, out: Path) -> nn.Module:
    """Write ``config.py``, ``weights.pth`` and, for VGG, ``plain_vgg.py``.

    Args:
        cfg (Config): Config of an ``IFANDetector``.
        checkpoint (str): Its checkpoint.
        out (Path): Folder, which is made.

    Returns:
        nn.Module: The stock detector with these weights.

    Raises:
        ValueError: If the detector is no plain Faster R-CNN when it predicts,
            or the checkpoint does not fit the config.
    """
    init_default_scope('mmdet')
    plain = plain_config(cfg)
    loaded = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
    state = plain_state(loaded.get('state_dict', {}))
    model = MODELS.build(plain_model(cfg))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f'{checkpoint} does not fit the config: {error}') from error
    out.mkdir(parents=True, exist_ok=True)
    plain.dump(out / 'config.py')
    # With its config it is all that DetInferencer needs.
    meta = dict(
        dataset_meta=loaded['meta']['dataset_meta'], cfg=plain.pretty_text)
    torch.save(dict(meta=meta, state_dict=state), out / 'weights.pth')
    if 'custom_imports' in plain:
        source = inspect.getsource(tapped_vgg).replace(
            tapped_vgg.TappedVGG.__name__, PLAIN_VGG)
        (out / f'{VGG_MODULE}.py').write_text(source)
    return model
