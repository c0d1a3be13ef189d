"""List files, and write them completely or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import DataError

TEMPORARY_SUFFIX = '.tmp'
HEAD = 4096  # Bytes at the start of a file that show its format.
#: Folders that systems leave behind.
NO_DATA_FOLDERS = ('__macosx', '@eadir')


def check_workers(workers: int) -> None:
    """Refuse a number of threads or processes below 1.

    Raises:
        DataError: If ``workers`` is not positive.
    """
    if workers < 1:
        raise DataError(f'workers must be at least 1, but got {workers}.')


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Turn the system's error about a failed write into a `DataError`.

    Args:
        path (Path): The file or folder, for the message.

    Raises:
        DataError: If the block raised an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f'{path} cannot be written ({error.strerror}): free '
            'some space or choose another folder.'
        ) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it.

    Args:
        path (Path): The file; its folder is made if missing.
        content (bytes): The whole content.

    Raises:
        DataError: If the file cannot be written.
    """
    # The process id keeps two runs from sharing a temporary file.
    temporary = path.with_name(f'{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}')
    with explain_write_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def head_of(path: str | Path) -> bytes:
    """Read the start of a file; nothing of one that cannot be read."""
    try:
        with open(path, 'rb') as file:
            return file.read(HEAD)
    except OSError:
        return b''


def names_below(folder: str | Path, below: bool = True) -> Iterator[str]:
    """List the files in a folder and its sub-folders, sorted.

    Links to folders are followed unless they lead back to where they are.

    Args:
        folder (str | Path): The folder.
        below (bool): Whether to search sub-folders; if not, they are listed
            like files. Defaults to True.

    Yields:
        str: A path relative to the folder, with forward slashes. Hidden
        files are left out, such as ``.DS_Store``, ``._a.jpg`` and the
        contents of ``.ipynb_checkpoints`` or ``__MACOSX``.
    """
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if entry.name.startswith('.'):
            continue
        if not (below and entry.is_dir()):
            yield entry.name
        elif entry.name.lower() not in NO_DATA_FOLDERS and not (
            entry.is_symlink() and _leads_back(entry.path)
        ):
            for name in names_below(entry.path):
                yield f'{entry.name}/{name}'


def _leads_back(link: str) -> bool:
    """Tell whether a link leads to a folder that contains it."""
    here = Path(os.path.realpath(os.path.dirname(link)))
    return Path(os.path.realpath(link)) in (here, *here.parents)
