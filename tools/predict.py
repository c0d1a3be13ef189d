"""Detect objects in images, folders and videos with a trained detector."""

import sys
from pathlib import Path

from _launch import add_package, device, existing, make_parser, require_new, run

EPILOG = """
DIR gets predictions.json, a COCO file whose annotations have a score, and, in
the folder drawn, a picture of every image or frame.

WEIGHTS is a checkpoint of a run or of tools/export.py. It holds its config,
which --config overrides. Weights and config of the checkpoint are read as
data; what would run code is refused. A config given with --config is a
program, and is run.

examples:
  python tools/predict.py street/ --out found \\
      --weights work_dirs/ifan_mini-city/iter_1000.pth
  python tools/predict.py 'a/*.png' ride.mp4 --out found \\
      --weights detector/weights.pth
"""


def main() -> int:
    """Detect; returns the exit code, 1 if an input could not be read."""
    parser = make_parser(__doc__, EPILOG)
    parser.add_argument('inputs', nargs='+', help='images, folders, patterns or videos')
    parser.add_argument(
        '--weights', required=True, type=existing('checkpoint'), help='checkpoint'
    )
    parser.add_argument(
        '--config',
        type=existing('config'),
        help="config (default: the checkpoint's own)",
    )
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR', help='new folder'
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        metavar='S',
        help='lowest score that counts (default: %(default)s)',
    )
    parser.add_argument(
        '--device',
        type=device,
        help='such as cpu or cuda:0 (default: a GPU if there is one)',
    )
    parser.add_argument(
        '--no-draw', action='store_true', help='write only predictions.json'
    )
    args = parser.parse_args()
    require_new(parser, args.out)
    if not 0 <= args.score_thr <= 1:
        parser.error(f'--score-thr must be in [0, 1], but is {args.score_thr}.')
    add_package()

    from mmdet_ifan.deployment import load_detector, predict

    detector = load_detector(args.weights, args.config, args.device)
    unreadable = predict(
        detector, args.inputs, args.out, args.score_thr, not args.no_draw
    )
    print(f'The detections are in {args.out}.')
    for name in unreadable:
        print(f'{name} cannot be read: left out.', file=sys.stderr)
    return 1 if unreadable else 0


if __name__ == '__main__':
    run(main)
