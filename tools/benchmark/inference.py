"""What a detection costs, over stock Faster R-CNN's and the export's."""
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


def inference_cost(cfg: Config, size: Size,
                   rounds: int) -> dict[str, dict[str, float]]:
    """Measure iFAN's inference beside stock's and its exported twin's.

    Args:
        cfg (Config): iFAN's.
        size (tuple[int, int]): Height and width of the image in pixels.
        rounds (int): How many detections of each to time.

    Returns:
        dict[str, dict[str, float]]: What
        :func:`~mmdet_ifan.benchmark.timing.ratios` gives over stock for
        ``stock``, ``iFAN`` and ``exported``.
    """
    ifan = build_untrained(cfg.model)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, out = Path(folder, 'weights.pth'), Path(folder, 'out')
        torch.save(
            dict(
                meta=dict(dataset_meta=dict(classes=classes_of(cfg))),
                state_dict=ifan.state_dict()), checkpoint)
        export(cfg, str(checkpoint), out)
        # Where the export keeps a backbone that mmdet has not.
        sys.path.insert(0, str(out))
        try:
            exported = init_detector(
                Config.fromfile(out / 'config.py'),
                str(out / 'weights.pth'),
                device=get_device())
        finally:
            sys.path.remove(str(out))
    detectors = dict(
        stock=build_stock(cfg, ifan), iFAN=ifan, exported=exported)
    steps = {
        name: TestStep(detector, size)
        for name, detector in detectors.items()
    }
    return ratios(time_in_turn(steps, rounds), 'stock')
