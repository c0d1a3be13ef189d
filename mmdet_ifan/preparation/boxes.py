"""Boxes of a data set, cut to their image."""

import math
from dataclasses import dataclass

from .records import Problem

SLACK = 1.0  # px beyond the border that rounding explains; cut silently.
LEAST = 1.0  # px; MMDetection drops boxes with a shorter side.
CUT = 'boxes cut at the border'
#: Words of the sentence about a box, by the kind of problem.
SAYS = {
    'unreadable boxes': 'that is no box in the image',
    'boxes without area': 'without area in the image',
    'boxes outside the image': 'outside the image',
    CUT: 'that reaches out of the image',
}


@dataclass
class Box:
    """One box, in px from the top left corner of the image.

    Args:
        name (str, optional): Category. None for a region of unknown content,
            which is ignored for every category.
        x1 (float): Left edge.
        y1 (float): Top edge.
        x2 (float): Right edge; x2 - x1 is the width.
        y2 (float): Bottom edge.
        ignore (bool): Whether detecting it counts as neither right nor wrong
            ('iscrowd'). Defaults to False.
        area (float, optional): Area of the object in px. Defaults to None,
            the area of the box.
    """

    name: str | None
    x1: float
    y1: float
    x2: float
    y2: float
    ignore: bool = False
    area: float | None = None

    def edges(self) -> tuple[float, float, float, float]:
        """Give x1, y1, x2 and y2."""
        return self.x1, self.y1, self.x2, self.y2

    def has_area(self) -> bool:
        """Tell whether the box is large enough for training."""
        return min(self.x2 - self.x1, self.y2 - self.y1) >= LEAST

    def bbox(self) -> list[float]:
        """Give x, y, width and height; whole numbers as integers."""
        edges = (self.x1, self.y1, self.x2 - self.x1, self.y2 - self.y1)
        return [round(edge, 3) if edge % 1 else int(edge) for edge in edges]


def clean_boxes(
    boxes: list[Box], height: int, width: int, where: str
) -> tuple[list[Box], list[Problem]]:
    """Cut boxes to the image and drop those without area in it.

    Args:
        boxes (list[Box]): Boxes of one image, cut in place.
        height (int): Image height in px.
        width (int): Image width in px.
        where (str): Name of the file that holds the boxes.

    Returns:
        tuple[list[Box], list[Problem]]: The remaining boxes, and what
        happened to the others.
    """
    kept, problems = [], []
    for box in boxes:
        edges = box.edges()
        kind = _cut(box, edges, height, width)
        if kind is not None:
            numbers = ', '.join(f'{edge:g}' for edge in edges)
            fate = 'cut' if kind == CUT else 'left out'
            problems.append(
                Problem(
                    kind,
                    f'{where} has a {box.name or "ignored"} box '
                    f'({numbers}) {SAYS[kind]} ({height} x {width} px): {fate}.',
                )
            )
        if kind in (None, CUT):
            kept.append(box)
    return kept, problems


def _cut(box: Box, edges: tuple[float, ...], height: int, width: int) -> str | None:
    """Cut a box to the image; give the kind of problem, if any."""
    if not all(map(math.isfinite, edges)):
        return 'unreadable boxes'
    if not box.has_area():
        return 'boxes without area'
    box.x1, box.x2 = max(box.x1, 0), min(box.x2, width)
    box.y1, box.y2 = max(box.y1, 0), min(box.y2, height)
    if not box.has_area():
        return 'boxes outside the image'
    if box.edges() == edges:
        return None
    box.area = None
    over = max(abs(new - old) for new, old in zip(box.edges(), edges, strict=True))
    return CUT if over > SLACK else None
