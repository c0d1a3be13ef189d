"""Folders in the format of Pascal VOC."""

import re
from codecs import BOM_UTF8
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from ..utils.errors import DataError
from ..utils.image_files import IMAGE_SUFFIXES
from ..utils.json_files import is_text
from ..utils.values import read_flag, read_number
from .boxes import Box
from .records import LeftOut, Problem
from .sources import Item, Source, any_in, named_files, read_lines
from .splits import LISTS, is_split, split_name

#: Where VOC's own folders are: years are parts of one data set.
YEARS = ('VOC*', 'VOC*/VOC*', '*/VOC*/VOC*')
#: Folders of XML files and of images that the common tools write.
ANNOTATIONS = ('Annotations', 'annotations', 'labels')
IMAGES = ('JPEGImages', 'images', 'Images', 'data')
#: What follows a name in a list of the images that hold a category.
MARKS = (['-1'], ['0'], ['1'])
HEAD = 4096  # Bytes in which an XML file shows that it is one of VOC.
#: The encoding that XML in any superset of ASCII says it is in.
DECLARED = re.compile(rb'\s*<\?xml[^>]*?\sencoding\s*=\s*["\']([\w.-]+)')
#: Encodings that programs name, and those that they mean: the same and more.
MEANT = {'gb2312': 'gb18030', 'gbk': 'gb18030', 'shift_jis': 'cp932',
         'shift-jis': 'cp932', 'sjis': 'cp932', 'x-sjis': 'cp932',
         'euc-kr': 'cp949', 'ks_c_5601-1987': 'cp949', 'big5': 'cp950'}


@dataclass(frozen=True)
class Part:
    """A part of the data set: a year, or a split with folders of its own.

    Args:
        base (Path): Its folder; the lists are in it.
        annotations (Path): Folder of the XML files.
        images (Path): Folder of the images.
        split (str, optional): What its images belong to. Defaults to None.
    """

    base: Path
    annotations: Path
    images: Path
    split: str | None = None

    def below(self) -> bool:
        """Whether sub-folders hold files too."""
        return self.base not in (self.annotations, self.images)


class VocFolders(Source):
    """XML files and images, and perhaps the lists in ImageSets/Main.

    The XML files are in Annotations and the images in JPEGImages, or in
    other folders that are usual, or beside one another. Several years, such
    as VOC2007 and VOC2012, are one data set. Without lists, the folders
    train, valid and test make the splits, if there are any.

    Pixels are counted from 1 and a box includes its last row and column, as
    VOC has it: xmin 1 and xmax 10 is a box of 10 px at the left border.
    Objects marked as difficult become 'iscrowd'. An image is found by the
    name of its XML file; what the file itself says is often out of date.

    Args:
        root (Path): Data root.
        use_lists (bool): Whether lists make the splits. Defaults to True.
    """

    FORMAT = 'voc'
    LOOKS_LIKE = 'Annotations/*.xml and JPEGImages'

    def __init__(self, root: Path, use_lists: bool = True) -> None:
        super().__init__(root)
        self.use_lists = use_lists
        self.parts = _find_parts(root)
        if not self.parts:
            raise DataError(f'{root} has no folder Annotations.')
        if len(self.parts) > 1:
            bases = [self.under_root(part.base) for part in self.parts]
            self.notes.append(
                f'{", ".join(bases)} are read as parts of one data set.')

    @classmethod
    def recognise(cls, root: Path) -> str | None:
        """Look for XML files in Annotations, or beside images."""
        for part in _find_parts(root):
            if any_in(part.annotations, ('.xml', ), part.below()):
                return str(part.annotations / '*.xml')
        return None

    def items(self) -> Iterator[Item]:
        """List the images of each list, or all that have an XML file."""
        for part in self.parts:
            if not part.images.is_dir():
                raise DataError(f'{part.base} has no folder JPEGImages: put '
                                'the images there.')
            images = self.images_in(part.images, part.below())
            labels = dict(named_files(part.annotations, ('.xml', ),
                                      part.below()))
            for split, name in self._listed(part, set(labels) | set(images)):
                image = images.get(name, part.images / f'{name}.jpg')
                yield Item(split, self.under_root(image), labels.get(
                    name, part.annotations / f'{name}.xml'))

    def _listed(self, part: Part,
                names: set[str]) -> Iterator[tuple[str | None, str]]:
        """Split and name of each image; last those that no list names."""
        lists = self._lists(part, names)
        for split, listed in lists.items():
            yield from ((split, name) for name in listed)
        rest = sorted(names.difference(*lists.values()))
        folders = [Path(name).parts[0] for name in rest]
        if lists or not all(map(is_split, folders)) or set(
                folders).intersection(rest):
            yield from ((part.split, name) for name in rest)
        else:
            yield from ((split_name(folder), name) for folder, name in zip(
                folders, rest, strict=True))

    def _lists(self, part: Part, names: set[str]) -> dict[str, list[str]]:
        """Names in each list, in the list's order."""
        for place in LISTS if self.use_lists else ():
            folder = part.base / place
            lists = {}
            for _, path in (named_files(folder, ('.txt', ))
                            if folder.is_dir() else ()):
                # Beside the data, other texts are likely.
                if place != '.' or is_split(path.stem):
                    lines = read_lines(path)
                    listed = [_listed_name(line, names) for line in lines]
                    if place == LISTS[0] or names.intersection(listed):
                        self.read.append(path)
                        # A second column, unless it belongs to the names,
                        # says which images hold a category.
                        if any(line in names
                               or line.split()[1:] not in MARKS
                               for line in lines):
                            lists[path.stem] = listed
            if lists:
                return lists
        return {}

    def boxes(self, item: Item, height: int,
              width: int) -> tuple[list[Box], list[Problem]]:
        """Read an XML file."""
        path = item.labels
        root = self._parse(path)
        if root.tag != 'annotation':
            raise self.unreadable(
                path, f'is no VOC file (<{ascii(root.tag)[1:-1]}> instead of '
                '<annotation>)')
        try:
            said = tuple(
                read_number((root.findtext(f'size/{side}') or '').strip()
                            or '0') for side in ('height', 'width'))
        except ValueError as error:
            raise self.unreadable(
                path, f'has no readable size ({error})') from error
        # Some tools write 0 for a size they did not look up.
        if all(said) and said != (height, width):
            raise LeftOut(Problem(
                'images of another size',
                f'{path} is for an image of {said[0]:g} x {said[1]:g} px, but '
                f'{item.image} has {height} x {width}: left out.'))
        boxes, problems = [], []
        for entry in root.iter('object'):
            try:
                box = _read_box(entry)
            except ValueError as error:
                problems.append(Problem(
                    'unreadable boxes', f'{path} has an object without a '
                    f'name or readable bndbox ({error}): left out.'))
                continue
            try:
                box.ignore = read_flag(entry.findtext('difficult'))
            except ValueError as error:
                problems.append(Problem(
                    'unreadable flags', f'{path} has an object whose mark '
                    f'as difficult is unreadable ({error}): taken as not '
                    'difficult.'))
            boxes.append(box)
        return boxes, problems

    def _parse(self, path: Path) -> Element:
        """Read an XML file, without the entities that XML would allow."""
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise LeftOut(Problem(
                'images without an annotation file',
                f'{path} is missing: its image is left out.')) from error
        except OSError as error:
            raise self.unreadable(
                path, f'cannot be read ({error.strerror})') from error
        builder = TreeBuilder()
        try:
            parser, content = _parser(content)
            parser.StartElementHandler = builder.start
            parser.EndElementHandler = builder.end
            parser.CharacterDataHandler = builder.data
            parser.StartDoctypeDeclHandler = _refuse_doctype
            parser.Parse(content, True)
        except (expat.ExpatError, LookupError, ValueError) as error:
            raise self.unreadable(
                path, f'is not whole XML ({error})') from error
        return builder.close()


def _parser(content: bytes) -> tuple[expat.XMLParserType, bytes]:
    """Make a parser, and what to give it, for any encoding.

    The parser itself knows UTF-8, UTF-16 and those of one byte a character.

    Raises:
        ValueError: If the content is not in the encoding that it names.
    """
    if content.startswith(BOM_UTF8):
        return expat.ParserCreate('utf-8'), content
    declared = DECLARED.match(content)
    if declared is None:
        return expat.ParserCreate(), content
    name = declared[1].decode().lower()
    for encoding in (MEANT.get(name, name), name, 'utf-8'):
        # The name could not be read if a character had two bytes.
        if not encoding.startswith(('utf-16', 'utf_16', 'ucs')):
            try:
                text = content.decode(encoding)
            except (LookupError, UnicodeError):
                continue
            return expat.ParserCreate('utf-8'), text.encode()
    raise ValueError(f'it says it is in {name}, but is not')


def _find_parts(root: Path) -> list[Part]:
    """Find the folders of XML files and images."""
    bases = [root, *(base for pattern in YEARS
                     for base in sorted(root.glob(pattern)))]
    years = [Part(base, folder, _images_of(base, folder)) for base in bases
             if (folder := base / 'Annotations').is_dir()]
    if years:
        return years
    whole = _other_part(root)
    if whole is not None:
        return [whole]
    parts = [_other_part(folder, split_name(folder.name))
             for folder in sorted(root.glob('*'))
             if folder.is_dir() and is_split(folder.name)]
    return [part for part in parts if part is not None]


def _other_part(base: Path, split: str | None = None) -> Part | None:
    """Find XML files of VOC in other folders than its own."""
    for name in (*ANNOTATIONS, *IMAGES, '.'):
        folder = base / name
        first = any_in(folder, ('.xml', ), name != '.')
        if first is not None and _is_voc(first):
            images = _images_of(base, folder)
            if any_in(images, IMAGE_SUFFIXES, images != base):
                return Part(base, folder, images, split)
    return None


def _images_of(base: Path, annotations: Path) -> Path:
    """Find the folder of the images for one of XML files."""
    there = [base / name for name in IMAGES if (base / name).is_dir()]
    # Beside one another, unless the folder is one of XML files by its name.
    beside = [annotations] if annotations.name not in ANNOTATIONS else []
    for folder in (*beside, *(there or (annotations, base))):
        if any_in(folder, IMAGE_SUFFIXES, folder != base):
            return folder
    return there[0] if there else base / IMAGES[0]


def _is_voc(path: Path) -> bool:
    """Tell whether an XML file begins as one of VOC does."""
    try:
        with path.open('rb') as file:
            return re.search(rb'<annotation[\s/>]', file.read(
                HEAD).replace(b'\0', b'')) is not None
    except OSError:
        return False


def _listed_name(line: str, names: Collection[str]) -> str:
    """Find the name that a line of a list means.

    It may have folders before it, a suffix, and a second path after it.
    """
    first, *others = line.split()
    for words in [line] if others in MARKS else [line, first]:
        path = words.replace('\\', '/').strip('/')
        suffix = Path(path).suffix
        if suffix.lower() not in (*IMAGE_SUFFIXES, '.xml'):
            suffix = ''
        for name in (path, path.removesuffix(suffix)):
            parts = name.split('/')
            for start in range(len(parts)):
                if '/'.join(parts[start:]) in names:
                    return '/'.join(parts[start:])
    return name


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
        raise ValueError(f'its name is {name[:40]!r}')
    edges = []
    for side in ('xmin', 'ymin', 'xmax', 'ymax'):
        try:
            edges.append(read_number(entry.findtext(f'bndbox/{side}')))
        except ValueError as error:
            raise ValueError(f'{side}: {error}') from error
    x1, y1, x2, y2 = edges
    # One pixel, or less, is a stray click and no object: it gets no area.
    last = int(x2 > x1 and y2 > y1)
    return Box(name, x1 - 1, y1 - 1, x2 - 1 + last, y2 - 1 + last)
