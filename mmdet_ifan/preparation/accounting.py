"""Say what became of every image and annotation file in a data root."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..utils.errors import name_some
from ..utils.files import head_of, names_below
from ..utils.values import is_text
from .coco_files import MARK

#: Names of what systems and tools leave behind and people write about data.
NO_DATA_STARTS = ('readme', 'license', 'licence', 'thumbs.db', 'desktop.ini')
NO_DATA_ENDS = ('.cache', '.md', '.py', '.sh', '.ipynb')
DEPTH = 2  # Folders by which files that nobody looked at are grouped.
GROUPS = 8  # Groups or reasons that one line names.


class Account:
    """Count what became of the images and annotation files in a data root.

    Args:
        root (Path): Data root.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._images: set[str] = set()
        self._files: set[str] = set()
        self._left_out: dict[str, list[str]] = defaultdict(list)
        self._with_them: set[str] = set()

    def use(self, image: str | None = None, files: Iterable[Path] = ()) -> None:
        """Count files that the COCO files were made from.

        Args:
            image (str, optional): Path of an image relative to the root.
                Defaults to None, no image.
            files (Iterable[Path]): Annotation files and lists, which may be
                missing.
        """
        if image is not None:
            self._images.add(image)
        self._files.update(map(str, files))

    def leave_out(self, reason: str, image: str, files: Iterable[Path] = ()) -> None:
        """Count an image that no COCO file lists.

        Args:
            reason (str): Reason under which it is counted.
            image (str): Its path relative to the root.
            files (Iterable[Path]): Its annotation files.
        """
        self._left_out[reason].append(image)
        self._with_them.update(map(str, files))

    def lines(self) -> Iterator[str]:
        """Yield one to three lines: used, left out, not looked at.

        The root is searched for files that were not looked at. They are
        counted by folder and suffix, without hidden files, READMEs,
        licences, programs, caches and our own COCO files.
        """
        known = self._images.union(*self._left_out.values())
        start = str(self.root / '_')[:-1]
        read, others = 0, defaultdict(list)
        for name in names_below(self.root):
            path = start + name
            if path in self._files:
                read += 1
            elif not (name in known or path in self._with_them or _is_no_data(path)):
                *folders, last = name.split('/')
                others[
                    '/'.join([*folders[:DEPTH], f'*{os.path.splitext(last)[1]}'])
                ].append(name)
        yield (
            f'Used under {self.root}: images: {len(self._images)}; '
            f'annotation files and lists: {read}.'
        )
        if self._left_out:
            yield f'Left out: {_count(self._left_out)}.'
        if others:
            yield f'Not looked at: {_count(others)}.'


def _is_no_data(path: str) -> bool:
    """Tell whether a file holds neither images nor others' annotations."""
    name = os.path.basename(path).lower()
    if name.startswith(NO_DATA_STARTS) or name.endswith(NO_DATA_ENDS):
        return True
    if not (name.startswith('instances_') and name.endswith('.json')):
        return False
    return MARK.encode() in head_of(path)


def _count(groups: dict[str, list[str]]) -> str:
    """Count each group, the largest first, and name some of its files."""
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    words = []
    for what, names in ordered[:GROUPS]:
        # A raw name could command the terminal.
        shown = [name if is_text(name) else ascii(name) for name in names]
        words.append(f'{what}: {len(names)} ({name_some(shown, 3)})')
    more = sum(len(names) for _, names in ordered[GROUPS:])
    return '; '.join(words + [f'others: {more}'] * bool(more))
