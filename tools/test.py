"""Test a trained detector.

Run it as ``python tools/test.py CONFIG CHECKPOINT`` in a checkout, or as
``mim test mmdet_ifan CONFIG --checkpoint CHECKPOINT`` anywhere.
"""

from __future__ import annotations

import argparse
import sys

from _launch import add_common_options, load_config, require_file


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Test a trained detector.')
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', help='path of the checkpoint')
    parser.add_argument(
        '--out', metavar='FILE', help='write the metrics to this .json file')
    parser.add_argument(
        '--show-dir',
        metavar='FOLDER',
        help='draw the detections into this folder; a relative path lies in '
        'the work folder')
    add_common_options(parser)
    args = parser.parse_args()
    if args.out is not None and not args.out.endswith('.json'):
        parser.error(f'--out wants a .json file, but got {args.out!r}.')
    return args


def main() -> int:
    """Test the detector; returns the exit code."""
    args = parse_args()
    require_file('checkpoint', args.checkpoint)
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    if args.show_dir is not None:
        cfg.default_hooks.visualization = dict(
            type='DetVisualizationHook', draw=True, test_out_dir=args.show_dir)

    from mmengine.dist import is_main_process
    from mmengine.fileio import dump

    from mmdet_ifan.engine import checked_runner
    from mmdet_ifan.engine.robustness.interruptions import (
        end_workers_with_this_process,
    )
    from mmdet_ifan.engine.robustness.safe_loading import UnsafeCheckpointError
    from mmdet_ifan.utils.errors import DataError
    end_workers_with_this_process()
    try:
        metrics = checked_runner(cfg).test()
    except (DataError, UnsafeCheckpointError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    if args.out is not None and is_main_process():
        dump(metrics, args.out, indent=2)
    return 0


if __name__ == '__main__':
    sys.exit(main())
