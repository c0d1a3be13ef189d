"""Make synthetic fog for a Cityscapes root that has no foggy images."""

from pathlib import Path

from _options import CONTINUES, add_workers, finish, make_parser

EPILOG = """
ROOT holds what these archives of Cityscapes unpack to:
  leftImg8bit/{train,val}/CITY/*_leftImg8bit.png
  disparity/{train,val}/CITY/*_disparity.png
  camera/{train,val}/CITY/*_camera.json
  gtFine/{train,val}/CITY/*_gtFine_instanceIds.png, where the sky is
and gets leftImg8bit_foggy with the file names of Foggy Cityscapes, so that
tools/prepare/cityscapes.py and the configs read it. It is NOT the official
set, and a text file in the folder says so; a folder without that file is
never touched. The same command continues after an interruption. Exit codes:
0; 2 after an error; 130 after Ctrl-C; 143 after kill.

examples:
  python tools/prepare/fog.py data/cityscapes
  python tools/prepare/fog.py data/cityscapes --beta all --workers 8
  python tools/prepare/fog.py data/cityscapes --check
"""


def main() -> None:
    """Make the fog that the command line names."""
    parser = make_parser(__doc__, EPILOG)
    parser.add_argument('root', type=Path, metavar='ROOT', help='data root')
    parser.add_argument(
        '--beta',
        nargs='+',
        default=['0.02'],
        metavar='BETA',
        help='fog levels, of 0.005, 0.01, '
        '0.02 and 0.05, or "all", the first three, which are '
        'the official ones (default: 0.02)',
    )
    add_workers(parser, 'threads')
    parser.add_argument(
        '--strict',
        action='store_true',
        help='fail at the end if any image was left out',
    )
    parser.add_argument(
        '--check',
        action='store_true',
        help='write nothing; fail if any image is missing or damaged',
    )
    args = parser.parse_args()

    from mmdet_ifan.preparation import Options
    from mmdet_ifan.preparation.synthetic_fog import make_fog

    options = Options(workers=args.workers, strict=args.strict, check=args.check)
    print(*make_fog(args.root, options, args.beta).lines(), sep='\n')


if __name__ == '__main__':
    finish(main, CONTINUES)
