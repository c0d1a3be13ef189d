"""Compare several configs on several seeds.

OUT/metrics.json keeps the metrics of every finished run. A run that is in it
is not trained again: the same command resumes a study, also with more configs
or more seeds. A run that fails does not stop the others. The table (Markdown
and JSON) and the plot show the configs and seeds of the command line.

Gain and gap recovered need a config whose name starts with source-only and one
whose name starts with oracle.
"""

import sys
from pathlib import Path

from _launch import add_package, existing, make_parser, run


def main() -> None:
    """Run the study."""
    parser = make_parser(__doc__)
    parser.add_argument(
        'configs',
        nargs='+',
        type=existing('config'),
        help='configs of one pair, in the order of the table',
    )
    parser.add_argument(
        '--seeds', nargs='+', type=int, default=[0], help='seeds (default: 0)'
    )
    parser.add_argument('--out', type=Path, required=True, help='folder of the metrics')
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='folder of logs and checkpoints (default: work_dirs/OUT_NAME)',
    )
    parser.add_argument(
        '--jobs',
        type=int,
        help='number of runs at a time (default: as many as the GPUs or, '
        'without a GPU, the cores are enough for)',
    )
    parser.add_argument(
        '--processes',
        type=int,
        default=1,
        help='processes of a run, which share its batch; each takes a GPU or, '
        'without a GPU, a core (default: 1)',
    )
    parser.add_argument(
        '--no-train', action='store_true', help='train nothing; show the finished runs'
    )
    parser.add_argument(
        '--rank-by',
        metavar='SCORE',
        help='also rank the configs by a score that reads no target label, such '
        'as pdr_free (docs/guide/selection.md)',
    )
    parser.add_argument(
        '--rank-images',
        type=int,
        default=200,
        metavar='N',
        help='images of each domain for --rank-by (default: %(default)s)',
    )
    args = parser.parse_args()
    args.configs = list(map(Path, args.configs))
    names = [path.stem for path in args.configs]
    if len(set(names)) < len(names):
        parser.error(
            'two configs have the same name, which names their rows: rename one.'
        )
    for option in ('jobs', 'processes', 'rank_images'):
        value = getattr(args, option)
        if value is not None and value < 1:
            parser.error(
                f'--{option.replace("_", "-")} must be at least 1, but is {value}.'
            )
    add_package()

    from mmdet_ifan.analysis.selection import Settings
    from mmdet_ifan.analysis.selection_page import SCORES
    from mmdet_ifan.runs.study import Study
    from mmdet_ifan.runs.study_ranking import rank_settings
    from mmdet_ifan.runs.training_run import visible_gpus

    if args.rank_by and args.rank_by not in SCORES:
        parser.error(f'--rank-by {args.rank_by} is none of {", ".join(SCORES)}.')
    gpus = len(visible_gpus())
    if 0 < gpus < args.processes:
        raise ValueError(
            f'--processes {args.processes} needs a GPU for each '
            f'process, but there are {gpus}: lower it.'
        )
    study = Study(args.configs, args.seeds, args.out, args.work_dir)
    failures = [] if args.no_train else study.train(args.jobs, args.processes)
    table = study.write_table()
    if table is not None:
        print(f'\n{table}\nResults: {args.out}/table.md, table.json, study.png')
    elif args.no_train and not args.rank_by:
        raise ValueError(
            f'{study.file} has no metrics of these configs and '
            'seeds: leave out --no-train to train them.'
        )
    if args.rank_by and not failures:
        ranking = rank_settings(
            study.last_checkpoints(),
            args.configs[0],
            args.out,
            args.rank_by,
            Settings(images=args.rank_images),
            'cuda' if gpus else 'cpu',
        )
        print(f'\n{ranking}\nResults: {args.out}/ranking.md and selection/')
    if failures:
        sys.exit('\n\n'.join(failures))


if __name__ == '__main__':
    run(main, 'the same command resumes the study')
