"""Write the page of a finished demo again, with the pictures it has now.

``make demo`` writes it at its end; pictures that tools/analysis has put into
its folder since, errors.png and features.png, are then part of it.
"""
import argparse
import sys
from pathlib import Path

from _launch import add_package


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'folder',
        nargs='?',
        type=Path,
        default=Path('work_dirs/demo'),
        help='results of the demo (default: %(default)s)')
    folder = parser.parse_args().folder
    if not (folder / 'results.json').is_file():
        sys.exit(f'error: {folder} has no results.json of a demo: run "make '
                 'demo", or name the folder.')
    add_package()

    from mmdet_ifan.runs.demo import write_page
    print(f'The page is {write_page(folder)}.')


if __name__ == '__main__':
    main()
