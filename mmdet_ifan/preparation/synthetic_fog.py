"""Make foggy images for a Cityscapes root that has none.

The optical model is that of Foggy Cityscapes (Sakaridis et al., Semantic
Foggy Scene Understanding with Synthetic Data, IJCV 2018). Depth completion
and airlight are simpler here, so the images are not the official ones; a
file in the folder says so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from cityscapesscripts.helpers.labels import name2label

from ..utils.errors import DataError
from ..utils.files import write_atomically
from ..utils.image_files import PNG_FLAGS
from ..utils.json_files import read_json
from ..utils.parallel import map_in_order
from .cityscapes_files import (
    CAMERA,
    CLEAR,
    DISPARITY,
    FOGGY,
    FOGGY_FOLDER,
    LABELS,
    SPLITS,
    SYNTHETIC_MARKER,
    find_frames,
    fog_levels,
    read_instances,
)
from .fog import add_fog, depth_from_disparity, estimate_airlight
from .images import damaged_image, image_size
from .records import LeftOut, Options, Problem, Problems

MARKER = """Synthetic fog, NOT the official Foggy Cityscapes.

Every image here was made by mmdet_ifan (tools/prepare/fog.py) from this
root's leftImg8bit, disparity, camera and gtFine. The optical model is that of
Foggy Cityscapes; depth completion and airlight are simpler. Do not report
scores on it as scores on Foggy Cityscapes.

method 1
"""


@dataclass
class FogReport:
    """Result of making fog.

    Args:
        written (int): Number of new images. Defaults to 0.
        kept (int): Number of intact images that existed. Defaults to 0.
        problems (Problems): What was left out.
    """

    written: int = 0
    kept: int = 0
    problems: Problems = field(default_factory=Problems)

    def lines(self) -> Iterator[str]:
        """Yield problems and counts for a terminal."""
        yield from self.problems.lines()
        if self.problems.counts:
            yield f'Problems in the data - {self.problems.total()}.'
        yield (f'{self.written} foggy images written, {self.kept} were there already.')
        yield (
            'This is synthetic fog, not the official Foggy Cityscapes: '
            'say so wherever you report scores on it.'
        )


def make_fog(
    root: Path, options: Options, betas: Iterable[float | str] = (0.02,)
) -> FogReport:
    """Fill leftImg8bit_foggy of a Cityscapes root.

    Intact images are kept, so that an interrupted run can be resumed.

    Args:
        root (Path): Folder with leftImg8bit, disparity, camera and gtFine,
            which tells where the sky is.
        options (Options): Options of the command. `check` only looks whether
            all images exist; `out` and `overwrite` are not used.
        betas (Iterable[float | str]): Fog levels, or 'all'. Defaults to
            0.02 alone.

    Returns:
        FogReport: The result.

    Raises:
        DataError: If the folder holds other foggy images or cannot be
            written to, or with `strict` or `check` if there was a problem.
    """
    levels = fog_levels(betas)
    frames = [
        frame
        for split in SPLITS
        for frame in find_frames(root, split, CLEAR, DISPARITY, CAMERA, LABELS)
    ]
    _claim_folder(root, options.check)
    report = FogReport()
    work = partial(_fog_of_frame, root, levels, options.check)
    for outcome in map_in_order(work, frames, options.workers, title='fog'):
        if isinstance(outcome, Problem):
            report.problems.add(outcome)
        else:
            report.written += outcome
            report.kept += len(levels) - outcome
    if report.problems.counts and (options.strict or options.check):
        raise report.problems.error(
            f'The fog in {root / FOGGY_FOLDER} is not complete: '
            f'{report.problems.total()}.'
        )
    return report


def _claim_folder(root: Path, check: bool) -> None:
    """Mark the folder as synthetic unless it holds something else."""
    folder, marker = root / FOGGY_FOLDER, root / SYNTHETIC_MARKER
    if marker.exists():
        if marker.read_text() != MARKER:
            raise DataError(
                f'{folder} holds synthetic fog of another version '
                'of mmdet_ifan: remove the folder and run again.'
            )
    elif folder.exists():
        raise DataError(
            f'{folder} exists and has no {marker.name}, so it may be the '
            'official Foggy Cityscapes or Mini City: it is left as it is.'
        )
    elif check:
        raise DataError(f'{folder} is missing: run the same command without --check.')
    else:
        write_atomically(marker, MARKER.encode())


def _fog_of_frame(
    root: Path, levels: list[float], check: bool, frame: str
) -> int | Problem:
    """Make the missing images of a frame; give their number, or a problem."""
    clear = root / CLEAR.path(frame)
    try:
        size = image_size(clear)
        missing = [
            beta
            for beta in levels
            if not _is_intact(root / FOGGY[beta].path(frame), size)
        ]
        if not missing:
            return 0
        if check:
            raise LeftOut(
                'missing or damaged foggy images',
                f'{root / FOGGY[missing[0]].path(frame)} is missing or '
                'damaged: run the same command without --check.',
            )
        image = cv2.imread(str(clear))
        if image is None:
            raise damaged_image(clear)
        depth = _read_depth(root, frame, size)
        airlight = estimate_airlight(image)
        for beta in missing:
            foggy = add_fog(image, depth, beta, airlight)
            _, encoded = cv2.imencode(
                '.png', np.rint(foggy).astype(np.uint8), PNG_FLAGS
            )
            write_atomically(root / FOGGY[beta].path(frame), encoded.tobytes())
    except LeftOut as error:
        return error.problem
    return len(missing)


def _is_intact(path: Path, size: tuple[int, int]) -> bool:
    """Tell whether an image exists, is intact and has a size."""
    try:
        return path.exists() and image_size(path) == size
    except LeftOut:
        return False


def _read_depth(root: Path, frame: str, size: tuple[int, int]) -> np.ndarray:
    """Read the depth of a frame in m, of shape (H, W)."""
    path = root / DISPARITY.path(frame)
    found = image_size(path)
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if found != size or stored is None or stored.dtype != np.uint16:
        raise LeftOut(
            'damaged disparities',
            f'{path} is not a uint16 disparity of {size[0]} x {size[1]} px: '
            'its image is left out.',
        )
    baseline, focal = _read_camera(root / CAMERA.path(frame))
    labels = root / LABELS.path(frame)
    sky = read_instances(labels) == name2label['sky'].id
    if sky.shape != size:
        raise LeftOut(
            'images of another size',
            f'{labels} does not have the '
            f'{size[0]} x {size[1]} px of its image: left out.',
        )
    try:
        return depth_from_disparity(stored, baseline, focal, sky)
    except ValueError as error:
        raise LeftOut(
            'damaged disparities', f'{path} holds {error}: its image is left out.'
        ) from error


def _read_camera(path: Path) -> tuple[float, float]:
    """Read baseline in m and focal length in px."""
    kind = 'missing or damaged cameras'
    try:
        content = read_json(path)
        baseline = float(content['extrinsic']['baseline'])
        focal = float(content['intrinsic']['fx'])
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise LeftOut(
            kind,
            f'{path} is missing or not a camera of Cityscapes: its image is left out.',
        ) from error
    if not (0 < baseline < np.inf and 0 < focal < np.inf):
        raise LeftOut(
            kind,
            f'{path} has the baseline {baseline} m and the '
            f'focal length {focal} px: its image is left out.',
        )
    return baseline, focal
