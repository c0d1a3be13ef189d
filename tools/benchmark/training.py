"""Cost of a training step, compared with a stock Faster R-CNN."""

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
    random_images,
    split_domains,
    with_views,
)
from .profiling import profile_parts
from .timing import ratios, time_in_turn

#: Stock Faster R-CNN on all images, and on the source images.
STOCK, ALONE = 'stock', 'stock, source alone'


def training_cost(
    configs: Mapping[str, Config],
    load: Load,
    rounds: int,
    all_launched_only: bool = False,
) -> dict[str, dict[str, Any]]:
    """Measure the steps of methods that share a detector.

    All train on the same images from the same weights. Stock Faster R-CNN has
    boxes on all images, a method on the first half, which is source.

    Args:
        configs (Mapping[str, Config]): Configs by method. The first is iFAN's;
            its detector without alignments is the stock one. A method whose
            term needs larger images is left out.
        load (Load): Load of a step.
        rounds (int): Number of steps of each variant to time.
        all_launched_only (bool): Whether to measure only the variants that
            launch every alignment. Defaults to False.

    Returns:
        dict[str, dict[str, Any]]: For each variant, stock first,
        :func:`~benchmark.timing.ratios` to stock on as many images, ``alone``
        (the median ratio to stock on source alone), ``peak_bytes``,
        ``memory`` (its ratio) and ``parts`` in seconds.
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
            memory=peak_bytes
            / figures.get(STOCK, dict(peak_bytes=peak_bytes))['peak_bytes'],
            parts=profile.seconds,
        )
    return figures


def _steps(
    configs: Mapping[str, Config], load: Load, all_launched_only: bool
) -> dict[str, TrainStep]:
    """Build the detectors that take such images, and give each the same ones."""
    built = {method: build_untrained(cfg.model) for method, cfg in configs.items()}
    detectors = {
        method: detector
        for method, detector in built.items()
        if all(
            term.min_image_size <= min(load.size)
            for term in detector.all_alignments.values()
        )
    }
    first, *others = detectors
    for method in others:
        copy_weights(detectors[first], detectors[method])
    stock = build_stock(configs[first], detectors[first])
    images = random_images(
        replace(load, batch=2 * load.batch),
        configs[first].model.roi_head.bbox_head.num_classes,
    )
    pairs = split_domains(images)
    source = {key: values['source'] for key, values in pairs.items()}
    steps = {
        STOCK: TrainStep(stock, configs[first], images),
        ALONE: TrainStep(stock, configs[first], source),
    }
    for method, detector in detectors.items():
        names = list(detector.all_alignments)
        # With nothing launched, all methods are the same.
        begin = len(names) if all_launched_only else method != first
        batch = with_views(pairs, detector)
        for count in range(begin, len(names) + 1):
            variant = ' + '.join(names[:count]) or 'nothing'
            steps[f'{method}: {variant}'] = TrainStep(
                detector, configs[method], batch, names[:count]
            )
    return steps
