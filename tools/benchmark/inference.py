"""Cost of detecting, compared with a stock Faster R-CNN."""

import sys
import tempfile
from pathlib import Path

import torch
from mmdet.apis import init_detector
from mmengine.config import Config
from mmengine.device import get_device

from mmdet_ifan.deployment import export
from mmdet_ifan.engine.checks.checkpoint import classes_of

from .detectors import Size, TestStep, build_stock, build_untrained
from .timing import ratios, time_in_turn


def inference_cost(cfg: Config, size: Size, rounds: int) -> dict[str, dict[str, float]]:
    """Compare iFAN's inference with stock's and with its export's.

    Args:
        cfg (Config): iFAN's config.
        size (tuple[int, int]): Height and width of the image in pixels.
        rounds (int): Number of detections of each to time.

    Returns:
        dict[str, dict[str, float]]: :func:`~benchmark.timing.ratios` of
        ``stock``, ``iFAN`` and ``exported`` to stock.
    """
    ifan = build_untrained(cfg.model)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, out = Path(folder, 'weights.pth'), Path(folder, 'out')
        torch.save(
            dict(
                meta=dict(dataset_meta=dict(classes=classes_of(cfg))),
                state_dict=ifan.state_dict(),
            ),
            checkpoint,
        )
        export(cfg, str(checkpoint), out)
        # The export brings along a backbone that mmdet lacks.
        sys.path.insert(0, str(out))
        try:
            exported = init_detector(
                Config.fromfile(out / 'config.py'),
                str(out / 'weights.pth'),
                device=get_device(),
            )
        finally:
            sys.path.remove(str(out))
    steps = dict(
        stock=TestStep(build_stock(cfg, ifan), size),
        iFAN=TestStep(ifan, size),
        exported=TestStep(exported, size),
    )
    return ratios(time_in_turn(steps, rounds), 'stock')
