"""Share what the tools have in common: options, config, environment, errors.

Nothing heavy is imported at module level: ``mim train`` first runs
``train.py -h``, and a help text should not wait for torch.
"""

from __future__ import annotations

import argparse
import linecache
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from mmengine.config import Config

# The tools of a checkout take the package of the checkout, not an installed
# one; beside the installed tools there is none.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

#: Set by ``--debug``; as a variable it reaches the runs that a tool starts.
DEBUG = 'MMDET_IFAN_DEBUG'
#: Hooks that mmengine has by default, and leaves out where they are None.
OPTIONAL_HOOKS = (
    'runtime_info',
    'timer',
    'sampler_seed',
    'logger',
    'param_scheduler',
    'checkpoint',
)
#: Modules that the config of a run imports.
MODULES = ('mmdet_ifan', 'mmdet_ifan.patch_mmengine')
#: Modules whose ``raise`` says, in a sentence, what the user can fix.
SPEAKERS = ('__main__', '_launch', 'mmdet_ifan', 'mmengine.config', 'mmengine.registry')
#: Module that builds what a config describes.
BUILDER = 'mmengine.registry.build_functions'
#: Errors that name a file or a package, whoever raises them.
MISSING = (
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ModuleNotFoundError,
)


# Errors


def run(main: Callable[[], int | None], again: str = '') -> NoReturn:
    """Run a tool; an error ends it with one sentence on stderr.

    The exit code is that of `main`, 2 for what the user can fix, 1 for any
    other error. With ``--debug`` the traceback comes first.

    Args:
        main (Callable): The tool; returns its exit code.
        again (str): How to continue after Ctrl-C. Defaults to ''.
    """
    if '--debug' in sys.argv:
        os.environ[DEBUG] = '1'
    try:
        code = main() or 0
        end_process_group()
        sys.exit(code)
    except KeyboardInterrupt:
        # Python still ends by the signal, which also ends a loop of a shell.
        if not debugging():
            sys.excepthook = lambda *_: print(
                f'\nInterrupted{again and ": "}{again}.', file=sys.stderr
            )
        raise
    except Exception as error:
        if debugging():
            traceback.print_exc()
        sentence, code = explain(error)
        print(f'error: {sentence}', file=sys.stderr)
        sys.exit(code)


def end_process_group() -> None:
    """End the threads by which processes that train together communicate.

    One that outlives the interpreter can abort a process whose work is done.
    """
    distributed = sys.modules.get('torch.distributed')
    if distributed and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def debugging() -> bool:
    """Tell whether tracebacks are to be shown."""
    return os.environ.get(DEBUG, '0') not in ('', '0')


def explain(error: Exception) -> tuple[str, int]:
    """Say what went wrong; write the traceback into the log of the run.

    Args:
        error (Exception): An error that was raised.

    Returns:
        tuple[str, int]: The sentence and the exit code.
    """
    log = write_traceback(error)
    if can_be_fixed(error):
        return text_of(error), 2
    line = text_of(error).partition('\n')[0]
    return (
        f'{type(error).__name__}: {line} (traceback: {log or "repeat with --debug"})'
    ), 1


def can_be_fixed(error: Exception) -> bool:
    """Tell whether an error says what the user can fix, or is a bug."""
    steps = list(traceback.walk_tb(error.__traceback__))
    modules = [frame.f_globals.get('__name__', '') for frame, _ in steps]
    frame, number = steps[-1]
    # The line that failed: a bug is in any other than a raise. A program that
    # stands on a command line has none to look at.
    line = linecache.getline(frame.f_code.co_filename, number).strip()
    return (
        isinstance(error, MISSING)
        # A worker of a data loader has raised it, and torch raises it again.
        or type(error).__module__.startswith('mmdet_ifan')
        # Arguments of the config that a class does not take.
        or (isinstance(error, TypeError) and BUILDER in modules)
        or (
            modules[-1].startswith(SPEAKERS) and (line.startswith('raise ') or not line)
        )
    )


def text_of(error: Exception) -> str:
    """Give the message of an error, without what Python adds to it."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f'{error.filename}: {error.strerror}'
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    text = str(error).strip()
    if 'Original Traceback (most recent call last)' in text:
        # Of a data loader's worker: the last line has its type and message.
        text = text.splitlines()[-1].partition(': ')[2]
    return text or type(error).__name__


def write_traceback(error: Exception) -> str | None:
    """Append a traceback to the log of the run.

    Args:
        error (Exception): The error.

    Returns:
        str, optional: The log; None if there is none.
    """
    mmengine = sys.modules.get('mmengine.logging')
    if mmengine is None:
        return None
    for handler in mmengine.MMLogger.get_current_instance().handlers:
        if isinstance(handler, logging.FileHandler) and handler.stream:
            with suppress(OSError):
                handler.stream.writelines(traceback.format_exception(error))
                handler.flush()
                if os.path.isfile(handler.baseFilename):
                    return os.path.relpath(handler.baseFilename)
    return None


# Options


def make_parser(description: str, epilog: str = '') -> argparse.ArgumentParser:
    """Make a parser with the option that all tools have.

    Args:
        description (str): What the tool does.
        epilog (str): Details and examples. Defaults to ''.

    Returns:
        argparse.ArgumentParser: The parser, which has ``--debug``.
    """
    parser = argparse.ArgumentParser(
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--debug',
        action='store_true',
        help=f'show the traceback of an error (or set {DEBUG}=1)',
    )
    return parser


def device(name: str) -> str:
    """Check the value of ``--device``, which is an argument's type.

    Args:
        name (str): Such as ``cpu`` or ``cuda:0``.

    Returns:
        str: The name.

    Raises:
        argparse.ArgumentTypeError: If torch has no such device here.
    """
    if name != 'cpu':
        import torch

        try:
            torch.empty(0, device=name)
        except (AssertionError, RuntimeError) as error:
            reason = str(error).partition('\n')[0]
            raise argparse.ArgumentTypeError(
                f'{name} cannot be used here ({reason}): give another, such as cpu.'
            ) from error
    return name


def existing(kind: str) -> Callable[[str], str]:
    """Make the type of an argument that names a file.

    Args:
        kind (str): What the file is, for the error.

    Returns:
        Callable[[str], str]: Takes a path or an address, and gives it back. A
            config that does not exist is one of ours by its file name, as
            ``mim`` has it. It raises a ``FileNotFoundError`` if there is no
            such file.
    """

    def check(path: str) -> str:
        if '://' in path or os.path.isfile(path):
            return path
        if kind == 'config':
            root = Path(__file__).resolve().parents[1]
            for ours in root.glob(f'configs/[!_]*/{Path(path).name}'):
                return str(ours)
        raise FileNotFoundError(
            f'there is no {kind} {path!r} (looked in {os.getcwd()}); check the path.'
        )

    return check


class LazyDictAction(argparse.Action):
    """mmengine's ``DictAction``, imported only when the option is given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Parse ``key=value`` pairs into a dictionary."""
        from mmengine.config import DictAction

        action = DictAction(self.option_strings, self.dest, nargs='+')
        try:
            action(parser, namespace, values, option_string)
        except ValueError as error:
            raise argparse.ArgumentError(
                self, f'{" ".join(values or ())} is no KEY=VALUE'
            ) from error


def add_config(
    parser: argparse.ArgumentParser, help: str = 'path of the config'
) -> None:
    """Add ``config`` and ``--cfg-options``.

    Args:
        parser (argparse.ArgumentParser): Parser of the tool.
        help (str): Text for ``config``. Defaults to 'path of the config'.
    """
    parser.add_argument('config', type=existing('config'), help=help)
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=LazyDictAction,
        default={},
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. '
        'train_dataloader.batch_size=2; a list is written as "[a,b]" or a,b',
    )


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing have in common.

    Args:
        parser (argparse.ArgumentParser): Parser of the tool.
    """
    parser.add_argument(
        '--work-dir',
        help='folder for logs and results (default: ./work_dirs/CONFIG_NAME)',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed run are started',
    )
    # torch.distributed.launch passes it with a hyphen or an underscore.
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS
    )


def add_named_checkpoints(parser: argparse.ArgumentParser) -> None:
    """Add ``checkpoints``, one or more pairs of a name and a path.

    Args:
        parser (argparse.ArgumentParser): Parser of the tool.
    """
    names: set[str] = set()
    checkpoint = existing('checkpoint')

    def pair(text: str) -> tuple[str, str]:
        name, equals, path = text.partition('=')
        if not equals:
            raise argparse.ArgumentTypeError(f'{text} is no NAME=CHECKPOINT.')
        if name in names:
            raise argparse.ArgumentTypeError(
                f'{name} names two checkpoints: give each a name of its own.'
            )
        names.add(name)
        return name, checkpoint(path)

    parser.add_argument('checkpoints', nargs='+', type=pair, metavar='NAME=CHECKPOINT')


def require_new(parser: argparse.ArgumentParser, folder: Path) -> None:
    """Refuse an output folder that is a file or not empty.

    Args:
        parser (argparse.ArgumentParser): Parser of the tool.
        folder (Path): The folder.
    """
    if folder.is_file():
        parser.error(f'{folder} is a file: choose another --out.')
    if folder.exists() and any(folder.iterdir()):
        parser.error(f'{folder} is not empty: choose another --out.')


# Config and environment


def add_package() -> None:
    """Import the package and what it changes in mmengine."""
    import mmdet_ifan.patch_mmengine  # noqa: F401


def read_config(path: str, options: dict[str, Any]) -> Config:
    """Read a config and apply the options of the command line.

    Args:
        path (str): The config; it may inherit from ``mmdet_ifan::…``.
        options (dict[str, Any]): Settings by their dotted names.

    Returns:
        Config: The config.

    Raises:
        ValueError: If it cannot be read, whatever its own code raises.
    """
    add_package()

    from mmengine.config import Config
    from mmengine.config import config as mmengine_config

    try:
        cfg = Config.fromfile(path)
        cfg.merge_from_dict(options)
    except Exception as error:
        # What an import has failed for is behind what mmengine says of it.
        cause: Any = error
        while isinstance(error, ImportError) and cause.__context__ is not None:
            cause = cause.__context__
        place = ''
        for frame, line in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_name == '<module>':
                place = f'{frame.f_code.co_filename}, line {line}: '
            elif frame.f_code.co_filename == mmengine_config.__file__ and (
                isinstance(error, SyntaxError)
            ):
                place = f'{frame.f_locals.get("filename", path)}: '
        raise ValueError(
            f'{path} is no valid config'
            f'{" with these --cfg-options" if options else ""}: '
            f'{place}{text_of(cause)}'
        ) from error
    drop_hooks(cfg)
    return cfg


def drop_hooks(cfg: Config) -> None:
    """Drop the hooks of a base config that are None here.

    mmengine takes None for its own hooks alone, and ends at that of another.

    Args:
        cfg (Config): The config, changed in place.
    """
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None]:
        if name not in OPTIONAL_HOOKS:
            del hooks[name]


def set_environment(args: argparse.Namespace) -> None:
    """Set variables that torch and mmengine read, before they are imported.

    Args:
        args (argparse.Namespace): Arguments with the common options.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    # Threads that spin while they wait made a step on two busy cores take 28
    # seconds instead of 2.
    os.environ.setdefault('OMP_WAIT_POLICY', 'passive')


def load_config(args: argparse.Namespace) -> Config:
    """Read the config of a run that the command line names.

    Args:
        args (argparse.Namespace): Arguments with the common options.

    Returns:
        Config: The config, ready for a ``Runner``.
    """
    set_environment(args)
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('work_dirs', Path(args.config).stem)
    import_package(cfg)
    join_processes_without_gpu(cfg)
    return cfg


def import_package(cfg: Config) -> None:
    """Let whoever reads the config of a run import this package.

    A config with modules of its own replaces the list of its base.

    Args:
        cfg (Config): Config of the run, changed in place.
    """
    imports = cfg.get('custom_imports') or {}
    names = imports.get('imports') or []
    names = [names] if isinstance(names, str) else names
    others = [name for name in names if name not in MODULES]
    cfg.custom_imports = dict(imports, imports=[*MODULES, *others])


def join_processes_without_gpu(cfg: Config) -> None:
    """Let a distributed run work where there is no GPU.

    The runner would give each process a CUDA device, to use for itself and
    for its model. It does neither if the processes have met before and the
    config says how to wrap the model.

    Args:
        cfg (Config): Config of the run, changed in place.
    """
    from mmengine.device import get_device

    if cfg.launcher != 'pytorch' or get_device() != 'cpu':
        return
    from torch.distributed import init_process_group

    init_process_group('gloo')
    cfg.setdefault(
        'model_wrapper_cfg',
        dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        ),
    )
