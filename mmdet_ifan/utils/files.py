"""Write files completely or not at all, and explain what went wrong."""
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import DataError

TEMPORARY_SUFFIX = '.tmp'


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
        raise DataError(f'{path} cannot be written ({error.strerror}): free '
                        'some space or choose another folder.') from error


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
