"""Curves of several runs on one axis, with their launches."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

#: Logged scalars by name, and their ``step``, oldest first.
Scalars = list[dict[str, float]]


def read_scalars(folder: Path) -> Scalars:
    """Read all scalars of a run and its resumes.

    Args:
        folder (Path): Work folder of the run.

    Returns:
        Scalars: Those of training steps and evaluations. A line that was cut
        off, as when a run is killed, is left out.
    """
    files = sorted(folder.glob('*/vis_data/scalars.json'))
    lines = [line for f in files for line in f.read_text().splitlines()]
    return [json.loads(line) for line in lines if line.endswith('}')]


def summary(scalars: Mapping[str, float]) -> dict[str, float]:
    """Sum up the scalars of one step.

    Args:
        scalars (Mapping[str, float]): The scalars by name.

    Returns:
        dict[str, float]: ``detection loss``, the sum of Faster R-CNN's losses;
        ``alignment loss``, the sum of all launched terms; ``domain accuracy
        (%)``, the mean over all classifiers (50 is what the detector wants).
        A key is absent if none of its scalars was logged.
    """
    parts: dict[str, list[float]] = {}
    for key, value in scalars.items():
        for name, belongs in (
            ('detection loss', key.startswith('loss_')),
            ('alignment loss', '/loss' in key),
            ('domain accuracy (%)', '/accuracy' in key),
        ):
            if belongs:
                parts.setdefault(name, []).append(value)
    return {
        name: float(np.mean(values)) if '%' in name else sum(values)
        for name, values in parts.items()
    }


def launches(scalars: Scalars) -> dict[str, int]:
    """Find when each term was launched.

    Args:
        scalars (Scalars): The scalars of a run.

    Returns:
        dict[str, int]: The first logged step after each launch, by term.
    """
    found: dict[str, int] = {}
    for entry in scalars:
        for key, value in entry.items():
            if key.endswith('/launched') and value:
                found.setdefault(key.removesuffix('/launched'), int(entry['step']))
    return found


def plot_curves(
    runs: Mapping[str, Scalars], path: Path, keys: Sequence[str] | None = None
) -> dict[str, dict]:
    """Draw a panel for each quantity, with a line for each run.

    Args:
        runs (Mapping[str, Scalars]): Scalars by the name of the run.
        path (Path): PNG to write.
        keys (Sequence[str], optional): Logged scalars to draw. Defaults to
            None, the quantities of :func:`summary`.

    Returns:
        dict[str, dict]: For each run its ``launches`` and its ``curves``:
        ``steps`` and ``values`` of each quantity.

    Raises:
        ValueError: If no run has logged any of the quantities.
    """
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
        raise ValueError(f'There is nothing to draw: choose keys from {logged}.')
    figure = Figure(figsize=(8, 0.3 + 2.4 * len(panels)), layout='constrained')
    rows = figure.subplots(len(panels), squeeze=False, sharex=True)[:, 0]
    for axes, key in zip(rows, panels, strict=True):
        for i, (name, run) in enumerate(data.items()):
            # A run without the quantity still has a name.
            line = run['curves'].get(key, dict(steps=[], values=[]))
            axes.plot(line['steps'], line['values'], color=f'C{i}', label=name)
            for step in run['launches'].values():
                axes.axvline(step, color=f'C{i}', linestyle=':', alpha=0.6)
        axes.set_ylabel(key)
        axes.grid(alpha=0.3)
    axes.set_xlabel('iteration; dotted: launch of a term')
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc='outside upper center', ncols=4, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return data
