"""Folders in the format of KITTI's 2D object detection."""

from collections.abc import Iterator
from pathlib import Path

from ..disk import DataError
from ..json_files import is_text
from .boxes import Box
from .records import LeftOut, Problem
from .sources import Item, Source, any_in, find_folder, read_lines

FIELDS = 15  # Type, truncation, occlusion, angle, box, and what is 3D.


class KittiFolders(Source):
    """image_2 and label_2, in the data root or in training below it.

    Categories are written in lower case (Car is 'car', Person_sitting
    'person_sitting'). DontCare regions become 'iscrowd' for every category.
    KITTI has no labelled split but one.

    Args:
        root (Path): Data root.
    """

    FORMAT = 'kitti'
    LOOKS_LIKE = 'image_2 and label_2/*.txt, perhaps in training'

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        base = _base(root)
        if base is None:
            raise DataError(f'{root} has no folder label_2.')
        self.base = base

    @classmethod
    def recognise(cls, root: Path) -> str | None:
        """Look for text files in label_2."""
        base = _base(root)
        if base is None or not any_in(base / 'label_2', '*.txt'):
            return None
        return str(base / 'label_2' / '*.txt')

    def items(self) -> Iterator[Item]:
        """List all images and all label files."""
        folder = self.base / 'image_2'
        if not folder.is_dir():
            raise DataError(f'{self.base} has no folder image_2: unpack '
                            "KITTI's left colour images there.")
        images = self.images_in(folder)
        labels = self.base / 'label_2'
        stems = {path.stem for path in labels.glob('*.txt')} | set(images)
        for stem in sorted(stems):
            image = images.get(stem, folder / f'{stem}.png')
            yield Item(None, self.under_root(image),
                       labels / f'{stem}.txt')

    def boxes(self, item: Item, height: int,
              width: int) -> tuple[list[Box], list[Problem]]:
        """Read a label file."""
        path = item.labels
        if not path.exists():
            raise LeftOut(Problem(
                'images without an annotation file',
                f'{path} is missing: its image is left out.'))
        try:
            return [_read_box(line) for line in read_lines(path)], []
        except ValueError as error:
            raise self.unreadable(
                path, 'is not a whole KITTI label file') from error


def _base(root: Path) -> Path | None:
    """Folder that holds label_2."""
    return find_folder(root, ('.', 'training'), 'label_2')


def _read_box(line: str) -> Box:
    """Read a line.

    Raises:
        ValueError: If it is not one of KITTI.
    """
    fields = line.split()
    if len(fields) < FIELDS or not is_text(fields[0]):
        raise ValueError('no name or too few fields')
    x1, y1, x2, y2 = map(float, fields[4:8])
    is_known = fields[0] != 'DontCare'
    return Box(fields[0].lower() if is_known else None, x1, y1, x2, y2,
               not is_known)
