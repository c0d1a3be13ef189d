"""Boxes as a data set gives them, and what of them can be trained on."""

import math
from dataclasses import dataclass

from .records import Problem

SLACK = 1.0  # px over the border that rounding explains; cut silently.
LEAST = 1.0  # px; MMDetection drops boxes with a shorter side.


@dataclass
class Box:
    """One box, in px from the image's top left corner.

    Args:
        name (str, optional): Category. None if it is a region of which
            nothing is known, for any category.
        x1 (float): Left edge.
        y1 (float): Top edge.
        x2 (float): Right edge; x2 - x1 is the width.
        y2 (float): Bottom edge.
        ignore (bool): Neither right nor wrong to detect ('iscrowd').
            Defaults to False.
        area (float, optional): Of the object, in px. Defaults to None, that
            of the box.
    """

    name: str | None
    x1: float
    y1: float
    x2: float
    y2: float
    ignore: bool = False
    area: float | None = None

    def bbox(self) -> list[float]:
        """Give x, y, width and height, whole numbers without a point."""
        edges = (self.x1, self.y1, self.x2 - self.x1, self.y2 - self.y1)
        return [round(edge, 3) if edge % 1 else int(edge) for edge in edges]


def clean_boxes(boxes: list[Box], height: int, width: int,
                where: str) -> tuple[list[Box], list[Problem]]:
    """Cut boxes to the image and drop those of which nothing is left.

    Args:
        boxes (list[Box]): Of one image, cut in place.
        height (int): Of the image, in px.
        width (int): Of the image, in px.
        where (str): Names the file that holds the boxes.

    Returns:
        tuple[list[Box], list[Problem]]: The boxes that are left, and what
        happened to the others.
    """
    kept, problems = [], []
    for box in boxes:
        edges = (box.x1, box.y1, box.x2, box.y2)
        what = (f'{where} has a {box.name or "ignored"} box '
                f'({", ".join(f"{edge:g}" for edge in edges)})')
        if not all(map(math.isfinite, edges)):
            problems.append(Problem(
                'unreadable boxes', f'{what} that is no box: left out.'))
            continue
        if min(box.x2 - box.x1, box.y2 - box.y1) < LEAST:
            problems.append(Problem(
                'boxes without area', f'{what} without area: left out.'))
            continue
        size = f'the image ({height} x {width} px)'
        box.x1, box.x2 = (min(max(x, 0), width) for x in (box.x1, box.x2))
        box.y1, box.y2 = (min(max(y, 0), height) for y in (box.y1, box.y2))
        if min(box.x2 - box.x1, box.y2 - box.y1) < LEAST:
            problems.append(Problem(
                'boxes outside the image',
                f'{what} outside {size}: left out.'))
            continue
        over = max(abs(new - old) for new, old in zip(
            (box.x1, box.y1, box.x2, box.y2), edges, strict=True))
        if over:
            box.area = None
        if over > SLACK:
            problems.append(Problem(
                'boxes cut at the border',
                f'{what} that reaches out of {size}: cut.'))
        kept.append(box)
    return kept, problems
