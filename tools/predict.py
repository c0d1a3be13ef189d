"""Detect objects in images, folders and videos with a trained detector."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _launch import add_package, require_file, require_new

EPILOG = """
DIR gets predictions.json, a COCO file whose annotations have a score, and,
below drawn, a picture of every image or frame.

A checkpoint holds the config that made it; --config overrides it. It takes
checkpoints of trainings and exported ones (tools/export.py) alike. Weights
and config of the checkpoint are read as data, and what would run code is
refused; a config given with --config is a program and is run.

examples:
  python tools/predict.py street/ --out found \\
      --weights work_dirs/ifan_mini-city/iter_1000.pth
  python tools/predict.py 'a/*.png' ride.mp4 --out found \\
      --weights detector/weights.pth
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'inputs', nargs='+', help='images, folders, patterns or videos')
    parser.add_argument('--weights', required=True, help='checkpoint')
    parser.add_argument(
        '--config', help="config (default: the checkpoint's own)")
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR', help='new folder')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        metavar='S',
        help='lowest score that counts (default: %(default)s)')
    parser.add_argument(
        '--device', help='such as cpu or cuda:0 (default: a GPU if there is '
        'one)')
    parser.add_argument(
        '--no-draw', action='store_true', help='write predictions.json alone')
    args = parser.parse_args()
    require_new(parser, args.out)
    if not 0 <= args.score_thr <= 1:
        parser.error('--score-thr must lie between 0 and 1, but got '
                     f'{args.score_thr}.')
    return args


def main() -> int:
    """Detect; returns the exit code, 1 if something could not be read."""
    args = parse_args()
    require_file('checkpoint', args.weights)
    if args.config is not None:
        require_file('config', args.config)
    add_package()

    from mmdet_ifan.deployment import load_detector, predict
    from mmdet_ifan.engine.robustness.safe_loading import UnsafeCheckpointError
    from mmdet_ifan.utils.errors import DataError
    try:
        detector = load_detector(args.weights, args.config, args.device)
        unreadable = predict(detector, args.inputs, args.out, args.score_thr,
                             not args.no_draw)
    except (DataError, UnsafeCheckpointError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'The detections are in {args.out}.')
    for name in unreadable:
        print(f'{name} cannot be read: left out.', file=sys.stderr)
    return 1 if unreadable else 0


if __name__ == '__main__':
    sys.exit(main())
