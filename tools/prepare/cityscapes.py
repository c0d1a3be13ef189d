"""Make the COCO files of Cityscapes, Foggy Cityscapes or Mini City."""

from _options import conversion_parser, convert, finish

EPILOG = """
ROOT holds what Cityscapes' archives unpack to:
  leftImg8bit/{train,val}/CITY/*_leftImg8bit.png
  gtFine/{train,val}/CITY/*_gtFine_instanceIds.png
  leftImg8bit_foggy/{train,val}/CITY/*_foggy_beta_{0.005,0.01,0.02}.png
The last one (Foggy Cityscapes) may be missing; then only the files of the
clear images are written. Images without objects are kept. A damaged
training image is left out, named and counted. A test image is never left out:
a damaged one is an error.

examples:
  python tools/prepare/cityscapes.py data/cityscapes
  python tools/prepare/cityscapes.py data/cityscapes --beta 0.01 0.02
  python tools/prepare/cityscapes.py data/cityscapes --beta all --check
  python tools/prepare/cityscapes.py data/mini_city
"""


def main() -> None:
    """Convert the root that the command line names."""
    parser = conversion_parser(__doc__, EPILOG)
    parser.add_argument(
        '--beta',
        nargs='+',
        metavar='BETA',
        help='fog levels, of 0.005, 0.01, 0.02 and the dense '
        '0.05 of Mini City, or "all", the first three, which '
        'also writes one file over them (default: 0.02, and '
        '0.05 of Mini City, where there are foggy images)',
    )
    args = parser.parse_args()

    from mmdet_ifan.preparation.cityscapes import prepare_cityscapes

    convert(prepare_cityscapes, args, args.root, args.beta)


if __name__ == '__main__':
    finish(main)
