"""Compare the scores of selection.py with the target's AP, where it is known."""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from _launch import add_package, existing, make_parser, run  # noqa: E402

EPILOG = """
Each selection.json is a pool. The metrics are a study's metrics.json, with the
seed of each pool, or a JSON file with {NAME: {"target/mAP50": …}}. The table
has each pool's value and, of several, the mean: rank correlations, the share of
pairs more than two points of AP apart that are ordered rightly, and the regret,
the best AP of the pool minus that of the choice.

example:
  python tools/analysis/selection_study.py seed-2/selection.json \\
      seed-3/selection.json --metrics docs/data/study_mini-city/metrics.json \\
      --seeds 2 3
"""


def main() -> None:
    """Measure the scores of the pools that the command line names."""
    parser = make_parser(__doc__, EPILOG)
    parser.add_argument('pools', nargs='+', type=existing('selection.json'))
    parser.add_argument('--metrics', required=True, type=existing('file of metrics'))
    parser.add_argument('--seeds', nargs='+', type=int, help='seed of each pool')
    parser.add_argument(
        '--out',
        type=Path,
        metavar='FILE',
        help="JSON to write: each pool's scores beside the target's mAP50",
    )
    args = parser.parse_args()
    seeds = args.seeds or [None] * len(args.pools)
    if len(seeds) != len(args.pools):
        parser.error('--seeds needs a seed for each pool.')
    add_package()

    from mmdet_ifan.analysis.comparison import to_markdown
    from mmdet_ifan.analysis.selection import from_plain
    from mmdet_ifan.analysis.selection_study import join, study_pool, study_table

    metrics = json.loads(Path(args.metrics).read_text())
    pools = []
    for path, seed in zip(args.pools, seeds, strict=True):
        content = json.loads(Path(path).read_text())
        if 'candidates' not in content:
            raise ValueError(f'{path} has no candidates: give a selection.json.')
        pools.append(join(content['candidates'], metrics, seed))
    print(to_markdown(study_table([study_pool(from_plain(pool)) for pool in pools])))
    if args.out:
        args.out.write_text(json.dumps(pools, indent=1) + '\n')


if __name__ == '__main__':
    run(main)
