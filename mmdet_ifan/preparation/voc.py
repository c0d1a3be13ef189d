"""Reader of folders in the format of Pascal VOC."""

import re
from codecs import BOM_UTF8
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import (
    Element,
    ParseError,
    TreeBuilder,
    XMLParser,
    fromstring,
)

from ..utils.errors import DataError
from ..utils.files import head_of
from ..utils.image_files import IMAGE_SUFFIXES
from ..utils.values import is_text, read_flag, read_number
from .boxes import Box
from .records import LeftOut, Problem, damaged_labels, missing_labels
from .sources import (
    LISTS,
    Item,
    Source,
    any_in,
    is_split,
    named_files,
    read_lines,
    split_name,
)

#: Places of VOC's own folders; years are parts of one data set.
YEARS = ('VOC*', 'VOC*/VOC*', '*/VOC*/VOC*')
#: Folders of XML files and of images that the common tools write.
ANNOTATIONS = ('Annotations', 'annotations', 'labels')
IMAGES = ('JPEGImages', 'images', 'Images', 'data')
#: Second columns of a list that says which images hold a category.
MARKS = (['-1'], ['0'], ['1'])
#: The declared encoding of XML in any superset of ASCII.
DECLARED = re.compile(rb'\s*<\?xml[^>]*?\sencoding\s*=\s*["\']([\w.-]+)')
#: Supersets that programs mean by the names of smaller encodings.
MEANT = {
    'gb2312': 'gb18030',
    'gbk': 'gb18030',
    'shift_jis': 'cp932',
    'shift-jis': 'cp932',
    'sjis': 'cp932',
    'x-sjis': 'cp932',
    'euc-kr': 'cp949',
    'ks_c_5601-1987': 'cp949',
    'big5': 'cp950',
}


@dataclass(frozen=True)
class Part:
    """Part of the data set: a year, or a split with its own folders.

    Args:
        base (Path): Its folder, which also holds the lists.
        annotations (Path): Folder of the XML files.
        images (Path): Folder of the images.
        split (str, optional): Split of its images. Defaults to None.
    """

    base: Path
    annotations: Path
    images: Path
    split: str | None = None

    def below(self) -> bool:
        """Tell whether sub-folders hold files too."""
        return self.base not in (self.annotations, self.images)


class VocFolders(Source):
    """XML files and images, and perhaps the lists in ImageSets/Main.

    The XML files are in Annotations and the images in JPEGImages, in other
    common folders, or next to each other. Several years, such as VOC2007 and
    VOC2012, are one data set. Without lists, the folders train, valid and
    test are the splits, if they exist.

    Pixels are counted from 1 and a box includes its last row and column, as
    in VOC: xmin 1 and xmax 10 is a box of 10 px at the left border. Objects
    marked as difficult become 'iscrowd'. An image is found by the name of
    its XML file, since the name in the file is often out of date.

    Args:
        root (Path): Data root.
        use_lists (bool): Whether lists are the splits. Defaults to True.
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
            self.notes.append(f'{", ".join(bases)} are read as parts of one data set.')

    @classmethod
    def recognise(cls, root: Path) -> str | None:
        """Look for XML files in Annotations, or next to images."""
        for part in _find_parts(root):
            if any_in(part.annotations, ('.xml',), part.below()):
                return str(part.annotations / '*.xml')
        return None

    def items(self) -> Iterator[Item]:
        """List the images of each list, or all that have an XML file."""
        for part in self.parts:
            if not part.images.is_dir():
                raise DataError(
                    f'{part.base} has no folder JPEGImages: put the images there.'
                )
            images = self.images_in(part.images, part.below())
            labels = dict(named_files(part.annotations, ('.xml',), part.below()))
            for split, name in self._listed(part, set(labels) | set(images)):
                image = images.get(name, part.images / f'{name}.jpg')
                yield Item(
                    split,
                    self.under_root(image),
                    labels.get(name, part.annotations / f'{name}.xml'),
                )

    def _listed(self, part: Part, names: set[str]) -> Iterator[tuple[str | None, str]]:
        """Yield split and name of each image, last those in no list."""
        lists = self._lists(part, names)
        for split, listed in lists.items():
            yield from ((split, name) for name in listed)
        rest = sorted(names.difference(*lists.values()))
        folders = [Path(name).parts[0] for name in rest]
        by_folder = (
            not lists and all(map(is_split, folders)) and set(folders).isdisjoint(rest)
        )
        for folder, name in zip(folders, rest, strict=True):
            yield split_name(folder) if by_folder else part.split, name

    def _lists(self, part: Part, names: set[str]) -> dict[str, list[str]]:
        """Read the names in each list, in the list's order."""
        for place in LISTS if self.use_lists else ():
            lists = {}
            for _, path in named_files(part.base / place, ('.txt',)):
                # Other texts may be next to the data.
                if place == '.' and not is_split(path.stem):
                    continue
                lines = read_lines(path)
                listed = [_listed_name(line, names) for line in lines]
                if place == LISTS[0] or names.intersection(listed):
                    self.read.append(path)
                    # A second column, unless it is part of the names, says
                    # which images hold a category.
                    if any(
                        line in names or line.split()[1:] not in MARKS for line in lines
                    ):
                        lists[path.stem] = listed
            if lists:
                return lists
        return {}

    def boxes(
        self, item: Item, height: int, width: int
    ) -> tuple[list[Box], list[Problem]]:
        """Read an XML file."""
        path = item.labels
        root = _parse(path)
        if root.tag != 'annotation':
            raise damaged_labels(
                path,
                f'is not a VOC file (<{ascii(root.tag)[1:-1]}> instead '
                'of <annotation>)',
            )
        try:
            said = tuple(
                read_number((root.findtext(f'size/{side}') or '').strip() or '0')
                for side in ('height', 'width')
            )
        except ValueError as error:
            raise damaged_labels(path, f'has no readable size ({error})') from error
        # Some tools write 0 for an unknown size.
        if all(said) and said != (height, width):
            raise LeftOut(
                'images of another size',
                f'{path} is for an image of {said[0]:g} x {said[1]:g} px, but '
                f'{item.image} has {height} x {width}: left out.',
            )
        boxes, problems = [], []
        for entry in root.iter('object'):
            try:
                box = _read_box(entry)
            except ValueError as error:
                problems.append(
                    Problem(
                        'unreadable boxes',
                        f'{path} has an object without a '
                        f'name or readable bndbox ({error}): left out.',
                    )
                )
                continue
            try:
                box.ignore = read_flag(entry.findtext('difficult'))
            except ValueError as error:
                problems.append(
                    Problem(
                        'unreadable flags',
                        f'{path} has an object whose mark '
                        f'as difficult is unreadable ({error}): taken as not '
                        'difficult.',
                    )
                )
            boxes.append(box)
        return boxes, problems


class _Builder(TreeBuilder):
    """Builder of elements that refuses a DOCTYPE, and so all entities."""

    def doctype(self, *_: object) -> None:
        raise ValueError('it has a DOCTYPE, which VOC files do not')


def _parse(path: Path) -> Element:
    """Read an XML file."""
    try:
        return fromstring(_decode(path.read_bytes()), XMLParser(target=_Builder()))
    except FileNotFoundError as error:
        raise missing_labels(path) from error
    except OSError as error:
        raise damaged_labels(path, f'cannot be read ({error.strerror})') from error
    except (ParseError, LookupError, ValueError) as error:
        raise damaged_labels(path, f'is not valid XML ({error})') from error


def _decode(content: bytes) -> str | bytes:
    """Decode XML that declares its encoding.

    The parser itself knows UTF-8, UTF-16 and encodings of one byte a
    character only. A ValueError says that the declaration is wrong.
    """
    if content.startswith(BOM_UTF8):
        return content.decode('utf-8-sig')
    declared = DECLARED.match(content)
    if declared is None:
        return content
    name = declared[1].decode().lower()
    for encoding in (MEANT.get(name, name), name, 'utf-8'):
        # The name would be unreadable if a character had two bytes.
        if not encoding.startswith(('utf-16', 'utf_16', 'ucs')):
            try:
                return content.decode(encoding)
            except (LookupError, UnicodeError):
                continue
    raise ValueError(f'it declares {name}, but is not in it')


def _find_parts(root: Path) -> list[Part]:
    """Find the folders of XML files and images."""
    bases = [root, *(base for pattern in YEARS for base in sorted(root.glob(pattern)))]
    years = [
        Part(base, folder, _images_of(base, folder))
        for base in bases
        if (folder := base / 'Annotations').is_dir()
    ]
    whole = None if years else _other_part(root)
    if whole is not None:
        return [whole]
    return years or [
        part
        for folder in sorted(root.glob('*'))
        if folder.is_dir() and is_split(folder.name)
        if (part := _other_part(folder, split_name(folder.name)))
    ]


def _other_part(base: Path, split: str | None = None) -> Part | None:
    """Find XML files of VOC in folders that are not VOC's own."""
    for name in (*ANNOTATIONS, *IMAGES, '.'):
        folder = base / name
        first = any_in(folder, ('.xml',), name != '.')
        if first is not None and _is_voc(first):
            images = _images_of(base, folder)
            if any_in(images, IMAGE_SUFFIXES, images != base):
                return Part(base, folder, images, split)
    return None


def _images_of(base: Path, annotations: Path) -> Path:
    """Find the folder of images that belongs to one of XML files."""
    there = [base / name for name in IMAGES if (base / name).is_dir()]
    # Images may be next to XML files unless the folder's name says otherwise.
    beside = [annotations] if annotations.name not in ANNOTATIONS else []
    for folder in (*beside, *(there or (annotations, base))):
        if any_in(folder, IMAGE_SUFFIXES, folder != base):
            return folder
    return there[0] if there else base / IMAGES[0]


def _is_voc(path: Path) -> bool:
    """Tell whether an XML file begins as one of VOC does."""
    # UTF-16 has a zero in every character.
    head = head_of(path).replace(b'\0', b'')
    return re.search(rb'<annotation[\s/>]', head) is not None


def _listed_name(line: str, names: Collection[str]) -> str:
    """Find the name that a line of a list means.

    Folders may precede it; a suffix and a second path may follow it.
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


def _read_box(entry: Element) -> Box:
    """Read an object; a ValueError says what is wrong with it."""
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
    # A box of one pixel or less is a stray click: it gets no area.
    last = int(x2 > x1 and y2 > y1)
    return Box(name, x1 - 1, y1 - 1, x2 - 1 + last, y2 - 1 + last)
