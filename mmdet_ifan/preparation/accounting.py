"""What became of every image and annotation file under a data root."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..utils.json_files import is_text
from ..utils.text import name_some
from .coco_files import MARK

#: What systems and tools leave behind, and what people write about data.
NO_DATA_FOLDERS = ('__macosx', '@eadir')
NO_DATA_STARTS = ('readme', 'license', 'licence', 'thumbs.db', 'desktop.ini')
NO_DATA_ENDS = ('.cache', '.md', '.py', '.sh', '.ipynb')
HEAD = 4096  # Bytes in which a COCO file shows that it is one of ours.
DEPTH = 2  # Folders by which files that nobody looked at are counted.
GROUPS = 8  # Of them, or of reasons, that a line names.


def names_below(folder: str | Path, below: bool = True) -> Iterator[str]:
    """List the files in a folder and its sub-folders, sorted.

    Links to folders are followed, unless they lead back to where they are.

    Args:
        folder (str | Path): Where to look.
        below (bool): Whether to look into sub-folders; if not, they are
            listed with the files. Defaults to True.

    Yields:
        str: A path under the folder, with forward slashes. All but what is
        hidden, such as ``.DS_Store``, ``._a.jpg`` and what lies in
        ``.ipynb_checkpoints`` or ``__MACOSX``.
    """
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if entry.name.startswith('.'):
            continue
        if not (below and entry.is_dir()):
            yield entry.name
        elif entry.name.lower() not in NO_DATA_FOLDERS and not (
                entry.is_symlink() and _leads_back(entry.path)):
            for name in names_below(entry.path):
                yield f'{entry.name}/{name}'


def _leads_back(link: str) -> bool:
    """Whether a link leads to a folder that it is in."""
    here = Path(os.path.realpath(os.path.dirname(link)))
    return Path(os.path.realpath(link)) in (here, *here.parents)


class Account:
    """Say what became of the images and annotation files under a root.

    Args:
        root (Path): Data root.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._images: set[str] = set()
        self._files: set[str] = set()
        self._left_out: dict[str, list[str]] = defaultdict(list)
        self._with_them: set[str] = set()

    def use(self, image: str | None = None,
            files: Iterable[Path] = ()) -> None:
        """Count what the COCO files were made of.

        Args:
            image (str, optional): Path of an image under the root. Defaults
                to None, no image.
            files (Iterable[Path]): Annotation files and lists, which may be
                missing.
        """
        if image is not None:
            self._images.add(image)
        self._files.update(map(str, files))

    def leave_out(self, reason: str, image: str,
                  files: Iterable[Path] = ()) -> None:
        """Count an image that no COCO file lists.

        Args:
            reason (str): What it is counted under.
            image (str): Its path under the root.
            files (Iterable[Path]): Its annotation file.
        """
        self._left_out[reason].append(image)
        self._with_them.update(map(str, files))

    def lines(self) -> Iterator[str]:
        """Say it in one to three lines: used, left out, not looked at.

        Yields:
            str: A line. What was not looked at is found by going through the
            root, and counted by folder and suffix. Hidden files, READMEs,
            licences, programs, caches and our own COCO files do not count.
        """
        known = self._images.union(*self._left_out.values())
        start = str(self.root / '_')[:-1]
        read, others = 0, defaultdict(list)
        for name in names_below(self.root):
            path = start + name
            if path in self._files:
                read += 1
            elif not (name in known or path in self._with_them
                      or _is_no_data(path)):
                others[_group(name)].append(name)
        yield (f'Used under {self.root}: images: {len(self._images)}; '
               f'annotation files and lists: {read}.')
        if self._left_out:
            yield f'Left out: {_say(self._left_out)}.'
        if others:
            yield f'Not looked at: {_say(others)}.'


def _is_no_data(path: str) -> bool:
    """Whether a file holds neither images nor annotations by others."""
    name = os.path.basename(path).lower()
    if name.startswith(NO_DATA_STARTS) or name.endswith(NO_DATA_ENDS):
        return True
    if not (name.startswith('instances_') and name.endswith('.json')):
        return False
    try:
        with open(path, 'rb') as file:
            return MARK.encode() in file.read(HEAD)
    except OSError:
        return False


def _group(name: str) -> str:
    """What a file is counted under, such as ``images/test/*.jpg``."""
    *folders, last = name.split('/')
    return '/'.join([*folders[:DEPTH], f'*{os.path.splitext(last)[1]}'])


def _say(groups: dict[str, list[str]]) -> str:
    """Count each group, the largest first, and name some of its files."""
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    words = [f'{what}: {len(names)} ({name_some(map(_show, names), 3)})'
             for what, names in ordered[:GROUPS]]
    more = sum(len(names) for _, names in ordered[GROUPS:])
    return '; '.join(words + [f'others: {more}'] * bool(more))


def _show(name: str) -> str:
    """Write a name so that it does no harm to the terminal."""
    return name if is_text(name) else ascii(name)
