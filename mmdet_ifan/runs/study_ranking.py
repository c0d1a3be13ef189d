"""Rank the settings of a study by a score that reads no target label."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from mmengine.config import Config

from ..analysis.comparison import to_markdown
from ..analysis.label_free_scores import normalised
from ..analysis.selection import Images, Selection, Settings
from ..analysis.selection_page import best
from ..deployment.checkpoint_config import detector_of
from ..utils.errors import DataError, name_some


def mean_scores(pools: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average each setting's score over the seeds.

    Args:
        pools (Sequence[Mapping[str, float]]): For each seed the score of each
            setting.

    Returns:
        dict[str, float]: In [0, 1], the best first: each seed's scores are
        scaled to that range. A setting that lacks a score on a seed is last,
        with NaN.
    """
    means = dict.fromkeys(pools[0], 0.0)
    for pool in pools:
        for name, value in zip(pool, normalised(list(pool.values())), strict=True):
            means[name] += float(value) / len(pools)
    return dict(sorted(means.items(), key=lambda item: (math.isnan(item[1]), -item[1])))


def rank_settings(
    checkpoints: Mapping[int, Mapping[str, Path]],
    config: Path,
    out: Path,
    score: str,
    settings: Settings,
    device: str = 'cpu',
) -> str:
    """Score the last checkpoints of all settings, a pool for each seed.

    Args:
        checkpoints (Mapping): For each seed the checkpoint of each setting.
        config (Path): Config of the pair.
        out (Path): Folder: ``ranking.md``, and a selection for each seed.
        score (str): Name of the score.
        settings (Settings): How it is measured.
        device (str): Device. Defaults to ``cpu``.

    Returns:
        str: The table, as Markdown.

    Raises:
        DataError: If a run is not finished.
    """
    missing = [
        f'{name}, seed {seed}'
        for seed, pool in checkpoints.items()
        for name, path in pool.items()
        if not path.exists()
    ]
    if missing:
        raise DataError(
            f'There is no last checkpoint of {missing[0]}, so settings cannot be '
            'compared: finish the runs, or leave it out.'
        )
    cfg = Config.fromfile(config)
    images = Images(cfg, settings.images)
    load = partial(detector_of, cfg=cfg, classes=images.classes, device=device)
    pools, said = [], []
    for seed, pool in checkpoints.items():
        selection = Selection(images, settings, out / f'selection/seed-{seed}', load)
        found = selection.measure(
            {name: str(path) for name, path in pool.items()}, (score,)
        )
        pools.append(
            {name: row['scores'][score] for name, row in found['candidates'].items()}
        )
        said += [f'- Seed {seed}: {sentence}\n' for sentence in found['said']]
    means = mean_scores(pools)
    rows = [['setting', f'{score} (mean)', *(f'seed {seed}' for seed in checkpoints)]]
    for name, value in means.items():
        rows.append([name, f'{value:.2f}', *(f'{pool[name]:.4g}' for pool in pools)])
    chosen = best(means)
    text = (
        f'{to_markdown(rows)}\n'
        'The mean is of scores scaled to [0, 1] on each seed. '
        f'{"Best: " + name_some(chosen) if chosen else "No setting has it"}. No '
        'target label was read; docs/guide/selection.md says what this is worth.\n\n'
        + ''.join(said)
    )
    (out / 'ranking.md').write_text(text)
    return text
