"""How a step's time and memory grow with what it works on."""
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmengine.config import Config

from .detectors import Load
from .training import STOCK, training_cost

#: What grows, and its values; the others stay as ``BASE`` has them.
AXES: Mapping[str, Sequence[Any]] = {
    'images of a domain': (1, 2, 4, 8),
    'height and width': ((96, 192), (128, 256), (192, 384), (256, 512)),
    'boxes of an image': (2, 8, 32, 128),
    'categories': (1, 8, 32, 80),
    'objects kept of an image': (8, 16, 32, 64),
}
BASE = Load(size=(128, 256), batch=2, instances=8)


def growth(cfg: Config,
           rounds: int,
           axes: Mapping[str, Sequence[Any]] = AXES) -> list[dict[str, Any]]:
    """Measure the step with everything launched as one thing grows.

    Args:
        cfg (Config): iFAN's.
        rounds (int): How many steps to time at each value.
        axes (Mapping[str, Sequence]): Values to measure. Defaults to
            ``AXES``.

    Returns:
        list[dict[str, Any]]: ``axis``, ``value``, ``seconds``, ``stock``
        (its seconds), ``median``, ``memory``, ``peak_bytes``, and
        ``pairs``, the seconds of Eq. 6 without pooling and embedding.
    """
    rows = []
    for axis, values in axes.items():
        for value in values:
            figures = training_cost({'ifan': _with(cfg, axis, value)},
                                    _load(axis, value), rounds, True)
            name = list(figures)[-1]
            row = figures[name]
            rows.append(
                dict(
                    axis=axis,
                    value=value,
                    stock=figures[STOCK]['seconds'],
                    pairs=row['parts']['correlation: the rest'],
                    **{
                        key: row[key]
                        for key in ('seconds', 'median', 'memory',
                                    'peak_bytes')
                    }))
    return rows


def _load(axis: str, value: Any) -> Load:
    """Say what the step works on."""
    field = {
        'images of a domain': 'batch',
        'height and width': 'size',
        'boxes of an image': 'instances'
    }.get(axis)
    return replace(BASE, **{field: value}) if field else BASE


def _with(cfg: Config, axis: str, value: Any) -> Config:
    """Set what belongs to the detector."""
    cfg = Config(cfg.to_dict())
    if axis == 'categories':
        cfg.model.roi_head.bbox_head.num_classes = value
    elif axis == 'objects kept of an image':
        cfg.model.alignments.correlation.object_cfg.max_per_img = value
    return cfg
