"""Errors that adaptation fixed and introduced, per class."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from mmdet.evaluation.functional import bbox_overlaps

from .detections import Detections, Truth

#: States of an object.
STATES = ('found', 'mislocalised', 'confused', 'missed')
COLOURS = ('C2', 'C1', 'C4', '0.75')
#: Least IoU of a detection with the object that it is about.
NEAR = 0.1


def judge(
    truth: Truth, detections: Detections, iou_thr: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Give each object its state, and find the false detections.

    Detections are matched best first, each to the free object of its class
    that it overlaps most, as for COCO's AP. An unmatched object is confused
    if a detection of another class overlaps it by ``iou_thr``, otherwise
    mislocalised if one of its own class overlaps it by 0.1, otherwise missed.
    A detection is false if it overlaps no object by 0.1 and lies in no crowd
    by a share of ``iou_thr``.

    Args:
        truth (Truth): The objects.
        detections (Detections): The detections, best first.
        iou_thr (float): IoU of a match, in (0, 1]. Defaults to 0.5.

    Returns:
        tuple[np.ndarray, np.ndarray]: Index into :data:`STATES` of each
        object, (N, ), and labels of the false detections, (M, ).
    """
    ious = bbox_overlaps(truth.boxes, detections.boxes)
    same = truth.labels[:, None] == detections.labels[None]
    found = np.zeros(len(truth.labels), dtype=bool)
    for i in range(len(detections.labels)):
        overlaps = np.where(same[:, i] & ~found, ious[:, i], 0.0)
        if len(overlaps) and overlaps.max() >= iou_thr:
            found[overlaps.argmax()] = True
    confused = (~same & (ious >= iou_thr)).any(axis=1)
    mislocalised = (same & (ious >= NEAR)).any(axis=1)
    states = np.select([found, confused, mislocalised], [0, 2, 1], default=3)
    shares = bbox_overlaps(detections.boxes, truth.crowds, mode='iof')
    on_crowd = (shares >= iou_thr).any(axis=1)
    false = (ious < NEAR).all(axis=0) & ~on_crowd
    return states, detections.labels[false]


def compare_errors(
    truths: Sequence[Truth],
    before: Sequence[Detections],
    after: Sequence[Detections],
    classes: Sequence[str],
) -> dict[str, dict[str, int]]:
    """Count the changes from one detector to another.

    Args:
        truths (Sequence[Truth]): The images of a domain.
        before (Sequence[Detections]): The first detector's detections.
        after (Sequence[Detections]): The second detector's.
        classes (Sequence[str]): Class names.

    Returns:
        dict[str, dict[str, int]]: For each class ``objects``, ``fixed`` (only
        the second detector finds them), ``broken`` (only the first does), and
        numbers such as ``missed before`` and ``false after``: each of
        :data:`STATES` and ``false``, before and after.
    """
    counts = {
        name: dict.fromkeys(
            (
                'objects',
                'fixed',
                'broken',
                *(
                    f'{state} {when}'
                    for state in (*STATES, 'false')
                    for when in ('before', 'after')
                ),
            ),
            0,
        )
        for name in classes
    }
    for truth, *both in zip(truths, before, after, strict=True):
        judged = [judge(truth, detections) for detections in both]
        (first, _), (second, _) = judged
        for label, a, b in zip(truth.labels, first, second, strict=True):
            count = counts[classes[label]]
            count['objects'] += 1
            count['fixed'] += int(a != 0 and b == 0)
            count['broken'] += int(a == 0 and b != 0)
        for when, (states, false) in zip(('before', 'after'), judged, strict=True):
            for label, state in zip(truth.labels, states, strict=True):
                counts[classes[label]][f'{STATES[state]} {when}'] += 1
            for label in false:
                counts[classes[label]][f'false {when}'] += 1
    return counts


def errors_table(counts: Mapping[str, Mapping[str, int]]) -> list[list[str]]:
    """Lay out the counts of one domain, a row for each class and their sum.

    Args:
        counts (Mapping): Output of :func:`compare_errors`.

    Returns:
        list[list[str]]: A heading and the rows, with ``before → after``.
    """
    states = (*STATES, 'false')
    rows = [['class', 'objects', *states, 'fixed', 'broken']]
    keys = next(iter(counts.values())).keys()
    total = {key: sum(c[key] for c in counts.values()) for key in keys}
    for name, count in {**counts, 'all': total}.items():
        changes = [
            f'{count[f"{state} before"]} → {count[f"{state} after"]}'
            for state in states
        ]
        rows.append(
            [
                name,
                str(count['objects']),
                *changes,
                f'+{count["fixed"]}',
                f'−{count["broken"]}',
            ]
        )
    return rows


def count_errors(
    truths: Sequence[Truth],
    detectors: Mapping[str, Sequence[Detections]],
    parts: int = 4,
) -> dict:
    """Count the states of all objects, and what is found of each size.

    Args:
        truths (Sequence[Truth]): The images of a domain.
        detectors (Mapping[str, Sequence[Detections]]): Detections in these
            images by the name of the detector.
        parts (int): Number of equal parts of the objects, ordered by height.
            Defaults to 4.

    Returns:
        dict: ``heights``, the largest height in px of each part; ``objects``,
        the number in each part; ``states``, by detector the numbers of
        :data:`STATES`, of ``detections`` and of ``false detections``; and
        ``found``, by detector the number of objects found in each part.
    """
    heights = np.concatenate([t.boxes[:, 3] - t.boxes[:, 1] for t in truths])
    by_size = np.array_split(np.argsort(heights, kind='stable'), parts)
    by_size = [part for part in by_size if len(part)]
    states, found = {}, {}
    for name, detections in detectors.items():
        judged = [judge(*pair) for pair in zip(truths, detections, strict=True)]
        of_all = np.concatenate([of_image for of_image, _ in judged])
        states[name] = {
            state: int((of_all == i).sum()) for i, state in enumerate(STATES)
        } | {
            'detections': sum(len(d.labels) for d in detections),
            'false detections': sum(len(false) for _, false in judged),
        }
        found[name] = [int((of_all[part] == 0).sum()) for part in by_size]
    return dict(
        heights=[float(heights[part].max()) for part in by_size],
        objects=[len(part) for part in by_size],
        states=states,
        found=found,
    )


def states_table(counts: Mapping) -> list[list[str]]:
    """Lay out the states in :func:`count_errors`, a column for each detector."""
    columns = counts['states'].values()
    return [
        ['number', *counts['states']],
        *(
            [state, *(str(column[state]) for column in columns)]
            for state in next(iter(columns))
        ),
    ]


def sizes_table(counts: Mapping) -> list[list[str]]:
    """Lay out :func:`count_errors` by size, a column for each detector."""
    rows = [['found (%), by height', *counts['found']]]
    least = 0.0
    for i, (height, objects) in enumerate(
        zip(counts['heights'], counts['objects'], strict=True)
    ):
        shares = (100 * found[i] / objects for found in counts['found'].values())
        rows.append(
            [f'{least:.0f} to {height:.0f} px', *(f'{share:.0f}' for share in shares)]
        )
        least = height
    return rows


def plot_errors(
    domains: Mapping[str, Mapping[str, Mapping[str, int]]],
    names: tuple[str, str],
    path: Path,
) -> None:
    """Draw the states of each class's objects, a bar for each detector.

    Args:
        domains (Mapping): Output of :func:`compare_errors` by domain.
        names (tuple[str, str]): Names of the two detectors.
        path (Path): PNG to write.
    """
    classes = list(next(iter(domains.values())))
    figure = Figure(
        figsize=(5.5 * len(domains), 1.3 + 0.5 * len(classes)), layout='constrained'
    )
    panels = figure.subplots(1, len(domains), squeeze=False, sharey=True)[0]
    for axes, (domain, counts) in zip(panels, domains.items(), strict=True):
        for offset, when in ((-0.2, 'before'), (0.2, 'after')):
            rows = np.arange(len(classes)) + offset
            left = np.zeros(len(classes))
            totals = np.array([max(1, counts[c]['objects']) for c in classes])
            for state, colour in zip(STATES, COLOURS, strict=True):
                widths = (
                    100
                    * np.array([counts[c][f'{state} {when}'] for c in classes])
                    / totals
                )
                axes.barh(
                    rows,
                    widths,
                    0.36,
                    left,
                    color=colour,
                    label=state if when == 'before' else None,
                )
                left += widths
        axes.set_title(domain)
        axes.set_xlim(0, 100)
        axes.set_xlabel(f'objects (%); upper bar {names[0]}, lower bar {names[1]}')
        axes.set_yticks(
            range(len(classes)), [f'{c} ({counts[c]["objects"]})' for c in classes]
        )
    axes.invert_yaxis()
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=len(STATES))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
