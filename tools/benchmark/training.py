"""What a step with alignments costs, over stock Faster R-CNN's."""
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmengine.config import Config

from .detectors import (
    Load,
    TrainStep,
    build_stock,
    build_untrained,
    copy_weights,
    launches,
    pair,
    random_images,
)
from .profiling import profile_parts
from .timing import ratios, time_in_turn

#: Stock Faster R-CNN on all images, and on those of source.
STOCK, ALONE = 'stock', 'stock, source alone'


def training_cost(configs: Mapping[str, Config],
                  load: Load,
                  rounds: int,
                  all_launched_only: bool = False
                  ) -> dict[str, dict[str, Any]]:
    """Measure the steps of methods that share a detector.

    All train on the same images from the same weights. Stock Faster R-CNN has
    boxes on all of them, a method on the first half, which is source.

    Args:
        configs (Mapping[str, Config]): By method, the first iFAN's, whose
            detector without its alignments is the stock one.
        load (Load): What a step works on.
        rounds (int): How many steps of each to time.
        all_launched_only (bool): Leave out what launches fewer alignments
            than there are. Defaults to False.

    Returns:
        dict[str, dict[str, Any]]: Of each variant, stock first, what
        :func:`~mmdet_ifan.benchmark.timing.ratios` gives over stock on as
        many images, ``alone`` (the median over stock on source alone),
        ``peak_bytes``, ``memory`` (its ratio) and ``parts`` in seconds.
    """
    steps = _steps(configs, load, all_launched_only)
    times = time_in_turn(steps, rounds)
    over_stock, over_alone = (ratios(times, base) for base in (STOCK, ALONE))
    figures: dict[str, dict[str, Any]] = {}
    for name, step in steps.items():
        profile = profile_parts(step, step.parts)
        peak_bytes = step.held_bytes + profile.peak_bytes
        figures[name] = dict(
            over_stock[name],
            alone=over_alone[name]['median'],
            peak_bytes=peak_bytes,
            memory=peak_bytes / figures.get(STOCK, dict(
                peak_bytes=peak_bytes))['peak_bytes'],
            parts=profile.seconds)
    return figures


def _steps(configs: Mapping[str, Config], load: Load,
           all_launched_only: bool) -> dict[str, TrainStep]:
    """Build the detectors and lay out the same images for each."""
    detectors = {
        method: build_untrained(cfg.model)
        for method, cfg in configs.items()
    }
    first, *others = detectors
    for method in others:
        copy_weights(detectors[first], detectors[method])
    stock = build_stock(configs[first], detectors[first])
    images = random_images(
        replace(load, batch=2 * load.batch),
        configs[first].model.roi_head.bbox_head.num_classes)
    source = {key: values[:load.batch] for key, values in images.items()}
    steps = {
        STOCK: TrainStep(stock, configs[first], images),
        ALONE: TrainStep(stock, configs[first], source)
    }
    for method, detector in detectors.items():
        variants = list(launches(detector).items())
        # With nothing launched, they are the same.
        begin = -1 if all_launched_only else method != first
        for variant, names in variants[begin:]:
            steps[f'{method}: {variant}'] = TrainStep(
                detector, configs[method], pair(images), names)
    return steps
