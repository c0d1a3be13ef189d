"""The processes that tests start."""

import gc
import os
import runpy
import socket
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
#: Has a package that stands for yapf, and how timm is imported: see there.
QUICK = ROOT / 'tests/quick'
#: A process that has imported libraries, but nothing of ours, and is forked.
#: To start Python and import them takes longer than most of what is tested.
SERVER = get_context('forkserver')
SERVER.set_forkserver_preload(
    [
        'mmdet.apis',
        'mmdet.datasets',
        'mmdet.evaluation',
        'mmdet.models',
        'timm_imported',
        'matplotlib.pyplot',
    ]
)


def environment(*paths: str | Path, **variables: str) -> dict[str, str]:
    """Give this process's variables, with other import paths and more."""
    path = os.pathsep.join(map(str, [QUICK, *paths]))
    return {**os.environ, 'PYTHONPATH': path, **variables}


def read_numbers(stream: IO) -> list[int]:
    """Read the next line of numbers; importing OneDL's mmdet prints one of words."""
    while line := stream.readline():
        words = line.split()
        if words and all(word.isdigit() for word in words):
            return [int(word) for word in words]
    return []


def free_port() -> int:
    """Find a port that nobody listens at."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def run_tool(
    tool: str, *arguments: object, cwd: str | Path, env: dict[str, str] | None = None
) -> CompletedProcess:
    """Run a tool as ``python tools/…`` does."""
    path = ROOT / 'tools' / tool
    return _run(
        runpy.run_path,
        str(path),
        [str(path.parent)],
        [str(path), *map(str, arguments)],
        cwd,
        env,
    )


def run_script(
    script: str, *arguments: object, cwd: str | Path, env: dict[str, str] | None = None
) -> CompletedProcess:
    """Run a script as ``python -c`` does."""
    return _run(_run_text, script, [''], ['-c', *map(str, arguments)], cwd, env)


def _run(
    function: Callable,
    what: str,
    paths: list[str],
    argv: list[str],
    cwd: str | Path,
    env: dict[str, str] | None,
) -> CompletedProcess:
    """Run what a command line names."""
    env = environment() if env is None else env
    # Where Python looks first, and not where these tests are.
    paths += env['PYTHONPATH'].split(os.pathsep)
    ours = {str(ROOT / folder) for folder in ('', 'tests', 'tools')}
    paths += [path for path in sys.path if path and path not in ours]
    with TemporaryDirectory() as folder:
        out, err = Path(folder, 'out'), Path(folder, 'err')
        process = SERVER.Process(
            target=_become, args=(function, what, paths, argv, str(cwd), env, out, err)
        )
        process.start()
        process.join()
        return CompletedProcess(
            argv, process.exitcode, out.read_text(), err.read_text()
        )


def _become(
    function: Callable,
    what: str,
    paths: list[str],
    argv: list[str],
    cwd: str,
    env: dict[str, str],
    out: Path,
    err: Path,
) -> None:
    """Be a process of these settings."""
    for number, (name, path) in enumerate(
        dict(stdout=out, stderr=err).items(), start=1
    ):
        stream = path.open('w')
        os.dup2(stream.fileno(), number)
        setattr(sys, name, open(number, 'w', closefd=False))
    # A server leaves out in silence what it cannot import.
    assert 'timm' in sys.modules and 'mmdet_ifan' not in sys.modules
    # mmengine collects garbage for every data set: not among libraries.
    gc.freeze()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:], sys.argv = paths, argv
    try:
        function(what, run_name='__main__')
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _run_text(script: str, run_name: str) -> None:
    """Run the text of a script."""
    exec(script, dict(__name__=run_name))
