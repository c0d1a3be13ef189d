"""Write a trained detector as a stock MMDetection Faster R-CNN."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _launch import add_cfg_options, read_config, require_file, require_new

EPILOG = """
DIR gets config.py and weights.pth, which load where mmdet_ifan is not
installed, and without one parameter of an alignment. For what mmdet lacks, DIR
also gets a file, and has to be on PYTHONPATH: plain_vgg.py for VGG, and
plain_timm.py for a trunk of timm, which has to be installed.
--onnx needs the packages onnx and, to run the file, onnxruntime.

example:
  python tools/export.py configs/ifan_mini-city.py \\
      work_dirs/ifan_mini-city/iter_2000.pth --out detector
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', help='path of the checkpoint')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR', help='new folder')
    parser.add_argument(
        '--onnx', nargs=2, type=int, metavar=('H', 'W'),
        help='also write detector.onnx, for images of this size in pixels')
    add_cfg_options(parser)
    args = parser.parse_args()
    require_new(parser, args.out)
    return args


def main() -> int:
    """Export the detector; returns the exit code."""
    args = parse_args()
    require_file('checkpoint', args.checkpoint)
    cfg = read_config(args.config, args.cfg_options)

    from mmdet_ifan.deployment import export
    try:
        export(cfg, args.checkpoint, args.out,
               tuple(args.onnx) if args.onnx else None)
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    files = ', '.join(sorted(path.name for path in args.out.iterdir()))
    print(f'The detector is in {args.out}: {files}.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
