"""Give photographs an artificial second look, where no second set exists."""

from dataclasses import fields
from pathlib import Path

from _options import CONTINUES, add_images, add_workers, finish, make_parser

from mmdet_ifan.preparation.restyle import NewLook, restyle

EPILOG = """
To try adaptation on your own photographs before you have a second set, train
on labelled photographs as source and on changed copies of others as target.
The copies have the names and sizes of the originals, so the originals' boxes
fit them. The same command continues after an interruption, and makes a copy
again that is older than its original. A file in the folder says that the look
is artificial, and of which pictures.

examples:
  python tools/prepare/restyle.py data/cells/images --out data/cells_changed
  python tools/prepare/restyle.py photos --out dusk --blur 0 \\
      --brightness -60 --cast 0.8 0.9 1.2
"""
HELP = dict(
    blur='sigma of a Gaussian in px; 0 is none',
    saturation='factor on the distance from grey',
    contrast='factor on the distance from mid-grey',
    brightness='grey levels to add',
    cast='factors on red, green and blue',
    noise='standard deviation in grey levels',
    seed='seed of the noise, which also depends on the file name',
)


def main() -> None:
    """Restyle the images that the command line names."""
    parser = make_parser(__doc__, EPILOG)
    add_images(parser)
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR', help='folder for the copies'
    )
    for setting in fields(NewLook):
        default = setting.default
        parser.add_argument(
            f'--{setting.name}',
            default=default,
            metavar='X',
            type=int if setting.name == 'seed' else float,
            nargs=3 if setting.name == 'cast' else None,
            help=f'{HELP[setting.name]} (default: %(default)s)',
        )
    add_workers(parser, 'threads', 'copies')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace the copies of another look or folder',
    )
    args = parser.parse_args()
    look = NewLook(
        args.blur,
        args.saturation,
        args.contrast,
        args.brightness,
        tuple(args.cast),
        args.noise,
        args.seed,
    )
    restyle(args.images, args.out, look, args.workers, args.strict, args.overwrite)


if __name__ == '__main__':
    finish(main, CONTINUES)
