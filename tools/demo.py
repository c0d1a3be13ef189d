"""Train iFAN on Mini City and compare it with source-only and oracle.

It renders the data and trains, from ImageNet and for as many iterations each,
source-only, iFAN and oracle. An interrupted demo resumes where it stopped.
"""

import time
from pathlib import Path

from _launch import add_package, make_parser, run


def main() -> None:
    """Run the demo."""
    parser = make_parser(__doc__)
    parser.add_argument('--seed', type=int, default=0, help='seed of the runs')
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='folder of the results (default: work_dirs/demo, for another '
        'seed work_dirs/demo_seed-N)',
    )
    args = parser.parse_args()
    add_package()

    from mmdet_ifan.runs.demo import run_demo

    default = 'demo' if args.seed == 0 else f'demo_seed-{args.seed}'
    folder = args.work_dir or Path('work_dirs') / default
    start = time.time()
    tables = run_demo(folder, args.seed)
    print(
        f'\n{tables}\nThe demo took {(time.time() - start) / 60:.0f} minutes.'
        f' All results in one page: {folder}/report.html'
    )


if __name__ == '__main__':
    run(main, 'the same command resumes the demo')
