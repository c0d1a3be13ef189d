"""Make the COCO file of SIM10K (Driving in the Matrix)."""

from _options import conversion_parser, convert, finish

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


def main() -> None:
    """Convert the root that the command line names."""
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
    args = parser.parse_args()

    from mmdet_ifan.preparation.sim10k import prepare_sim10k

    convert(prepare_sim10k, args, args.root, args.classes)


if __name__ == '__main__':
    finish(main)
