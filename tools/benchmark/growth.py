"""Growth of a step's time and memory with its load and its detector."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmengine.config import Config

from .detectors import Load
from .training import STOCK, training_cost

#: Quantities that grow, one at a time, from ``BASE``, and their values.
AXES: Mapping[str, Sequence[Any]] = {
    'images of a domain': (1, 2, 4, 8),
    'height and width': ((96, 192), (128, 256), (192, 384), (256, 512)),
    'boxes of an image': (2, 8, 32, 128),
    'categories': (1, 8, 32, 80),
    'objects kept of an image': (8, 16, 32, 64),
}
BASE = Load(size=(128, 256), batch=2, instances=8)
#: Field of the load, or key of the config, that holds each quantity.
PLACES = {
    'images of a domain': 'batch',
    'height and width': 'size',
    'boxes of an image': 'instances',
    'categories': 'model.roi_head.bbox_head.num_classes',
    'objects kept of an image': 'model.alignments.correlation.object_cfg.max_per_img',
}


def growth(
    cfg: Config, rounds: int, axes: Mapping[str, Sequence[Any]] = AXES
) -> list[dict[str, Any]]:
    """Measure the step with everything launched while one quantity grows.

    Args:
        cfg (Config): iFAN's config.
        rounds (int): Number of steps to time at each value.
        axes (Mapping[str, Sequence]): Values of each quantity. Defaults to
            ``AXES``.

    Returns:
        list[dict[str, Any]]: ``axis``, ``value``, ``seconds``, ``stock`` (its
        seconds), ``median``, ``memory``, ``peak_bytes``, and ``pairs``, the
        seconds of Eq. 6 without pooling and embedding.
    """
    rows = []
    for axis, values in axes.items():
        for value in values:
            load, changed, place = BASE, Config(cfg.to_dict()), PLACES[axis]
            if '.' in place:
                changed.merge_from_dict({place: value})
            else:
                load = replace(BASE, **{place: value})
            figures = training_cost({'ifan': changed}, load, rounds, True)
            row = list(figures.values())[-1]
            rows.append(
                dict(
                    axis=axis,
                    value=value,
                    stock=figures[STOCK]['seconds'],
                    pairs=row['parts']['correlation: the rest'],
                    **{
                        key: row[key]
                        for key in ('seconds', 'median', 'memory', 'peak_bytes')
                    },
                )
            )
    return rows
