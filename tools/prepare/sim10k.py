"""Make the COCO file of SIM10K (Driving in the Matrix)."""

import argparse
from typing import TYPE_CHECKING

from _options import conversion_parser, convert

if TYPE_CHECKING:
    from mmdet_ifan.preparation import Options, Report

EPILOG = """
ROOT holds what SIM10K's archives unpack to:
  VOC2012/JPEGImages/*.jpg
  VOC2012/Annotations/*.xml
or the same without VOC2012, and gets annotations/instances_train.json, which
the configs *_sim10k2city.py read. The numbers published for SIM10K are
checked: 10,000 images and 58,701 cars.

examples:
  python tools/prepare/sim10k.py data/sim10k
  python tools/prepare/sim10k.py data/sim10k --classes car person motorcycle
  python tools/prepare/sim10k.py data/sim10k --check
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = conversion_parser(__doc__, EPILOG)
    parser.add_argument(
        '--classes',
        nargs='+',
        default=['car'],
        metavar='NAME',
        help='categories to keep, of car, '
        'person and motorcycle, which SIM10K calls motorbike '
        '(default: car, as in the literature)',
    )
    return parser.parse_args()


def prepare(args: argparse.Namespace, options: 'Options') -> 'Report':
    """Convert and check the counts."""
    from mmdet_ifan.preparation.sim10k import prepare_sim10k

    return prepare_sim10k(args.root, options, args.classes)


if __name__ == '__main__':
    convert(prepare, parse_args())
