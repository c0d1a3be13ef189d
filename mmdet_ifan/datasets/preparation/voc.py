"""Folders in the format of Pascal VOC."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from ..disk import DataError
from ..json_files import is_text
from .boxes import Box
from .records import LeftOut, Problem
from .sources import Item, Source, any_in, find_folder, read_lines

LISTS = Path('ImageSets', 'Main')
#: What follows a name in a list of the images that hold a category.
MARKS = (['-1'], ['0'], ['1'])


class VocFolders(Source):
    """Annotations/*.xml, JPEGImages and perhaps ImageSets/Main/*.txt.

    Pixels are counted from 1 and a box includes its last row and column, as
    VOC has it: xmin 1 and xmax 10 is a box of 10 px at the left border.
    Objects marked as difficult become 'iscrowd'. An image is found by the
    name of its XML file; what the file itself says is often out of date.

    Args:
        root (Path): Data root; the folders are in it, or in VOC2012 or
            VOC2007 below it.
        use_lists (bool): Whether ImageSets/Main makes the splits. If not, or
            if there is none, there are no splits. Defaults to True.
    """

    FORMAT = 'voc'
    LOOKS_LIKE = 'Annotations/*.xml and JPEGImages'

    def __init__(self, root: Path, use_lists: bool = True) -> None:
        super().__init__(root)
        self.use_lists = use_lists
        base = _base(root)
        if base is None:
            raise DataError(f'{root} has no folder Annotations.')
        self.base = base

    @classmethod
    def recognise(cls, root: Path) -> str | None:
        """Look for XML files in Annotations."""
        base = _base(root)
        if base is None or not any_in(base / 'Annotations', '*.xml'):
            return None
        return str(base / 'Annotations' / '*.xml')

    def items(self) -> Iterator[Item]:
        """List the images of each list, or all that have an XML file."""
        folder = self.base / 'JPEGImages'
        if not folder.is_dir():
            raise DataError(f'{self.base} has no folder JPEGImages: put the '
                            'images there.')
        images = self.images_in(folder)
        annotations = self.base / 'Annotations'
        labels = {path.stem for path in annotations.glob('*.xml')}
        for split, stems in self._lists(labels | set(images)).items():
            for stem in stems:
                image = images.get(stem, folder / f'{stem}.jpg')
                yield Item(split, self.under_root(image),
                           annotations / f'{stem}.xml')

    def _lists(self, stems: set[str]) -> dict[str | None, list[str]]:
        """Names in each list, in the list's order."""
        folder = self.base / LISTS
        lists: dict[str | None, list[str]] = {}
        if self.use_lists and folder.is_dir():
            for path in sorted(folder.glob('*.txt')):
                lines = read_lines(path)
                # A second column, unless it belongs to the names, says which
                # images hold a category.
                if any(line in stems or line.split()[1:] not in MARKS
                       for line in lines):
                    lists[path.stem] = lines
        return lists or {None: sorted(stems)}

    def boxes(self, item: Item, height: int,
              width: int) -> tuple[list[Box], list[Problem]]:
        """Read an XML file."""
        path = item.labels
        root = self._parse(path)
        try:
            said = tuple(int(float(root.findtext(f'size/{side}') or 0))
                         for side in ('height', 'width'))
        except (ValueError, OverflowError) as error:
            raise self.unreadable(path, 'has no readable size') from error
        # Some tools write 0 for a size they did not look up.
        if all(said) and said != (height, width):
            raise LeftOut(Problem(
                'images of another size',
                f'{path} is for an image of {said[0]} x {said[1]} px, but '
                f'{item.image} has {height} x {width}: left out.'))
        boxes, problems = [], []
        for entry in root.findall('object'):
            try:
                boxes.append(_read_box(entry))
            except ValueError:
                problems.append(Problem(
                    'unreadable boxes', f'{path} has an object without a '
                    'name or readable bndbox: left out.'))
        return boxes, problems

    def _parse(self, path: Path) -> Element:
        """Read an XML file, without the entities that XML would allow."""
        builder = TreeBuilder()
        parser = expat.ParserCreate()
        parser.StartElementHandler = builder.start
        parser.EndElementHandler = builder.end
        parser.CharacterDataHandler = builder.data
        parser.StartDoctypeDeclHandler = _refuse_doctype
        try:
            parser.Parse(path.read_bytes(), True)
        except FileNotFoundError as error:
            raise LeftOut(Problem(
                'images without an annotation file',
                f'{path} is missing: its image is left out.')) from error
        except OSError as error:
            raise self.unreadable(
                path, f'cannot be read ({error.strerror})') from error
        except (expat.ExpatError, LookupError) as error:
            raise self.unreadable(
                path, f'is not whole XML ({error})') from error
        return builder.close()


def _base(root: Path) -> Path | None:
    """Folder that holds Annotations."""
    return find_folder(root, ('.', 'VOC2012', 'VOC2007'), 'Annotations')


def _refuse_doctype(*_: object) -> None:
    """No annotation needs one, and entities can be made to do harm."""
    raise expat.ExpatError('it has a DOCTYPE, which VOC files do not')


def _read_box(entry: Element) -> Box:
    """Read an object.

    Raises:
        ValueError: If it has no name or a number is missing.
    """
    name = (entry.findtext('name') or '').strip()
    if not is_text(name):
        raise ValueError('no name')
    x1, y1, x2, y2 = (float(entry.findtext(f'bndbox/{side}') or '')
                      for side in ('xmin', 'ymin', 'xmax', 'ymax'))
    difficult = (entry.findtext('difficult') or '').strip() == '1'
    # One pixel, or less, is a stray click and no object: it gets no area.
    last = int(x2 > x1 and y2 > y1)
    return Box(name, x1 - 1, y1 - 1, x2 - 1 + last, y2 - 1 + last, difficult)
