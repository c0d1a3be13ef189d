"""Share what the commands that render a data set have in common."""

from pathlib import Path

from _options import add_workers, make_parser

from mmdet_ifan.mini_city import write_mini_city
from mmdet_ifan.mini_city.data_sets import RenderedSet


def render_set(
    kind: type[RenderedSet], out: str, description: str, epilog: str
) -> None:
    """Render what the command line says.

    Args:
        kind (type[RenderedSet]): What to render.
        out (str): Default folder.
        description (str): First line of the help text.
        epilog (str): Last part of the help text.
    """
    parser = make_parser(description, epilog)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path(out),
        metavar='DIR',
        help='data root to write (default: %(default)s)',
    )
    for name, text in (
        ('train', 'number of training scenes'),
        ('val', 'number of validation scenes'),
        ('height', 'image height in px'),
        ('width', 'image width in px; the focal length grows with it'),
        ('seed', 'equal seeds give equal files'),
    ):
        parser.add_argument(
            f'--{name}',
            type=int,
            metavar='N',
            default=getattr(kind, name),
            help=f'{text} (default: %(default)s)',
        )
    add_workers(parser, 'processes')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help=f'replace a {kind.NAME} of other settings',
    )
    args = parser.parse_args()
    rendered = kind(args.train, args.val, args.height, args.width, args.seed)
    write_mini_city(args.out, rendered, args.workers, args.overwrite)
