"""The processes that tests start."""

import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryFile

from mmengine.utils import ManagerMixin

ROOT = Path(__file__).resolve().parents[1]
#: Has a package that stands for yapf: see there.
QUICK = ROOT / 'tests/quick'


def environment(*paths: str | Path, **variables: str) -> dict[str, str]:
    """Give this process's variables, with other import paths and more."""
    path = os.pathsep.join(map(str, [QUICK, *paths]))
    return {**os.environ, 'PYTHONPATH': path, **variables}


def run_tool(
    tool: str, *arguments: object, cwd: str | Path, **variables: str
) -> subprocess.CompletedProcess:
    """Run a tool in a fork of this process, which has imported the libraries.

    To start Python and import them takes longer than most of what is tested.
    """
    with TemporaryFile() as out, TemporaryFile() as err:
        process = get_context('fork').Process(
            target=_become,
            args=(
                ROOT / 'tools' / tool,
                arguments,
                cwd,
                variables,
                out.fileno(),
                err.fileno(),
            ),
        )
        process.start()
        process.join()
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    return subprocess.CompletedProcess([tool, *arguments], process.exitcode, *texts)


def _become(
    path: Path,
    arguments: Sequence[object],
    cwd: str | Path,
    variables: dict[str, str],
    out: int,
    err: int,
) -> None:
    """Be that tool, with nothing left of the test."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout = open(1, 'w', closefd=False)
    sys.stderr = open(2, 'w', closefd=False)
    os.chdir(cwd)
    os.environ.update(variables)
    kinds = [ManagerMixin]
    while kinds:
        kind = kinds.pop()
        kind._instance_dict.clear()
        kinds += kind.__subclasses__()
    sys.argv = [str(path), *map(str, arguments)]
    sys.path.insert(0, str(path.parent))
    try:
        runpy.run_path(str(path), run_name='__main__')
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
