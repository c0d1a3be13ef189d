"""Export without the alignments, which leaves a stock Faster R-CNN."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from torch import nn

from ..engine.checks.checkpoint import (
    check_for_test,
    classes_of,
    plain_state,
    weights_of,
)
from ..engine.robustness.safe_loading import load_checkpoint
from ..models.alignments import AdaptationTerm
from ..models.backbones import tapped_vgg, timm_taps
from ..models.detectors.ifan_detector import with_channels
from ..models.necks import LastTap
from ..utils.errors import warn
from .onnx_graph import check_onnx, to_onnx


class Companion(NamedTuple):
    """A module of ours that mmdet lacks and an exported detector takes along.

    File and class get names of their own, so both can be loaded.

    Attributes:
        module (ModuleType): The module, which imports nothing else of ours.
        ours (str): Registered name of its class.
        plain (str): Registered name in the exported file.
        file (str): Name of the exported file, without ``.py``.
    """

    module: ModuleType
    ours: str
    plain: str
    file: str


COMPANIONS = (
    Companion(tapped_vgg, 'TappedVGG', 'PlainVGG', 'plain_vgg'),
    Companion(timm_taps, 'TimmTaps', 'PlainTimm', 'plain_timm'),
)
#: The parts of our configs that testing needs besides model and data.
RUNTIME = (
    'default_scope',
    'env_cfg',
    'vis_backends',
    'visualizer',
    'log_processor',
    'log_level',
)


def plain_model(cfg: Config) -> ConfigDict:
    """Convert an ``IFANDetector`` to the ``FasterRCNN`` that it tests as.

    Args:
        cfg (Config): Config of the ``IFANDetector``.

    Returns:
        ConfigDict: Model config of a ``FasterRCNN``; the backbone's type
        stays.

    Raises:
        ValueError: If the detector does not test as a plain Faster R-CNN.
    """
    model = cfg.model.to_dict()
    roi_head = model['roi_head']
    types = (model['type'], roi_head['type'])
    if types != ('IFANDetector', 'StandardRoIHead'):
        raise ValueError(
            'Only an IFANDetector with a StandardRoIHead tests as a plain '
            f'Faster R-CNN and can be exported, but this is a {types[0]} with '
            f'a {types[1]}.'
        )
    backbone = model['backbone']
    # No weights are to be downloaded.
    backbone['init_cfg'] = None
    roi_head['bbox_head'].pop('init_cfg', None)
    if issubclass(MODELS.get(model['neck']['type']), (AdaptationTerm, LastTap)):
        # Only the last tap is passed on.
        if 'taps' in backbone:
            backbone['taps'] = backbone['taps'][-1:]
        else:
            default = (
                inspect.signature(MODELS.get(backbone['type']))
                .parameters['out_indices']
                .default
            )
            backbone['out_indices'] = backbone.get('out_indices', default)[-1:]
        del model['neck']
    else:
        model['neck'] = with_channels(model['neck'], backbone)
    model.pop('alignments', None)
    # Testing assigns nothing.
    for each in parts_of(model):
        if each['type'] == 'RegionIgnoringAssigner':
            each['type'] = 'MaxIoUAssigner'
    model.update(
        type='FasterRCNN',
        data_preprocessor=model['data_preprocessor']['data_preprocessor'],
    )
    return ConfigDict(model)


def plain_config(cfg: Config) -> Config:
    """Convert a config to mmdet's own types, for testing.

    Args:
        cfg (Config): Config of an ``IFANDetector``.

    Returns:
        Config: The model, the target test set with ``CocoMetric``, and the
        runtime. It imports the companions that the detector needs.

    Raises:
        ValueError: If the detector does not test as a plain Faster R-CNN, or
            the config has no test data.
    """
    if cfg.get('test_dataloader') is None:
        raise ValueError(
            'The config has no test_dataloader, whose pipeline the detector '
            'needs: choose a config with one.'
        )
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
            imports=sorted(imports), allow_failed_imports=False
        )
    loader = cfg.test_dataloader.to_dict()
    target, pipeline = (loader['dataset'][key] for key in ('target', 'pipeline'))
    # The default of DomainCocoDataset.
    target.setdefault('data_prefix', dict(img=''))
    loader['dataset'] = dict(
        target, type='CocoDataset', test_mode=True, pipeline=pipeline
    )
    plain.update(
        test_dataloader=loader,
        test_evaluator=dict(
            type='CocoMetric',
            ann_file=str(Path(target.get('data_root', ''), target['ann_file'])),
            metric='bbox',
        ),
        test_cfg=dict(type='TestLoop'),
        **{key: cfg[key] for key in RUNTIME},
    )
    return Config(plain)


def parts_of(node: Any) -> Iterator[dict]:
    """Find every dict with a ``type`` in a config, at any depth.

    Args:
        node (Any): A value of the config.

    Yields:
        dict: A part of the config itself, so it can be changed.
    """
    if isinstance(node, dict):
        if 'type' in node:
            yield node
        node = list(node.values())
    if isinstance(node, list | tuple):
        for value in node:
            yield from parts_of(value)


def export(
    cfg: Config, checkpoint: str, out: Path, onnx_size: tuple[int, int] | None = None
) -> nn.Module:
    """Write ``config.py``, ``weights.pth`` and the files that they need.

    Everything is checked before the first file is written.

    Args:
        cfg (Config): Config of an ``IFANDetector``.
        checkpoint (str): Its checkpoint.
        out (Path): Folder to create and write to.
        onnx_size (tuple[int, int], optional): Height and width in pixels for
            which to write ``detector.onnx`` as well. Defaults to None.

    Returns:
        nn.Module: The stock detector with these weights.

    Raises:
        ValueError: If the detector does not test as a plain Faster R-CNN, or
            if the checkpoint does not fit the config, has other classes or
            does not name them; see also :func:`to_onnx`.
    """
    init_default_scope('mmdet')
    plain = plain_config(cfg)
    model = MODELS.build(plain_model(cfg))
    loaded = load_checkpoint(checkpoint)
    state = plain_state(weights_of(loaded), model.with_neck)
    warn(
        *check_for_test(
            model,
            dict(loaded, state_dict=state),
            checkpoint,
            classes_of(cfg),
            cfg.model.to_dict(),
        )
    )
    dataset_meta = loaded.get('meta', {}).get('dataset_meta')
    if dataset_meta is None:
        raise ValueError(
            f'{checkpoint} does not name its classes (it has no '
            'dataset_meta): use a checkpoint of a run.'
        )
    if onnx_size is not None:
        check_onnx(model, onnx_size)
    model.load_state_dict(state)
    out.mkdir(parents=True, exist_ok=True)
    plain.dump(out / 'config.py')
    # With the config inside, DetInferencer needs no other file.
    meta = dict(dataset_meta=dataset_meta, cfg=plain.pretty_text)
    torch.save(dict(meta=meta, state_dict=state), out / 'weights.pth')
    imports = plain.get('custom_imports', {}).get('imports', ())
    for companion in COMPANIONS:
        if companion.file in imports:
            source = inspect.getsource(companion.module).replace(
                companion.ours, companion.plain
            )
            (out / f'{companion.file}.py').write_text(source)
    if onnx_size is not None:
        to_onnx(model, out / 'detector.onnx', onnx_size)
    return model
