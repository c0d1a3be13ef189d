"""Compare several configs on several seeds.

OUT/metrics.json keeps the metrics of every finished run. A run that is in it
is not trained again, so a study resumes where it stopped, be it with more
configs or more seeds. A run that fails does not stop the others. The table
(Markdown and JSON) and the plot show the configs and seeds that are asked for.

Gain and gap recovered need a config whose name starts with source-only and one
whose name starts with oracle.
"""
import argparse
import sys
from pathlib import Path

from _launch import add_package


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'configs', nargs='+', type=Path, help='configs of one pair, in the '
        'order of the table')
    parser.add_argument(
        '--seeds', nargs='+', type=int, default=[0], help='seeds (default: 0)')
    parser.add_argument(
        '--out', type=Path, required=True, help='folder of the metrics')
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='folder of logs and checkpoints (default: work_dirs/OUT_NAME)')
    parser.add_argument(
        '--jobs',
        type=int,
        help='runs at a time (default: as many as there are GPUs or, without '
        'any, cores for)')
    parser.add_argument(
        '--processes',
        type=int,
        default=1,
        help='processes of a run, each with a GPU or, without any, a core, '
        'which share out the batch (default: 1)')
    parser.add_argument(
        '--no-train',
        action='store_true',
        help='show the runs that are finished, and train nothing')
    args = parser.parse_args()
    for path in args.configs:
        if not path.is_file():
            parser.error(f'there is no config {path}; check the path.')
    names = [path.stem for path in args.configs]
    if len(set(names)) < len(names):
        parser.error('two configs have the same name, which is that of their '
                     'rows: rename one.')
    for option in ('jobs', 'processes'):
        value = getattr(args, option)
        if value is not None and value < 1:
            parser.error(f'--{option} must be at least 1, but got {value}.')
    return args


def main() -> None:
    """Run the study."""
    args = parse_args()
    add_package()

    from mmdet_ifan.runs.study import Study
    from mmdet_ifan.runs.training_run import visible_gpus
    from mmdet_ifan.utils.errors import DataError
    gpus = len(visible_gpus())
    if 0 < gpus < args.processes:
        sys.exit(f'error: --processes {args.processes} needs a GPU for each, '
                 f'but there are {gpus}: give at most as many.')
    try:
        study = Study(args.configs, args.seeds, args.out, args.work_dir)
        failures = ([] if args.no_train else
                    study.train(args.jobs, args.processes))
    except DataError as error:
        sys.exit(f'error: {error}')
    table = study.write_table()
    if table is not None:
        print(f'\n{table}\nResults: {args.out}/table.md, table.json, '
              'study.png')
    elif args.no_train:
        sys.exit(f'error: {study.file} has no metrics of these configs and '
                 'seeds: leave out --no-train, which makes them.')
    if failures:
        sys.exit('\n\n'.join(failures))


if __name__ == '__main__':
    main()
