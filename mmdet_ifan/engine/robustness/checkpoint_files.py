"""Write checkpoint files atomically; tell intact ones from corrupt ones."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import find_latest_checkpoint

from ...utils.files import TEMPORARY_SUFFIX, write_atomically

ATOMIC = 'mmdet_ifan_atomic'
#: Names of checkpoints unless the config gives others.
TEMPLATES = ('iter_{}.pth', 'epoch_{}.pth')


@register_backend(ATOMIC)
class AtomicLocalBackend(LocalBackend):
    """Store files on the local disk, under their name only when complete."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write under a temporary name, then rename.

        Args:
            obj (bytes): The content of the file.
            filepath (str or Path): Its path.

        Raises:
            DataError: If the file cannot be written.
        """
        write_atomically(Path(filepath), obj)


def remove_unfinished(folder: Path, pattern: str) -> list[str]:
    """Remove the unfinished checkpoints of killed processes.

    Args:
        folder (Path): Folder of the checkpoints.
        pattern (str): Glob pattern of their names.

    Returns:
        list[str]: Names of the removed files.
    """
    # Between them stands the number of the process.
    unfinished = sorted(folder.glob(f'{pattern}.*{TEMPORARY_SUFFIX}'))
    for path in unfinished:
        path.unlink()
    return [path.name for path in unfinished]


def what_is_wrong(path: Path) -> str | None:
    """Say why a checkpoint cannot be read; None if it is intact.

    ``torch.save`` writes a zip file, which ends with a list of its parts and
    their checksums. All are computed again; nothing is unpickled.

    Args:
        path (Path): The file.
    """
    if not path.is_file():
        return 'is missing'
    try:
        with ZipFile(path) as archive:
            damaged = archive.testzip()
    # Errors of zipfile when a file is no zip file.
    except (BadZipFile, NotImplementedError, OSError, ValueError) as error:
        return f'is corrupt ({error})'
    return None if damaged is None else f'is corrupt (at {damaged})'


def named_and_before(named: str, template: str, folder: Path) -> Iterator[Path]:
    """List a checkpoint and those before it, the latest first.

    Args:
        named (str): The checkpoint. It is empty if a process was killed
            while it wrote down the name.
        template (str): Names of checkpoints, such as ``iter_{}.pth``.
        folder (Path): Their folder, if that of ``named`` does not exist.

    Yields:
        Path: ``named``, which may not exist, then files that exist.
    """
    if named and Path(named).parent.is_dir():
        folder = Path(named).parent
    prefix, suffix = template.split('{}')

    def number(path: Path) -> int:
        digits = path.name.removeprefix(prefix).removesuffix(suffix)
        return int(digits) if digits.isdecimal() else -1

    paths = sorted(
        (path for path in folder.glob(template.format('*')) if number(path) >= 0),
        key=number,
        reverse=True,
    )
    if named:
        latest = folder / Path(named).name
    elif paths:
        # By time, since there may be those of an earlier, longer run.
        latest = max(paths, key=lambda path: path.stat().st_mtime)
    else:
        return
    yield latest
    yield from (path for path in paths if number(path) < number(latest))


def latest_in(work_dir: str) -> str | None:
    """Name the checkpoint that a run in a work folder resumes from.

    Args:
        work_dir (str): The work folder.

    Returns:
        str | None: Its path, which may not exist. None if there is none yet.
    """
    folder = Path(work_dir).absolute()
    noted = find_latest_checkpoint(work_dir)
    if noted:
        # A copy of the folder still names the original's.
        own = folder / Path(noted).name
        return str(own) if own.is_file() else noted
    # Only the checkpoints were copied, or a process was killed before it
    # wrote down the name of the first one.
    latest = [
        path
        for template in TEMPLATES
        for path in islice(named_and_before('', template, folder), 1)
    ]
    if not latest:
        return noted
    return str(max(latest, key=lambda path: path.stat().st_mtime))
