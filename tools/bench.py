"""Measure time and memory beside a stock Faster R-CNN's."""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from pathlib import Path

from _launch import add_package

EPILOG = """
No data and no weights are needed: images and weights are random. Figures go
into bench.json section by section, and a section that is there is not measured
again, so a run that was interrupted goes on. On a CPU one core is measured.

examples:
  python tools/bench.py --list
  python tools/bench.py --only 'steps/mini/*' 'loading/*'
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/bench/bench.json'),
        metavar='FILE',
        help='JSON file with the figures (default: %(default)s)')
    parser.add_argument(
        '--only', nargs='+', default=['*'], metavar='PATTERN',
        help='sections to measure (default: all)')
    parser.add_argument(
        '--page', type=Path, metavar='FILE',
        help='Markdown page whose tables to replace')
    parser.add_argument(
        '--list', action='store_true', help='name the sections and stop')
    return parser.parse_args()


def main() -> int:
    """Measure what the command line names; returns the exit code."""
    args = parse_args()
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
    if args.list or not plan:
        print('\n'.join(plan) or 'error: no section has such a name; see '
              '--list.')
        return 0 if plan else 2
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
    print(f'The figures are in {args.out}.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
