"""Share what the commands that prepare a data set have in common.

Nothing heavy is imported at module level: a help text should not wait for
torch.
"""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

sys.path.append(str(Path(__file__).resolve().parents[1]))

from _launch import device, make_parser, run  # noqa: E402, F401

#: What to say of an interrupted conversion, and of what continues.
NOTHING = 'nothing was written'
CONTINUES = 'the same command continues from here'
EPILOG = """
The command writes all its files or none. Running it again is harmless: files
that would not change are left alone. Exit codes: 0; 2 after an error; 130
after Ctrl-C; 143 after kill.
"""


def conversion_parser(description: str, epilog: str) -> argparse.ArgumentParser:
    """Make a parser with the options that all conversions have.

    Args:
        description (str): What the command does.
        epilog (str): What ROOT holds, and examples.

    Returns:
        argparse.ArgumentParser: To be given the command's own options.
    """
    parser = make_parser(description, epilog + EPILOG)
    parser.add_argument('root', type=Path, metavar='ROOT', help='data root')
    parser.add_argument(
        '--out',
        type=Path,
        metavar='DIR',
        help='folder for the COCO files (default: ROOT/annotations)',
    )
    add_workers(parser, 'threads or processes')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace files that differ'
    )
    parser.add_argument(
        '--strict',
        action='store_true',
        help='fail, and write nothing, if anything in the '
        'data is damaged, missing, listed twice or had to be '
        'fixed; files that no list names or that are never '
        'opened do not count',
    )
    parser.add_argument(
        '--check',
        action='store_true',
        help='write nothing; check whether the existing files are what ROOT gives now',
    )
    return parser


def add_workers(
    parser: argparse.ArgumentParser, kind: str, results: str = 'files'
) -> None:
    """Add ``--workers``.

    Args:
        parser (argparse.ArgumentParser): Parser of the command.
        kind (str): What they are, such as 'threads'.
        results (str): What they make. Defaults to 'files'.
    """
    parser.add_argument(
        '--workers',
        type=int,
        default=2,
        metavar='N',
        help=f'{kind}; the {results} do not depend on it (default: %(default)s)',
    )


def add_images(parser: argparse.ArgumentParser) -> None:
    """Add ``IMAGES`` and ``--strict`` of a command that changes pictures.

    Args:
        parser (argparse.ArgumentParser): Parser of the command.
    """
    parser.add_argument(
        'images',
        type=Path,
        metavar='IMAGES',
        help='folder of images, searched with its sub-folders',
    )
    parser.add_argument(
        '--strict',
        action='store_true',
        help='fail at an image that cannot be read, instead of skipping it',
    )


def convert(
    prepare: Callable[..., Any], args: argparse.Namespace, data: Any, *more: Any
) -> None:
    """Run a conversion and print its report.

    Args:
        prepare (Callable): Takes the data, the common options and the rest;
            gives a ``Report``.
        args (argparse.Namespace): The command line.
        data (Any): The data set, or its root.
        *more (Any): What else the conversion takes.
    """
    from mmdet_ifan.preparation import Options

    options = Options(args.out, args.workers, args.overwrite, args.strict, args.check)
    print(*prepare(data, options, *more).lines(), sep='\n')
    if args.check:
        print('Checked: the files are what ROOT gives now.')


def finish(work: Callable[[], object], interrupted: str = NOTHING) -> NoReturn:
    """Do the work of a command, and exit as all of them do.

    The exit code is 0, 2 after an error, 130 after Ctrl-C and 143 after
    SIGTERM.

    Args:
        work (Callable): Takes nothing; its result is not used.
        interrupted (str): State of the data after Ctrl-C or SIGTERM, to be
            printed. Defaults to that of a conversion.
    """

    def terminate(number: int, _: object) -> None:
        raise KeyboardInterrupt(128 + number)

    def main() -> int:
        try:
            work()
        except KeyboardInterrupt as error:
            print(f'\nInterrupted: {interrupted}.', file=sys.stderr)
            return error.args[0] if error.args else 130
        return 0

    # By itself it would leave what is half written.
    signal.signal(signal.SIGTERM, terminate)
    # A file name that the terminal cannot show is no reason to fail.
    sys.stdout.reconfigure(errors='backslashreplace')
    run(main)
