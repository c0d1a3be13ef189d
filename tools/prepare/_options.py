"""What the commands that prepare a data set share.

Nothing heavy is imported at module level: a help text should not wait for
torch.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

# The tools of a checkout run the checkout's package, not an older copy that
# is installed; beside the installed tools lies no package.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if TYPE_CHECKING:
    from mmdet_ifan.preparation import Options, Report

EPILOG = """
The command writes all its files or none, and running it again is harmless:
files that would not change are left alone. Exit codes: 0; 2 after an error;
130 after Ctrl-C; 143 after kill.
"""


def make_parser(description: str, epilog: str) -> argparse.ArgumentParser:
    """Make a parser with the options that all commands have.

    Args:
        description (str): What the command does.
        epilog (str): What ROOT holds, and examples.

    Returns:
        argparse.ArgumentParser: To be given the command's own options.
    """
    parser = argparse.ArgumentParser(
        description=description, epilog=epilog + EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, metavar='ROOT', help='data root')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='folder for the COCO files (default: '
                        'ROOT/annotations)')
    parser.add_argument('--workers', type=int, default=2, metavar='N',
                        help='threads or processes; the files do not depend '
                        'on it (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace files that differ')
    parser.add_argument('--strict', action='store_true',
                        help='fail, and write nothing, if anything in the '
                        'data is damaged, missing, listed twice or mended; '
                        'files that no list names or that nobody looks at '
                        'are not meant')
    parser.add_argument('--check', action='store_true',
                        help='write nothing; say whether the files that are '
                        'there are what ROOT gives now')
    return parser


def run(prepare: Callable[[argparse.Namespace, Options], Report],
        args: argparse.Namespace) -> int:
    """Run a command and print what came of it.

    Args:
        prepare (Callable): Takes the command line and its common part.
        args (argparse.Namespace): The command line.

    Returns:
        int: The exit code.
    """
    from mmdet_ifan.preparation import Options

    def work() -> None:
        options = Options(args.out, args.workers, args.overwrite, args.strict,
                          args.check)
        print(*prepare(args, options).lines(), sep='\n')
        if args.check:
            print('Checked: the files are what ROOT gives now.')

    return exit_code(work, 'nothing was written')


def exit_code(work: Callable[[], object], interrupted: str) -> int:
    """Do the work of a command and end it as all of them end.

    Args:
        work (Callable): Takes nothing; what it returns is not looked at.
        interrupted (str): What Ctrl-C or SIGTERM means for the work, to be
            printed.

    Returns:
        int: 0; 2 after an error, which is printed; 130 after Ctrl-C; 143
        after SIGTERM.
    """
    from mmdet_ifan.utils.errors import DataError

    def terminate(number: int, _: object) -> None:
        raise KeyboardInterrupt(128 + number)

    # By itself it would leave what is half written.
    signal.signal(signal.SIGTERM, terminate)
    # A file name that the terminal cannot show is no reason to fail.
    sys.stdout.reconfigure(errors='backslashreplace')
    try:
        work()
    except DataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f'\nInterrupted: {interrupted}.', file=sys.stderr)
        return error.args[0] if error.args else 130
    return 0
