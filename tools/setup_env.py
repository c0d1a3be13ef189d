"""Install everything that the project needs into ``.venv``.

``make setup`` runs this with the system's Python; it needs nothing but the
standard library. ``make compat`` runs it with ``--onedl``: the OneDL forks of
MMDetection go into ``.venv-onedl``, since their import names are the same. A
finished step leaves a mark in the environment, so that an interrupted set-up
continues where it stopped and a finished one takes a second.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
ONEDL = '--onedl' in sys.argv[1:]
VENV = ROOT / ('.venv-onedl' if ONEDL else '.venv')
VENV_PYTHON = VENV / 'bin' / 'python'
LOG = VENV / 'setup.log'
MARKS = VENV / 'setup.json'
CONSTRAINTS = ROOT / 'requirements' / 'constraints.txt'
ONEDL_CONSTRAINTS = ROOT / 'requirements' / 'constraints-onedl.txt'
FORKED = ('mmengine==', 'mmcv==', 'mmdet==')
MMCV = 'onedl-mmcv' if ONEDL else 'mmcv'
# Without its dependencies: torchvision, which a backbone does not need, fits
# one build of torch alone and breaks every run beside another.
TIMM = 'timm'

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 12)
FREE_GIGABYTES = 6
# Of one core: mmcv 2.1.0 took 7 minutes on two.
COMPILE_MINUTES = 14
# Files that are compiled at a time.
JOBS = int(os.environ.get('MAX_JOBS') or os.cpu_count() or 1)
# What goes into the wheel, or tells how to build it.
SOURCES = (
    'mmdet_ifan',
    'configs',
    'tools',
    'setup.cfg',
    'setup.py',
    'pyproject.toml',
    'MANIFEST.in',
    'README.md',
    'LICENSE',
    'model-index.yml',
)
COMMAND = 'make compat' if ONEDL else 'make setup'
AGAIN = f'run "{COMMAND}" again: it continues where it stopped'

BUILD_LINE = re.compile(r"\s*building '.*' extension")
NINJA_LINE = re.compile(r'\s*\[(\d+)/(\d+)\]')
PIP_LINE = re.compile(
    r'\s*((?:Collecting|Downloading|Using cached|Building|'
    r'WARNING: Retrying) .*|Installing collected packages)'
)
#: What the output of a command that failed shows, and what to say of it.
REASONS = {
    r'NewConnectionError|ConnectTimeout|ReadTimeout|'
    r'ProxyError|SSLError|from versions: none': (
        'failed, since the package index did not answer or lacks the package: '
        f'check the network and "pip config list", then {AGAIN}.'
    ),
    'No space left on device': f'failed on a full disk: free some space, then {AGAIN}.',
    'Killed': (
        'failed for want of memory: run "MAX_JOBS=1 make setup", which '
        'compiles one file at a time.'
    ),
    r'CUDA_HOME environment variable is not set|'
    r'mismatches the version that was used to': (
        'failed, since there is a GPU, but no CUDA toolkit of the version '
        'that torch was built with: install it and set CUDA_HOME, then '
        f'{AGAIN}; or run "CUDA_VISIBLE_DEVICES= make setup" to train on the CPU.'
    ),
}


class SetupError(Exception):
    """The set-up cannot continue; the message says how to fix it."""


class Step(NamedTuple):
    """A part of the set-up, done again when its ``state`` changes."""

    name: str
    title: str
    state: str
    action: Callable[[], None]
    check: Callable[[], None] | None = None


# The machine


def check_python() -> None:
    """Refuse a Python for which the pinned packages do not exist."""
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        raise SetupError(
            f'{sys.executable} is Python {dotted(sys.version_info[:2])}, but '
            f'Python {dotted(OLDEST_PYTHON)} to {dotted(NEWEST_PYTHON)} is '
            f'needed: run "make setup PYTHON=python3.11".'
        )


def check_venv_module() -> None:
    """Refuse a Python that cannot make a virtual environment with pip."""
    if not all(map(importlib.util.find_spec, ('venv', 'ensurepip'))):
        raise SetupError(
            f'{sys.executable} cannot make virtual environments: install its '
            f'venv module (on Debian and Ubuntu "sudo apt-get install '
            f'python{dotted(sys.version_info[:2])}-venv"), then {AGAIN}.'
        )


def check_compiler() -> None:
    """Refuse a machine that cannot compile the operators of mmcv."""
    if not shutil.which(os.environ.get('CXX') or 'c++'):
        raise SetupError(
            f'There is no C++ compiler, and mmcv has to be compiled: install '
            f'one (on Debian and Ubuntu "sudo apt-get install g++"), then '
            f'{AGAIN}.'
        )
    if not Path(sysconfig.get_path('include'), 'Python.h').is_file():
        raise SetupError(
            f'The C headers of {sys.executable} are missing, and mmcv has to '
            f'be compiled: install them (on Debian and Ubuntu "sudo apt-get '
            f'install python{dotted(sys.version_info[:2])}-dev"), then '
            f'{AGAIN}.'
        )


def check_disk() -> None:
    """Refuse a disk on which the packages would not fit."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < FREE_GIGABYTES:
        raise SetupError(
            f'{ROOT} has {free:.1f} GB of free disk, but about '
            f'{FREE_GIGABYTES} GB are needed: free some (for instance with '
            f'"pip cache purge"), then {AGAIN}.'
        )


def dotted(version: tuple[int, ...]) -> str:
    """Write a version such as ``(3, 11)`` as ``3.11``."""
    return '.'.join(map(str, version))


# Running commands


class Progress(threading.Thread):
    """Says again and again how far a command is, while it runs.

    On a terminal one line is drawn over every second; elsewhere, as in a
    log, a line is added every half minute.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.status = ''
        self.finished = threading.Event()
        self.start_time = time.monotonic()
        self.build_time = self.start_time

    def read(self, line: str) -> None:
        """Learn from a line of the command's output."""
        ninja, pip_says = NINJA_LINE.match(line), PIP_LINE.match(line)
        if BUILD_LINE.match(line):
            self.build_time = time.monotonic()
        elif ninja:
            self.status = self.describe(*map(int, ninja.groups()))
        elif pip_says:
            self.status = pip_says.group(1)

    def describe(self, done: int, total: int) -> str:
        """Say how many files are compiled, and how long the rest takes."""
        elapsed = time.monotonic() - self.build_time
        left = clock(elapsed / done * (total - done))
        return f'{done} of {total} files compiled, about {left} left'

    def run(self) -> None:
        """Draw until the command has finished."""
        terminal = sys.stdout.isatty()
        while not self.finished.wait(1 if terminal else 30):
            elapsed = clock(time.monotonic() - self.start_time)
            width = shutil.get_terminal_size().columns - 1
            text = f'  {elapsed}  {self.status}'[:width]
            if terminal:
                print(f'\r{text:{width}}', end='', flush=True)
            else:
                print(text, flush=True)

    def stop(self) -> None:
        """Stop drawing and leave the cursor on a clean line."""
        self.finished.set()
        self.join()
        if sys.stdout.isatty():
            print('\r\x1b[K', end='', flush=True)


def clock(seconds: float) -> str:
    """Write a duration as minutes and seconds."""
    return f'{int(seconds) // 60}:{int(seconds) % 60:02d}'


def run(task: str, *command: str, **env: str) -> None:
    """Run a command, keep its output in the log and show how far it is.

    Args:
        task (str): What the command does, for the sentence if it fails.
        command (str): The command.
        env (str): Environment variables to add.
    """
    progress = Progress()
    tail: deque[str] = deque(maxlen=400)
    with (
        LOG.open('a') as log,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding='utf-8',
            errors='replace',
            cwd=ROOT,
            env={**os.environ, **env},
        ) as process,
    ):
        log.write(f'\n$ {" ".join(command)}\n')
        progress.start()
        try:
            for line in process.stdout or ():
                log.write(line)
                tail.append(line)
                progress.read(line)
        finally:
            progress.stop()
    if process.returncode:
        raise SetupError(explain(task, ''.join(tail)))


def explain(task: str, output: str) -> str:
    """Turn the output of a command that failed into a sentence.

    Args:
        task (str): What the command was for.
        output (str): The end of its output.

    Returns:
        str: What went wrong, and which command fixes it.
    """
    for pattern, sentence in REASONS.items():
        if re.search(pattern, output):
            return f'{task} {sentence}'
    return f'{task} failed: read the end of {LOG}, then {AGAIN}.'


def pip(task: str, *arguments: str, **env: str) -> None:
    """Run the pip of ``.venv``; the arguments are those of ``run``."""
    run(task, str(VENV_PYTHON), '-m', 'pip', *arguments, **env)


# The steps


def make_venv() -> None:
    """Make the virtual environment, unless there is one already."""
    if VENV_PYTHON.exists() and VENV_PYTHON.with_name('pip').exists():
        check_venv_version()
        return
    check_venv_module()
    print(f'Making {VENV.name} ...', flush=True)
    VENV.mkdir(exist_ok=True)
    run(f'Making {VENV.name}', sys.executable, '-m', 'venv', str(VENV))


def check_venv_version() -> None:
    """Refuse to continue in a virtual environment of another Python."""
    wanted = dotted(sys.version_info[:2])
    settings = (VENV / 'pyvenv.cfg').read_text()
    found = re.search(r'^version\S* = (\d+\.\d+)', settings, re.MULTILINE)
    if found and found.group(1) != wanted:
        raise SetupError(
            f'{VENV.name} was made with Python {found.group(1)}, not '
            f'{wanted}: run "{COMMAND} PYTHON=python{found.group(1)}", or '
            f'remove it with "rm -rf {VENV.name}" to start afresh.'
        )


def install_pins() -> None:
    """Install what is pinned, except mmcv, which needs torch to be there."""
    pins = read_pins()
    alone = [pin for pin in pins if pin.startswith(f'{TIMM}==')]
    pip(
        'Installing the pinned packages',
        'install',
        *(pin for pin in pins if pin not in alone and not pin.startswith(f'{MMCV}==')),
    )
    pip('Installing timm', 'install', '--no-deps', *alone)


def read_pins() -> list[str]:
    """Read the pinned packages, each with its version."""
    pins = pins_in(CONSTRAINTS)
    if ONEDL:
        pins = [pin for pin in pins if not pin.startswith(FORKED)]
        pins += pins_in(ONEDL_CONSTRAINTS)
    return pins


def pins_in(path: Path) -> list[str]:
    """Read the pins of a file."""
    lines = path.read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def install_mmcv() -> None:
    """Install mmcv with its operators, compiled for the installed torch."""
    compile_mmcv()
    if operator_error():
        print(
            '  pip had kept an mmcv that does not work here: it is compiled anew.',
            flush=True,
        )
        pip('Removing an unusable mmcv from the cache of pip', 'cache', 'remove', MMCV)
        compile_mmcv('--force-reinstall')
    error = operator_error()
    if error:
        raise SetupError(
            f'mmcv was compiled, but its operators cannot be imported '
            f'({error}): read {LOG}, then run "{VENV_PYTHON} -m pip '
            f'uninstall -y {MMCV}" and "{COMMAND}".'
        )


def compile_mmcv(*options: str) -> None:
    """Let pip compile mmcv, or take the wheel that it kept."""
    # Without debugging information the compiler takes half as long.
    flags = {
        name: f'{os.environ.get(name, "")} -g0'.strip()
        for name in ('CFLAGS', 'CXXFLAGS')
    }
    # Build isolation would hide torch, and mmcv would do without operators.
    pip(
        'Compiling mmcv',
        'install',
        '-v',
        '--no-build-isolation',
        '--no-deps',
        *options,
        *(pin for pin in read_pins() if pin.startswith(f'{MMCV}==')),
        MMCV_WITH_OPS='1',
        MAX_JOBS=str(JOBS),
        **flags,
    )


def operator_error() -> str:
    """Say why the operators of mmcv cannot be imported, if they cannot.

    Returns:
        str: The last line of the error, or nothing.
    """
    result = subprocess.run(
        [str(VENV_PYTHON), '-c', 'import mmcv.ops'], capture_output=True, text=True
    )
    if result.returncode == 0:
        return ''
    return (result.stderr.strip() or 'no message').splitlines()[-1]


def install_package() -> None:
    """Install the package, as a wheel: ``mim`` needs what only that has."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        # Otherwise pip leaves an older copy of the same version in place.
        pip(
            'Installing mmdet_ifan',
            'install',
            '--no-deps',
            '--force-reinstall',
            str(wheel),
        )


def build_wheel(folder: Path) -> Path:
    """Build the wheel from a copy, so that the checkout stays clean.

    Args:
        folder (Path): An empty folder to work in.

    Returns:
        Path: The wheel.
    """
    for path in source_files():
        copy = folder / 'source' / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    pip(
        'Building the wheel of mmdet_ifan',
        'wheel',
        '--no-build-isolation',
        '--no-deps',
        '-w',
        str(folder),
        str(folder / 'source'),
    )
    return next(folder.glob('*.whl'))


def source_files() -> list[Path]:
    """List the files that the wheel is made of or made by."""
    files = [ROOT / name for name in SOURCES]
    for folder in SOURCES:
        files += (ROOT / folder).rglob('*')
    return sorted(
        path for path in files if path.is_file() and '__pycache__' not in path.parts
    )


def digest_sources() -> str:
    """Tell one state of the sources from another."""
    return digest(*(f'{path}\n{path.read_bytes()!r}' for path in source_files()))


def digest(*texts: str) -> str:
    """Tell one set of texts from another."""
    return hashlib.sha256('\n'.join(texts).encode()).hexdigest()


# All together


def main() -> int:
    """Set the project up.

    Returns:
        int: The exit code, 0 if all is well, 2 if the user has to act.
    """
    try:
        set_up()
    except SetupError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f'\nInterrupted: {AGAIN}.', file=sys.stderr)
        return 130
    return 0


def set_up() -> None:
    """Do the steps that are not marked as done."""
    check_python()
    marks = json.loads(MARKS.read_text()) if MARKS.exists() else {}
    todo = [step for step in plan() if marks.get(step.name) != step.state]
    for step in todo:
        if step.check:
            step.check()
    make_venv()
    for step in todo:
        print(f'{step.title} ...', flush=True)
        step.action()
        marks[step.name] = step.state
        MARKS.write_text(json.dumps(marks, indent=2))
    print(f'{VENV.name} is {"ready" if todo else "up to date"}.')


def plan() -> list[Step]:
    """List the steps, each with the state of what it depends on."""
    pins = read_pins()
    compiled = [pin for pin in pins if pin.startswith((f'{MMCV}==', 'torch=='))]
    minutes = -(-COMPILE_MINUTES // JOBS)
    return [
        Step(
            'pins',
            'Installing PyTorch, MMDetection and tools (hundreds of '
            'megabytes; gigabytes if PyTorch comes with CUDA)',
            digest(*pins),
            install_pins,
            check_disk,
        ),
        Step(
            'mmcv',
            f'Installing mmcv with its operators (compiled the '
            f'first time, about {minutes} minutes; pip keeps the result)',
            digest(*compiled),
            install_mmcv,
            check_compiler,
        ),
        Step('package', 'Installing mmdet_ifan', digest_sources(), install_package),
    ]


if __name__ == '__main__':
    sys.exit(main())
