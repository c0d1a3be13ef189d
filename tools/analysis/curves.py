"""Draw the curves of several trainings on one axis, launches marked."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _launch import add_package  # noqa: E402

EPILOG = """
By default it draws the detection loss, the loss of all launched alignments
and the mean accuracy of the domain classifiers (50 % is what the detector
wants). --keys draws single scalars as they are in the log. The values are
written beside the picture, as FILE.json.

example:
  python tools/analysis/curves.py work_dirs/demo/*_mini-city --out curves.png
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'runs', nargs='+', type=Path, help='work folders of trainings')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help='PNG to write')
    parser.add_argument(
        '--keys', nargs='+', help='such as image/accuracy_phi1')
    return parser.parse_args()


def main() -> int:
    """Draw the curves; returns the exit code."""
    args = parse_args()
    add_package()

    from mmdet_ifan.analysis.curves import plot_curves, read_scalars
    names = [folder.name for folder in args.runs]
    runs = {}
    for folder in args.runs:
        # Two of one name are told apart by their paths.
        name = folder.name if names.count(folder.name) == 1 else str(folder)
        runs[name] = read_scalars(folder)
        if not runs[name]:
            print(f'error: {folder} is no work folder of a training: it has '
                  'no */vis_data/scalars.json.', file=sys.stderr)
            return 2
    try:
        data = plot_curves(runs, args.out, args.keys)
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    values = args.out.with_suffix('.json')
    values.write_text(json.dumps(data, indent=1) + '\n')
    print(f'The curves are in {args.out}, their values in {values}.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
