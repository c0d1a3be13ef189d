"""Ground truth and several detectors side by side (paper, Figure 2)."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import mmcv
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from mmdet.apis import DetInferencer
from mmdet.registry import DATASETS
from mmengine.config import Config

#: Boxes of a figure: corners (N, 4) in pixels and labels (N, ).
Boxes = tuple[np.ndarray, np.ndarray]
#: Bright in fog and told apart: Cityscapes' own palette has four dark blues.
COLOURS = matplotlib.colormaps['hsv']


def draw_comparison(configs: Mapping[str, Path],
                    checkpoints: Mapping[str, Path],
                    out: Path,
                    num_images: int = 4,
                    score_thr: float = 0.5) -> None:
    """Draw target images with true and detected boxes, a column each.

    The images are taken at even distances from those of the test set's target
    that hold at least three objects: a sample, not a selection.

    Args:
        configs (Mapping[str, Path]): Config of each detector by its name.
        checkpoints (Mapping[str, Path]): Checkpoint of each detector.
        out (Path): PNG to write.
        num_images (int): Rows. Defaults to 4.
        score_thr (float): Lowest score that is drawn, in [0, 1].
            Defaults to 0.5.
    """
    cfg = Config.fromfile(next(iter(configs.values())))
    dataset = DATASETS.build(
        dict(cfg.test_dataloader.dataset.target, test_mode=True))
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    infos = [info for info in infos if len(info['instances']) >= 3]
    chosen = np.linspace(0, len(infos) - 1, num_images).round().astype(int)
    infos = [infos[i] for i in chosen]
    paths = [info['img_path'] for info in infos]
    columns = {'ground truth': [_true_boxes(info) for info in infos]}
    for name, config in configs.items():
        columns[name] = _detect(config, checkpoints[name], paths, score_thr)
    _draw(paths, columns, dataset.metainfo['classes'], out)


def _true_boxes(info: dict) -> Boxes:
    """Give the true boxes of an image, without those marked crowd."""
    instances = [i for i in info['instances'] if not i['ignore_flag']]
    boxes = np.array([i['bbox'] for i in instances]).reshape(-1, 4)
    return boxes, np.array([i['bbox_label'] for i in instances], dtype=int)


def _detect(config: Path, checkpoint: Path, paths: list[str],
            score_thr: float) -> list[Boxes]:
    """Run a detector."""
    inferencer = DetInferencer(str(config), str(checkpoint), device='cpu')
    inferencer.show_progress = False
    results = inferencer(paths, return_datasamples=True, no_save_vis=True)
    detections = []
    for sample in results['predictions']:
        instances = sample.pred_instances
        kept = instances[instances.scores >= score_thr].cpu().numpy()
        detections.append((kept.bboxes, kept.labels))
    return detections


def _draw(paths: list[str], columns: dict[str, list[Boxes]],
          classes: Sequence[str], out: Path) -> None:
    """Lay the images out in a grid and write it."""
    height, width = mmcv.imread(paths[0]).shape[:2]
    panel = 4.0
    figure = Figure(
        figsize=(panel * len(columns),
                 panel * height / width * len(paths) + 0.7),
        layout='constrained')
    colours = [COLOURS(i / len(classes)) for i in range(len(classes))]
    axes = figure.subplots(len(paths), len(columns), squeeze=False)
    for row, path in enumerate(paths):
        image = mmcv.imread(path, channel_order='rgb')
        for axis, (name, boxes) in zip(
                axes[row], columns.items(), strict=True):
            axis.imshow(image, interpolation='bilinear')
            axis.set_axis_off()
            if row == 0:
                axis.set_title(name, fontsize=11)
            _draw_boxes(axis, boxes[row], colours)
    handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in colours]
    figure.legend(
        handles,
        classes,
        loc='outside lower center',
        ncols=len(handles),
        fontsize=8,
        frameon=False)
    figure.savefig(out, dpi=110)


def _draw_boxes(axis: Axes, boxes: Boxes, colours: Sequence) -> None:
    """Draw one image's boxes in the colours of their classes."""
    for (x1, y1, x2, y2), label in zip(*boxes, strict=True):
        axis.add_patch(
            Rectangle((x1, y1),
                      x2 - x1,
                      y2 - y1,
                      fill=False,
                      linewidth=1.6,
                      edgecolor=colours[label]))
