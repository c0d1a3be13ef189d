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
from multiprocessing.popen_fork import Popen as Fork
from pathlib import Path
from subprocess import CompletedProcess, Popen
from tempfile import TemporaryDirectory
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
#: Has a package that stands for yapf, and how timm is imported: see there.
QUICK = ROOT / 'tests/quick'
#: A process that has imported libraries, but nothing of ours, and is forked.
#: To start Python and import them takes longer than most of what is tested.
#: The runs that a tool starts have what the tool has imported, too.
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
#: Where such a process finds what is installed.
LIBRARIES: list[str] = []
#: How Popen starts a process, its parameters, and those that are ends of pipes.
EXECUTE = Popen._execute_child
PARAMETERS = list(signature(EXECUTE).parameters)
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
    tool: str,
    *arguments: object,
    cwd: str | Path,
    env: dict[str, str] | None = None,
    anew: bool = False,
) -> CompletedProcess:
    """Run a tool as ``python tools/…`` does.

    With ``anew`` the runs that it starts are processes as users have them.
    """
    path = ROOT / 'tools' / tool
    argv = [str(path), *map(str, arguments)]
    return _run(runpy.run_path, argv[0], str(path.parent), argv, cwd, env, anew)


def run_module(
    module: str, *arguments: object, cwd: str | Path, env: dict[str, str] | None = None
) -> CompletedProcess:
    """Run a module as ``python -m`` does."""
    argv = [module, *map(str, arguments)]
    return _run(_run_module, module, str(cwd), argv, cwd, env)


def run_script(
    script: str, *arguments: object, cwd: str | Path, env: dict[str, str] | None = None
) -> CompletedProcess:
    """Run a script as ``python -c`` does."""
    return _run(_run_text, script, '', ['-c', *map(str, arguments)], cwd, env)


def _run(
    function: Callable,
    what: str,
    first: str,
    argv: list[str],
    cwd: str | Path,
    env: dict[str, str] | None,
    anew: bool = False,
) -> CompletedProcess:
    """Run what a command line names; Python looks for modules in ``first`` first."""
    env = environment() if env is None else env
    with TemporaryDirectory() as folder:
        out, err = Path(folder, 'out'), Path(folder, 'err')
        process = SERVER.Process(
            target=_become,
            args=(function, what, first, argv, str(cwd), env, anew, out, err),
        )
        process.start()
        process.join()
        return CompletedProcess(
            argv, process.exitcode, out.read_text(), err.read_text()
        )


def _become(
    function: Callable,
    what: str,
    first: str,
    argv: list[str],
    cwd: str,
    env: dict[str, str],
    anew: bool,
    out: Path,
    err: Path,
) -> None:
    """Be a process of these settings."""
    for number, path in enumerate((out, err), start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    # A server leaves out in silence what it cannot import.
    assert 'timm' in sys.modules and 'mmdet_ifan' not in sys.modules
    # Otherwise its workers would come from a second server, which would import
    # everything again.
    set_start_method('fork', force=True)
    if not anew:
        Popen._execute_child = _fork_python
    # Not where these tests are.
    ours = ['', *(str(ROOT / folder) for folder in ('', 'tests', 'tools'))]
    LIBRARIES.extend(path for path in sys.path if path not in ours)
    os.chdir(cwd)
    _begin(function, what, first, argv, env)


def _begin(
    function: Callable, what: str, first: str, argv: list[str], env: dict[str, str]
) -> None:
    """Run what a command line names, in this folder and with these streams."""
    # mmengine collects garbage for every data set: not among libraries.
    gc.freeze()
    sys.stdout = open(1, 'w', closefd=False)
    sys.stderr = open(2, 'w', buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(env)
    paths = env.get('PYTHONPATH', '').split(os.pathsep)
    sys.path[:] = [first, *filter(None, paths), *LIBRARIES]
    sys.argv = argv
    function(what, run_name='__main__')


def _fork_python(*given: Any) -> None:
    """Start a process as Popen does, but fork Python's from this one.

    The child need not import again what this process has. No tool gives a child
    input.
    """
    its = dict(zip(PARAMETERS, given, strict=True))
    python, *argv = map(str, its['args'])
    if python != sys.executable:
        EXECUTE(*given)
        return
    popen: Popen = its['self']
    popen.pid = Fork(get_context().Process(target=_be_python, args=(its, argv))).pid
    popen._child_created = True
    popen._close_pipe_fds(*(its[name] for name in PIPES))


def _be_python(its: dict[str, Any], argv: list[str]) -> None:
    """Be the process that Popen starts with these arguments."""
    for number, name in enumerate(('c2pwrite', 'errwrite'), start=1):
        if its[name] != -1:
            os.dup2(its[name], number)
    # The handlers of what starts this, a study or torchrun, are not this one's.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    if its['start_new_session']:
        os.setsid()
    if its['preexec_fn']:
        its['preexec_fn']()
    os.chdir(its['cwd'] or '.')
    env = dict(os.environ) if its['env'] is None else its['env']
    if argv[0] == '-u':
        argv = argv[1:]
    if argv[0] == '-m':
        _begin(_run_module, argv[1], os.getcwd(), argv[1:], env)
    else:
        _begin(runpy.run_path, argv[0], str(Path(argv[0]).parent), argv, env)


def _run_module(module: str, run_name: str) -> None:
    """Run a module in the place of ``__main__``."""
    runpy.run_module(module, run_name=run_name, alter_sys=True)


def _run_text(script: str, run_name: str) -> None:
    """Run the text of a script."""
    exec(script, dict(__name__=run_name))
