"""Ground truth and detections side by side (paper, Figure 2)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import mmcv
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from mmengine.config import Config

from ..utils.errors import DataError
from .detections import Detections, Truth, detect, read_truth
from .errors import judge

#: Bright in fog and distinct: Cityscapes' palette has four dark blues.
COLOURS = matplotlib.colormaps['hsv']


def draw_comparison(
    configs: Mapping[str, Path],
    checkpoints: Mapping[str, Path],
    out: Path,
    num_images: int = 4,
    score_thr: float = 0.5,
    where_they_differ: bool = False,
) -> None:
    """Draw target images with true boxes and each detector's, a column each.

    The images are taken from the target test images with at least three
    objects: a sample at even distances, or a selection of those where most
    objects are found by one detector and not by another.

    Args:
        configs (Mapping[str, Path]): Config of each detector by its name.
        checkpoints (Mapping[str, Path]): Checkpoint of each detector.
        out (Path): PNG to write.
        num_images (int): Number of rows. Defaults to 4.
        score_thr (float): Lowest score that is drawn, in [0, 1].
            Defaults to 0.5.
        where_they_differ (bool): Whether to select instead of sample.
            Defaults to False.

    Raises:
        DataError: If no image has three objects, or a checkpoint does not fit
            its config.
    """
    truths, classes = read_truth(
        Config.fromfile(next(iter(configs.values()))), 'target'
    )
    truths = [truth for truth in truths if len(truth.labels) >= 3]
    if not truths:
        raise DataError(
            'No target image of the test set holds three objects '
            'or more, and others are not drawn: draw the '
            'detections with tools/predict.py instead.'
        )
    chosen = np.arange(len(truths))
    if not where_they_differ:
        chosen = np.linspace(0, len(truths) - 1, num_images).round().astype(int)
    truths = [truths[i] for i in chosen]
    found = {
        name: detect(
            config, checkpoints[name], [truth.path for truth in truths], score_thr
        )
        for name, config in configs.items()
    }
    if where_they_differ:
        differing = [
            _num_differing(truth, detections)
            for truth, *detections in zip(truths, *found.values(), strict=True)
        ]
        best = np.argsort(differing, kind='stable')[::-1][:num_images]
        truths = [truths[i] for i in best]
        found = {name: [d[i] for i in best] for name, d in found.items()}
    _draw(
        [truth.path for truth in truths],
        {'ground truth': truths, **found},
        classes,
        out,
    )


def _num_differing(truth: Truth, detections: Sequence[Detections]) -> int:
    """Count the objects that some detectors find and others do not."""
    is_found = np.stack([judge(truth, d)[0] == 0 for d in detections])
    return int((is_found.any(axis=0) & ~is_found.all(axis=0)).sum())


def _draw(
    paths: list[str],
    columns: Mapping[str, Sequence[Truth] | Sequence[Detections]],
    classes: Sequence[str],
    out: Path,
) -> None:
    """Draw the images in a grid and write it."""
    height, width = mmcv.imread(paths[0]).shape[:2]
    panel = 4.0
    figure = Figure(
        figsize=(panel * len(columns), panel * height / width * len(paths) + 0.7),
        layout='constrained',
    )
    colours = [COLOURS(i / len(classes)) for i in range(len(classes))]
    axes = figure.subplots(len(paths), len(columns), squeeze=False)
    for row, path in enumerate(paths):
        image = mmcv.imread(path, channel_order='rgb')
        for axis, (name, images) in zip(axes[row], columns.items(), strict=True):
            axis.imshow(image, interpolation='bilinear')
            axis.set_axis_off()
            if row == 0:
                axis.set_title(name, fontsize=14)
            _draw_boxes(axis, images[row], colours)
    handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in colours]
    figure.legend(
        handles,
        classes,
        loc='outside lower center',
        ncols=len(handles),
        fontsize=11,
        frameon=False,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


def _draw_boxes(axis: Axes, image: Truth | Detections, colours: Sequence) -> None:
    """Draw one image's boxes in the colours of their classes."""
    for (x1, y1, x2, y2), label in zip(image.boxes, image.labels, strict=True):
        axis.add_patch(
            Rectangle(
                (x1, y1),
                x2 - x1,
                y2 - y1,
                fill=False,
                linewidth=1.6,
                edgecolor=colours[label],
            )
        )
