"""Peel the alignments off: a stock Faster R-CNN is left."""
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from torch import nn

from ..engine.checks.checkpoint import (
    check_for_test,
    classes_of,
    plain_state,
    warn,
    weights_of,
)
from ..models.alignments import AdaptationTerm
from ..models.backbones import tapped_vgg, timm_taps
from ..models.necks import LastTap
from .onnx_graph import check_onnx, to_onnx


class Companion(NamedTuple):
    """A file of ours that goes with a detector, as mmdet lacks what is in it.

    Under names of its own, so that both can be loaded.

    Attributes:
        module (ModuleType): It; nothing else of ours is imported by it.
        ours (str): Registered name of what is in it.
        plain (str): The same in the file.
        file (str): Name of the file, without ``.py``.
    """

    module: ModuleType
    ours: str
    plain: str
    file: str


COMPANIONS = (
    Companion(tapped_vgg, 'TappedVGG', 'PlainVGG', 'plain_vgg'),
    Companion(timm_taps, 'TimmTaps', 'PlainTimm', 'plain_timm'),
)
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
    # The weights are not to be downloaded again.
    backbone['init_cfg'] = None
    roi_head['bbox_head'].pop('init_cfg', None)
    if issubclass(MODELS.get(model['neck']['type']),
                  (AdaptationTerm, LastTap)):
        # The last tap alone goes on.
        if 'taps' in backbone:
            backbone['taps'] = backbone['taps'][-1:]
        else:
            default = inspect.signature(MODELS.get(
                backbone['type'])).parameters['out_indices'].default
            backbone['out_indices'] = backbone.get(
                'out_indices', default)[-1:]
        del model['neck']
    model.pop('alignments', None)
    # Only training assigns.
    for each in parts_of(model):
        if each['type'] == 'RegionIgnoringAssigner':
            each['type'] = 'MaxIoUAssigner'
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
        It imports the companions of the detector, if it has any.

    Raises:
        ValueError: If the detector is no plain Faster R-CNN when it predicts,
            or the config has no test data.
    """
    if cfg.get('test_dataloader') is None:
        raise ValueError(
            'The config has no test_dataloader, whose pipeline the detector '
            'needs: give a config that has one.')
    model = plain_model(cfg)
    plain: dict[str, Any] = dict(model=model)
    imports = set()
    for part in parts_of(model):
        for companion in COMPANIONS:
            if part['type'] == companion.ours:
                part['type'] = companion.plain
                imports.add(companion.file)
    if imports:
        plain['custom_imports'] = dict(
            imports=sorted(imports), allow_failed_imports=False)
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


def parts_of(node: Any) -> Iterator[dict]:
    """Find whatever has a ``type`` in a config, at any depth.

    Args:
        node (Any): A value of the config.

    Yields:
        dict: One that has a ``type``; changing that changes the config.
    """
    if isinstance(node, dict):
        if 'type' in node:
            yield node
        node = list(node.values())
    if isinstance(node, list | tuple):
        for value in node:
            yield from parts_of(value)


def export(cfg: Config,
           checkpoint: str,
           out: Path,
           onnx_size: tuple[int, int] | None = None) -> nn.Module:
    """Write ``config.py``, ``weights.pth`` and the files that they need.

    Nothing is written if something is wrong.

    Args:
        cfg (Config): Config of an ``IFANDetector``.
        checkpoint (str): Its checkpoint.
        out (Path): Folder, which is made.
        onnx_size (tuple[int, int], optional): Write ``detector.onnx`` as
            well, for images of this height and width. Defaults to None.

    Returns:
        nn.Module: The stock detector with these weights.

    Raises:
        ValueError: If the detector is no plain Faster R-CNN when it predicts,
            or the checkpoint does not fit the config, has other classes or
            does not name them; see also :func:`to_onnx`.
    """
    init_default_scope('mmdet')
    plain = plain_config(cfg)
    model = MODELS.build(plain_model(cfg))
    loaded = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
    state = plain_state(weights_of(loaded), model.with_neck)
    warn(
        check_for_test(model, dict(loaded, state_dict=state), checkpoint,
                       classes_of(cfg), cfg.model.to_dict()))
    dataset_meta = loaded.get('meta', {}).get('dataset_meta')
    if dataset_meta is None:
        raise ValueError(f'{checkpoint} does not name its classes (it has no '
                         'dataset_meta): take a checkpoint of a training.')
    if onnx_size is not None:
        check_onnx(model, onnx_size)
    model.load_state_dict(state)
    out.mkdir(parents=True, exist_ok=True)
    plain.dump(out / 'config.py')
    # With its config it is all that DetInferencer needs.
    meta = dict(dataset_meta=dataset_meta, cfg=plain.pretty_text)
    torch.save(dict(meta=meta, state_dict=state), out / 'weights.pth')
    imports = plain.get('custom_imports', {}).get('imports', ())
    for companion in COMPANIONS:
        if companion.file in imports:
            source = inspect.getsource(companion.module).replace(
                companion.ours, companion.plain)
            (out / f'{companion.file}.py').write_text(source)
    if onnx_size is not None:
        to_onnx(model, out / 'detector.onnx', onnx_size)
    return model
