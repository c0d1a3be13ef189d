"""Draw target images with true and detected boxes (paper, Figure 2)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _launch import (  # noqa: E402
    add_named_checkpoints,
    add_package,
    require_file,
)

EPILOG = """
A column for the truth and one for each detector; the rows are the images where
most objects are found by one detector and not by another. --evenly takes
images at even distances instead: a sample, not a selection.

example:
  python tools/analysis/detections.py configs/ifan_mini-city.py \\
      source-only=work_dirs/demo/source-only_mini-city/iter_1000.pth \\
      iFAN=work_dirs/demo/ifan_mini-city/iter_1000.pth --out detections.png
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of all the detectors')
    add_named_checkpoints(parser)
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help='PNG to write')
    parser.add_argument(
        '-n',
        type=int,
        default=4,
        metavar='N',
        help='images (default: %(default)s)')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.5,
        metavar='S',
        help='lowest score that is drawn (default: %(default)s)')
    parser.add_argument(
        '--evenly', action='store_true', help='a sample, not a selection')
    return parser.parse_args()


def main() -> int:
    """Draw the detections; returns the exit code."""
    args = parse_args()
    require_file('config', args.config)
    checkpoints = {name: Path(path) for name, path in args.checkpoints}
    add_package()

    import mmdet_ifan  # noqa: F401  # Makes the names of its configs known.
    from mmdet_ifan.analysis.detection_figure import draw_comparison
    from mmdet_ifan.utils.errors import DataError
    try:
        draw_comparison(
            dict.fromkeys(checkpoints, args.config), checkpoints, args.out,
            args.n, args.score_thr, not args.evenly)
    except DataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'The picture is {args.out}.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
