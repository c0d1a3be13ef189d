"""Measure time and memory, compared with a stock Faster R-CNN."""

import fnmatch
import json
from pathlib import Path

from _launch import add_package, make_parser, run

EPILOG = """
No data and no weights are needed: images and weights are random. FILE gets the
measurements section by section. A section that is there is not measured again,
so the same command continues after an interruption. On a CPU it measures one
core.

examples:
  python tools/bench.py --list
  python tools/bench.py --only 'steps/mini/*' 'loading/*'
"""


def main() -> None:
    """Measure the sections that the command line names."""
    parser = make_parser(__doc__, EPILOG)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/bench/bench.json'),
        metavar='FILE',
        help='JSON file of the measurements (default: %(default)s)',
    )
    parser.add_argument(
        '--only',
        nargs='+',
        default=['*'],
        metavar='PATTERN',
        help='sections to measure (default: all)',
    )
    parser.add_argument(
        '--page',
        type=Path,
        metavar='FILE',
        help='Markdown page whose tables are replaced',
    )
    parser.add_argument(
        '--list', action='store_true', help='list the sections and stop'
    )
    args = parser.parse_args()
    add_package()

    import torch
    from benchmark.sections import sections
    from benchmark.tables import make_tables
    from mmengine.logging import MMLogger

    from mmdet_ifan.analysis.page_tables import put_tables

    plan = {
        name: measure
        for name, measure in sections().items()
        if any(fnmatch.fnmatch(name, pattern) for pattern in args.only)
    }
    if not plan:
        raise ValueError(
            f'no section is called {" or ".join(args.only)}: --list lists them.'
        )
    if args.list:
        print('\n'.join(plan))
        return
    # A line for each parameter that is initialised.
    MMLogger.get_instance('mmengine', log_level='WARNING')
    torch.set_num_threads(1)

    bench = json.loads(args.out.read_text()) if args.out.is_file() else {}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for name, measure in plan.items():
        if name not in bench:
            print(f'{name} ...', flush=True)
            bench[name] = measure()
            args.out.write_text(json.dumps(bench, indent=1) + '\n')
    tables = make_tables(bench)
    print('\n'.join(tables.values()))
    if args.page is not None:
        put_tables(tables, args.page)
    print(f'The measurements are in {args.out}.')


if __name__ == '__main__':
    run(main, 'the same command continues')
