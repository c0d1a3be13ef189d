"""Draw the curves of several runs on one axis, with their launches."""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from _launch import add_package, make_parser, run  # noqa: E402

EPILOG = """
By default it draws the detection loss, the loss of all launched alignments
and the mean accuracy of the domain classifiers (the detector aims at 50 %).
--keys draws single scalars as they are in the log. The values go into a JSON
file next to the picture: curves.json for curves.png.

example:
  python tools/analysis/curves.py work_dirs/demo/*_mini-city --out curves.png
"""


def main() -> None:
    """Draw the curves of the runs that the command line names."""
    parser = make_parser(__doc__, EPILOG)
    parser.add_argument('runs', nargs='+', type=Path, help='work folders')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help='PNG to write'
    )
    parser.add_argument(
        '--keys', nargs='+', help='scalars, such as image/accuracy_phi1'
    )
    args = parser.parse_args()
    add_package()

    from mmdet_ifan.analysis.curves import plot_curves, read_scalars

    names = [folder.name for folder in args.runs]
    runs = {}
    for folder in args.runs:
        # Two runs of one name are told apart by their paths.
        name = folder.name if names.count(folder.name) == 1 else str(folder)
        runs[name] = read_scalars(folder)
        if not runs[name]:
            raise FileNotFoundError(
                f'{folder} is no work folder of a run: it '
                'has no */vis_data/scalars.json.'
            )
    data = plot_curves(runs, args.out, args.keys)
    values = args.out.with_suffix('.json')
    values.write_text(json.dumps(data, indent=1) + '\n')
    print(f'The curves are in {args.out}, their values in {values}.')


if __name__ == '__main__':
    run(main)
