"""Draw the pairs of a training run: source with boxes, target without."""

from itertools import islice
from pathlib import Path

from _launch import add_config, make_parser, read_config, run

EPILOG = """
The pictures show the images after the pipeline, in the order of the run. If
the data loader has workers, the random draws are those of the run, too. The
pictures are written to files; a window opens only with --show.

example:
  python tools/browse_pairs.py configs/ifan/ifan_mini-city.py \\
      --out work_dirs/pairs
"""


def main() -> None:
    """Draw the pairs of the config that the command line names."""
    parser = make_parser(__doc__, EPILOG)
    add_config(parser)
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR', help='folder for the pictures'
    )
    parser.add_argument(
        '-n',
        type=int,
        default=8,
        metavar='N',
        help='number of pairs (default: %(default)s)',
    )
    parser.add_argument(
        '--seed', type=int, help="seed of the run (default: the config's)"
    )
    parser.add_argument(
        '--show', action='store_true', help='show each picture in a window'
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='write into a folder that holds pictures',
    )
    args = parser.parse_args()
    if args.n < 1:
        parser.error(f'-n must be at least 1, but is {args.n}.')
    if not args.overwrite and next(args.out.glob('*.png'), None):
        parser.error(
            f'{args.out} holds pictures: choose another --out, or '
            'replace them with --overwrite.'
        )
    cfg = read_config(args.config, args.cfg_options)
    if args.seed is not None:
        cfg.merge_from_dict({'randomness.seed': args.seed})

    import cv2
    from mmengine.visualization import Visualizer
    from tqdm import tqdm

    from mmdet_ifan.analysis.pair_pictures import draw_pairs
    from mmdet_ifan.utils.files import write_atomically

    pairs = tqdm(islice(draw_pairs(cfg), args.n), 'draw', args.n, unit='pair')
    for i, (name, picture) in enumerate(pairs):
        png = cv2.imencode('.png', picture[..., ::-1])[1].tobytes()
        write_atomically(args.out / f'{i:04}_{name}.png', png)
        if args.show:
            Visualizer().show(picture, win_name=name)
    print(f'The pictures are in {args.out}.')


if __name__ == '__main__':
    run(main)
