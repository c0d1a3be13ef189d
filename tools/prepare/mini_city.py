"""Render Mini City, a small stand-in for Cityscapes and Foggy Cityscapes."""

import argparse
import sys
from pathlib import Path

from mmdet_ifan.datasets.disk import DataError
from mmdet_ifan.datasets.mini_city import MiniCity, write_mini_city

EPILOG = """
The folder gets the layout of Cityscapes (leftImg8bit, leftImg8bit_foggy,
gtFine, disparity, camera). A run that was interrupted goes on where it
stopped; a finished one is not repeated.

examples:
  the default data set, 700 scenes of 128 x 256 px:
    python tools/prepare/mini_city.py
  a larger picture, twice the default in each direction:
    python tools/prepare/mini_city.py --out data/mini_city_256 \\
        --height 256 --width 512
then make the COCO files that training reads:
    python tools/prepare/cityscapes.py data/mini_city
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    default = MiniCity()
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('data/mini_city'),
                        metavar='DIR',
                        help='data root to write (default: %(default)s)')
    for name, text in (('train', 'number of training scenes'),
                       ('val', 'number of validation scenes'),
                       ('height', 'image height in px'),
                       ('width', 'image width in px; the focal length '
                        'grows with it'),
                       ('seed', 'equal seeds give equal files')):
        parser.add_argument(f'--{name}', type=int, metavar='N',
                            default=getattr(default, name),
                            help=f'{text} (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=2, metavar='N',
                        help='processes; the files do not depend on it '
                        '(default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace a Mini City of other numbers')
    return parser.parse_args()


def main() -> int:
    """Render; returns the exit code."""
    args = parse_args()
    try:
        city = MiniCity(args.train, args.val, args.height, args.width,
                        args.seed)
        write_mini_city(args.out, city, args.workers, args.overwrite)
    except DataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\nInterrupted: the same command goes on from here.',
              file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
