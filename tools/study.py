"""Train several configs on several seeds and lay them side by side.

Each finished run leaves a small file of figures in OUT/runs; what has one is
not trained again, so a study goes on where it stopped, be it with more configs
or more seeds. A run that fails does not stop the others. The table (Markdown
and JSON) and the plot show the configs and seeds that are asked for.

Gain and gap recovered need a config whose name starts with source-only and one
whose name starts with oracle.
"""
import argparse
import hashlib
import json
import sys
from pathlib import Path

from _trainings import Training, progress_bar, train, visible_gpus
from mmengine.config import Config

from mmdet_ifan.evaluation import plot_study, study_table, to_markdown


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
        '--out', type=Path, required=True, help='folder of the figures')
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='folder of logs and checkpoints (default: work_dirs/OUT_NAME)')
    parser.add_argument(
        '--warm-start',
        type=Path,
        metavar='CONFIG',
        help='train this first, once a seed, and start every config from it')
    parser.add_argument(
        '--jobs',
        type=int,
        help='trainings at a time (default: as many as there are GPUs or, '
        'without any, cores for)')
    parser.add_argument(
        '--processes',
        type=int,
        default=1,
        help='processes of a training, each with a GPU or, without any, a '
        'core, which share out the batch (default: 1)')
    parser.add_argument(
        '--no-train',
        action='store_true',
        help='lay out the runs that are finished, and train nothing')
    args = parser.parse_args()
    for path in [*args.configs, args.warm_start]:
        if path is not None and not path.is_file():
            parser.error(f'there is no config {path}; check the path.')
    names = [path.stem for path in args.configs]
    if len(set(names)) < len(names):
        parser.error('two configs have the same name, which is that of their '
                     'rows: rename one.')
    for option in ('jobs', 'processes'):
        value = getattr(args, option)
        if value is not None and value < 1:
            parser.error(f'--{option} must be at least 1, but got {value}.')
    gpus = len(visible_gpus())
    if 0 < gpus < args.processes:
        parser.error(f'--processes {args.processes} needs a GPU for each, but '
                     f'there are {gpus}: give at most as many.')
    return args


#: Settings that show, watch or keep a training, but do not change it.
NO_INFLUENCE = ('default_hooks', 'log_level', 'log_processor', 'vis_backends',
                'visualizer')


def fingerprint(*configs: Path | None) -> str:
    """Hash the settings in some configs that make a difference."""
    settings = []
    for path in configs:
        if path is None:
            continue
        cfg = Config.fromfile(path).to_dict()
        launch = cfg.get('default_hooks', {}).get('late_launch')
        if launch:
            # Of all default hooks this one makes a difference. It stands
            # where figures made so far had it.
            cfg['custom_hooks'] = [launch, *cfg.get('custom_hooks', [])]
        settings.append({
            key: value for key, value in cfg.items()
            if key not in NO_INFLUENCE
            and (key != 'auto_scale_lr' or value.get('enable'))
        })
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def figures_file(out: Path, config: Path, seed: int) -> Path:
    """Give the path of a run's figures."""
    return out / 'runs' / f'{config.stem}_seed-{seed}.json'


def check_figures(args: argparse.Namespace, hashes: dict[Path, str]) -> None:
    """Refuse figures that another version of a config has made."""
    for config in args.configs:
        for seed in args.seeds:
            path = figures_file(args.out, config, seed)
            if path.exists() and json.loads(
                    path.read_text())['config'] != hashes[config]:
                sys.exit(f'error: {path} was made with other settings of '
                         f'{config.name} or its warm start: give another '
                         '--out, or remove it to train again.')


def write_figures(path: Path, config_hash: str, training: Training) -> None:
    """Write a finished run's figures.

    Args:
        path (Path): File.
        config_hash (str): Hash of its settings.
        training (Training): The run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(
            dict(
                config=config_hash, **training.cost(), **training.figures()),
            indent=1) + '\n')


def train_missing(args: argparse.Namespace,
                  hashes: dict[Path, str]) -> list[str]:
    """Train what has no figures yet and write them; tell what failed."""
    work_dir = args.work_dir or Path('work_dirs') / args.out.name

    def training(config: Path, seed: int, config_hash: str,
                 load_from: Path | None = None) -> Training:
        # What other settings have left is never taken for this run's.
        name = f'{config.stem}_{config_hash}_seed-{seed}'
        return Training(config, work_dir / name, seed, load_from)

    missing = [(config, seed) for config in args.configs
               for seed in args.seeds
               if not figures_file(args.out, config, seed).exists()]
    warm_hash = fingerprint(args.warm_start)
    warm = {
        seed: training(args.warm_start, seed, warm_hash)
        for _, seed in missing
    } if args.warm_start else {}
    runs = {(config, seed): training(
        config, seed, hashes[config], warm[seed].checkpoint if warm else None)
            for config, seed in missing}
    for run in [*warm.values(), *runs.values()]:
        if run.batch_size % args.processes:
            sys.exit(f'error: --processes {args.processes} cannot share out '
                     f'the batches of {run.path}, which are of '
                     f'{run.batch_size}: give a number that divides it.')
    keys = {run.folder: key for key, run in runs.items()}

    def keep(run: Training) -> None:
        config, seed = keys[run.folder]
        if run.metrics() is not None:
            write_figures(
                figures_file(args.out, config, seed), hashes[config], run)

    for run in runs.values():
        # Finished in an earlier study, but not written down.
        keep(run)
    with progress_bar([*warm.values(), *runs.values()]) as bar:
        bar.set_description('warm starts')
        train(list(warm.values()), bar, args.jobs, args.processes)
        failed = {
            seed: failure
            for seed, start in warm.items() if (failure := start.failure())
        }
        runs = {key: run for key, run in runs.items() if key[1] not in failed}
        bar.set_description('trainings')
        train(list(runs.values()), bar, args.jobs, args.processes, keep)
    failures = [*failed.values(), *(run.failure() for run in runs.values())]
    return [failure for failure in failures if failure]


def main() -> None:
    """Run the study."""
    args = parse_args()
    test = Config.fromfile(args.configs[0]).test_dataloader.dataset
    classes = test.target.metainfo.classes
    hashes = {
        config: fingerprint(config, args.warm_start)
        for config in args.configs
    }
    check_figures(args, hashes)
    failures = [] if args.no_train else train_missing(args, hashes)
    runs = {
        config.stem: {
            seed: json.loads(path.read_text())
            for seed in args.seeds
            if (path := figures_file(args.out, config, seed)).exists()
        }
        for config in args.configs
    }
    if any(runs.values()):
        rows = study_table(runs, classes)
        table = to_markdown(rows)
        (args.out / 'table.md').write_text(table)
        (args.out / 'table.json').write_text(
            json.dumps([dict(zip(rows[0], row, strict=True))
                        for row in rows[1:]], indent=1) + '\n')
        plot_study(runs, args.out / 'study.png')
        print(f'\n{table}\nResults: {args.out}/table.md, table.json, '
              'study.png')
    elif args.no_train:
        sys.exit(f'error: {args.out}/runs has no figures of these configs and '
                 'seeds: leave out --no-train, which makes them.')
    if failures:
        sys.exit('\n\n'.join(failures))


if __name__ == '__main__':
    main()
