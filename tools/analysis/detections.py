"""Draw true and detected boxes of target images (paper, Figure 2)."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from _launch import add_named_checkpoints, add_package, existing, make_parser, run  # noqa: E402

EPILOG = """
The columns are the true boxes and those of each detector. The rows are the
images in which most objects are found by one detector and not by another.
--evenly takes images at even distances instead: a sample, not a selection.

example:
  python tools/analysis/detections.py configs/ifan/ifan_mini-city.py \\
      source-only=work_dirs/demo/source-only_mini-city/iter_1000.pth \\
      iFAN=work_dirs/demo/ifan_mini-city/iter_1000.pth --out detections.png
"""


def main() -> None:
    """Draw the detections of the detectors that the command line names."""
    parser = make_parser(__doc__, EPILOG)
    parser.add_argument(
        'config', type=existing('config'), help='config of all detectors'
    )
    add_named_checkpoints(parser)
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help='PNG to write'
    )
    parser.add_argument(
        '-n',
        type=int,
        default=4,
        metavar='N',
        help='number of images (default: %(default)s)',
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.5,
        metavar='S',
        help='lowest score of a drawn box (default: %(default)s)',
    )
    parser.add_argument(
        '--evenly', action='store_true', help='draw images at even distances'
    )
    args = parser.parse_args()
    checkpoints = {name: Path(path) for name, path in args.checkpoints}
    add_package()

    from mmdet_ifan.analysis.detection_figure import draw_comparison

    draw_comparison(
        dict.fromkeys(checkpoints, args.config),
        checkpoints,
        args.out,
        args.n,
        args.score_thr,
        not args.evenly,
    )
    print(f'The picture is {args.out}.')


if __name__ == '__main__':
    run(main)
