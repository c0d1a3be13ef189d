"""Reader of folders in the format of KITTI's 2D object detection."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ..utils.errors import DataError
from ..utils.values import NUMBER, is_text, read_number
from .boxes import Box
from .records import Problem, damaged_labels, missing_labels
from .sources import Item, Source, any_in, named_files, read_label_lines, read_lines

FIELDS = 15  # Type, truncation, occlusion, angle, box, and 3D fields.
#: Folders of images and labels of KITTI, DIGITS and FiftyOne.
FOLDERS = (('image_2', 'label_2'), ('images', 'labels'), ('data', 'labels'))
SAMPLE = 20  # Label files, some perhaps empty, that show a format.


class KittiFolders(Source):
    """image_2 and label_2, in the data root or in training below it.

    The folders may also be called images or data, and labels, if the labels
    are lines of KITTI. Categories are written in lower case (Car is 'car',
    Person_sitting 'person_sitting'). DontCare regions become 'iscrowd' for
    every category. KITTI has a single labelled split.
    """

    FORMAT = 'kitti'
    LOOKS_LIKE = 'image_2 and label_2/*.txt, perhaps in training'

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        folders = _folders(root)
        if folders is None:
            raise DataError(f'{root} has no folder label_2.')
        self.images, self.labels = folders

    @classmethod
    def recognise(cls, root: Path) -> str | None:
        """Look for text files in label_2."""
        folders = _folders(root)
        if folders is None or not any_in(folders[1], ('.txt',)):
            return None
        return str(folders[1] / '*.txt')

    def items(self) -> Iterator[Item]:
        """List all images and all label files."""
        if not self.images.is_dir():
            raise DataError(
                f'{self.images.parent} has no folder image_2: '
                "unpack KITTI's left colour images there."
            )
        images = self.images_in(self.images)
        labels = dict(named_files(self.labels, ('.txt',)))
        for stem in sorted(set(labels) | set(images)):
            image = images.get(stem, self.images / f'{stem}.png')
            yield Item(
                None,
                self.under_root(image),
                labels.get(stem, self.labels / f'{stem}.txt'),
            )

    def boxes(
        self, item: Item, height: int, width: int
    ) -> tuple[list[Box], list[Problem]]:
        """Read a label file."""
        path = item.labels
        if not path.exists():
            raise missing_labels(path)
        try:
            return [_read_box(line) for line in read_label_lines(path)], []
        except ValueError as error:
            raise damaged_labels(
                path, f'is not a valid KITTI label file ({error})'
            ) from error


def has_kitti_lines(folder: Path) -> bool:
    """Tell whether the first line in label files is one of KITTI.

    Args:
        folder (Path): Folder of the files, ``*.txt``.
    """
    for _, path in islice(named_files(folder, ('.txt',)), SAMPLE):
        try:
            lines = read_lines(path)
            if lines:
                _read_box(lines[0])
                # An outline of YOLO may have as many numbers.
                return NUMBER.fullmatch(lines[0].split()[0]) is None
        except ValueError:
            return False
    return False


def _folders(root: Path) -> tuple[Path, Path] | None:
    """Find the folders of images, which may be missing, and labels."""
    for base in (root, root / 'training'):
        for images, labels in FOLDERS:
            if (base / labels).is_dir() and (
                labels == 'label_2'
                or ((base / images).is_dir() and has_kitti_lines(base / labels))
            ):
                return base / images, base / labels
    return None


def _read_box(line: str) -> Box:
    """Read a line of KITTI, without the score that may follow its fields."""
    fields = line.split()
    if len(fields) < FIELDS or not is_text(fields[0]):
        raise ValueError('no name or too few fields')
    x1, y1, x2, y2 = map(read_number, fields[4:8])
    is_known = fields[0].lower() != 'dontcare'
    return Box(fields[0].lower() if is_known else None, x1, y1, x2, y2, not is_known)
