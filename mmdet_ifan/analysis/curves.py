"""Curves of several trainings on one axis, launches marked."""
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

#: What a training has logged, oldest first: scalars by name, and ``step``.
Scalars = list[dict[str, float]]


def read_scalars(folder: Path) -> Scalars:
    """Read what a training, with all its resumes, has logged.

    Args:
        folder (Path): Its work folder.

    Returns:
        Scalars: Training steps and evaluations; a line that was cut off, as
        the last one of a run that was killed, is left out.
    """
    files = sorted(folder.glob('*/vis_data/scalars.json'))
    lines = [line for f in files for line in f.read_text().splitlines()]
    return [json.loads(line) for line in lines if line.endswith('}')]


def summary(scalars: Mapping[str, float]) -> dict[str, float]:
    """Sum one step up.

    Args:
        scalars (Mapping[str, float]): What was logged.

    Returns:
        dict[str, float]: ``detection loss``, the sum of Faster R-CNN's;
        ``alignment loss``, that of all launched alignments; ``domain
        accuracy (%)``, the mean over all classifiers (50 is what the detector
        wants). A key is absent if nothing of it was logged.
    """
    detection = [v for k, v in scalars.items() if k.startswith('loss_')]
    alignment = [v for k, v in scalars.items() if '/loss' in k]
    accuracy = [v for k, v in scalars.items() if '/accuracy' in k]
    return {
        name: value
        for name, values, value in (
            ('detection loss', detection, sum(detection)),
            ('alignment loss', alignment, sum(alignment)),
            ('domain accuracy (%)', accuracy,
             float(np.mean(accuracy)) if accuracy else 0.),
        ) if values
    }


def launches(scalars: Scalars) -> dict[str, int]:
    """Find when each alignment was launched.

    Args:
        scalars (Scalars): What was logged.

    Returns:
        dict[str, int]: First logged step at which each was launched.
    """
    found: dict[str, int] = {}
    for entry in scalars:
        for key, value in entry.items():
            if key.endswith('/launched') and value:
                found.setdefault(key.removesuffix('/launched'),
                                 int(entry['step']))
    return found


def plot_curves(runs: Mapping[str, Scalars],
                path: Path,
                keys: Sequence[str] | None = None) -> dict[str, dict]:
    """Draw a panel for each quantity, a line for each training.

    Args:
        runs (Mapping[str, Scalars]): Trainings by their names.
        path (Path): PNG to write.
        keys (Sequence[str], optional): Scalars to draw, as they are logged.
            Defaults to None: those of :func:`summary`.

    Returns:
        dict[str, dict]: What was drawn: of each training, for each quantity,
        ``steps`` and ``values``; and its ``launches``.

    Raises:
        ValueError: If none of the trainings has logged any of it.
    """
    from matplotlib.figure import Figure
    data: dict[str, dict] = {}
    for name, scalars in runs.items():
        drawn: dict[str, dict] = {}
        for entry in scalars:
            values = entry if keys else summary(entry)
            for key in keys or values:
                if key in values:
                    line = drawn.setdefault(key, dict(steps=[], values=[]))
                    line['steps'].append(entry['step'])
                    line['values'].append(values[key])
        data[name] = dict(curves=drawn, launches=launches(scalars))
    panels = list(dict.fromkeys(k for d in data.values() for k in d['curves']))
    if not panels:
        logged = sorted({k for s in runs.values() for e in s for k in e})
        raise ValueError(
            f'There is nothing to draw; what was logged is {logged}.')
    figure = Figure(figsize=(8, 2.4 * len(panels)), layout='constrained')
    for axes, key in zip(
            figure.subplots(len(panels), squeeze=False)[:, 0], panels,
            strict=True):
        for i, (name, run) in enumerate(data.items()):
            if key in run['curves']:
                line = run['curves'][key]
                axes.plot(
                    line['steps'], line['values'], color=f'C{i}', label=name)
            for step in run['launches'].values():
                axes.axvline(step, color=f'C{i}', linestyle=':', alpha=0.6)
        axes.set_ylabel(key)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    axes.set_xlabel('iteration; dotted: an alignment is launched')
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return data
