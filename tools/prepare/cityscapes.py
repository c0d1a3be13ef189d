"""Make the COCO files of Cityscapes, Foggy Cityscapes or Mini City."""

import argparse
import sys
from pathlib import Path

from mmdet_ifan.datasets.cityscapes_to_coco import format_summaries, prepare
from mmdet_ifan.datasets.disk import DataError
from mmdet_ifan.datasets.mini_city.settings import BETAS

EPILOG = """
ROOT holds what Cityscapes' archives unpack to:
  leftImg8bit/{train,val}/CITY/*_leftImg8bit.png
  gtFine/{train,val}/CITY/*_gtFine_instanceIds.png
  leftImg8bit_foggy/{train,val}/CITY/*_foggy_beta_{0.005,0.01,0.02}.png
The last one (Foggy Cityscapes) may be missing; then only the files of the
clear images are written. Images without objects are kept.

examples:
  python tools/prepare/cityscapes.py data/cityscapes
  python tools/prepare/cityscapes.py data/cityscapes --beta all
  python tools/prepare/cityscapes.py data/mini_city
"""


def level(text: str) -> float:
    """Read a fog level; NaN stands for 'all'."""
    return float('nan') if text == 'all' else float(text)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, metavar='ROOT',
                        help='data root')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='folder for the files (default: '
                        'ROOT/annotations)')
    parser.add_argument('--beta', nargs='+', type=level, metavar='BETA',
                        help=f'fog levels, of {BETAS}, or "all", which also '
                        'writes one file over the three (default: 0.02 '
                        'where there are foggy images)')
    parser.add_argument('--workers', type=int, default=2, metavar='N',
                        help='threads (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace files that differ')
    return parser.parse_args()


def main() -> int:
    """Prepare and print what was made; returns the exit code."""
    args = parse_args()
    betas = args.beta
    if betas is not None and any(beta != beta for beta in betas):
        betas = BETAS
    try:
        summaries = prepare(args.root, args.out, betas, args.workers,
                            args.overwrite)
    except DataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\nInterrupted: nothing was written.', file=sys.stderr)
        return 130
    format_summaries(summaries)
    return 0


if __name__ == '__main__':
    sys.exit(main())
