"""The processes that tests start."""

import gc
import os
import runpy
import signal
import socket
import sys
from collections.abc import Callable
from inspect import signature
from multiprocessing import get_context, set_start_method
from pathlib import Path
from subprocess import CompletedProcess, Popen
from tempfile import TemporaryDirectory
from typing import IO, Any

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
#: How Popen starts a process, and with what.
EXECUTE = Popen._execute_child
SETTINGS = list(signature(EXECUTE).parameters)
PIPES = ('p2cread', 'p2cwrite', 'c2pread', 'c2pwrite', 'errread', 'errwrite')


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


def run_module(
    module: str, *arguments: object, cwd: str | Path, env: dict[str, str] | None = None
) -> CompletedProcess:
    """Run a module as ``python -m`` does."""
    argv = [module, *map(str, arguments)]
    return _run(runpy.run_module, module, [str(cwd)], argv, cwd, env)


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
    for number, path in enumerate((out, err), start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    # A server leaves out in silence what it cannot import.
    assert 'timm' in sys.modules and 'mmdet_ifan' not in sys.modules
    # A server's would start another server, which would import everything again.
    set_start_method('fork', force=True)
    Popen._execute_child = _fork_python
    os.chdir(cwd)
    _begin(function, what, paths, argv, env)


def _begin(
    function: Callable, what: str, paths: list[str], argv: list[str], env: dict
) -> None:
    """Run what a command line names, in this folder and with these streams."""
    # mmengine collects garbage for every data set: not among libraries.
    gc.freeze()
    sys.stdout, sys.stderr = (open(number, 'w', closefd=False) for number in (1, 2))
    os.environ.clear()
    os.environ.update(env)
    sys.path[:], sys.argv = paths, argv
    try:
        function(what, run_name='__main__')
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _fork_python(*given: Any) -> None:
    """Start a process as Popen does, but fork Python's from this one.

    They need not import again what this one has. None has any input.
    """
    its = dict(zip(SETTINGS, given, strict=True))
    if its['args'][0] != sys.executable:
        return EXECUTE(*given)
    popen: Popen = its['self']
    popen.pid = os.fork()
    if popen.pid:
        popen._child_created = True
        popen._close_pipe_fds(*(its[name] for name in PIPES))
        return None
    try:
        os._exit(get_context().Process(target=_be_python, args=(its,))._bootstrap())
    finally:
        os._exit(1)


def _be_python(its: dict[str, Any]) -> None:
    """Be the process that Popen starts with these settings."""
    for number, name in enumerate(('c2pwrite', 'errwrite'), start=1):
        if its[name] != -1:
            os.dup2(its[name], number)
    # A study has a handler of its own.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if its['start_new_session']:
        os.setsid()
    if its['preexec_fn']:
        its['preexec_fn']()
    os.chdir(its['cwd'] or '.')
    argv = [word for word in its['args'][1:] if word != '-u']
    function = runpy.run_path
    if argv[0] == '-m':
        function, argv = runpy.run_module, argv[1:]
    # The script's folder; for a module, the working folder.
    paths = [str(Path(argv[0]).parent), *sys.path[1:]]
    _begin(function, argv[0], paths, argv, its['env'] or dict(os.environ))


def _run_text(script: str, run_name: str) -> None:
    """Run the text of a script."""
    exec(script, dict(__name__=run_name))
