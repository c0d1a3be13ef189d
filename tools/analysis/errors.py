"""Show what adaptation fixed and broke, per class, on both domains."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _launch import add_cfg_options, read_config, require_file  # noqa: E402

EPILOG = """
Each object of the test images is found, mislocalised (a detection of its class
overlaps it, but too little), confused (one of another class overlaps it) or
missed; a detection that is about no object is false. DIR gets errors.md,
errors.json and errors.png.

example:
  python tools/analysis/errors.py configs/ifan_mini-city.py \\
      work_dirs/demo/source-only_mini-city/iter_1000.pth \\
      work_dirs/demo/ifan_mini-city/iter_1000.pth --out work_dirs/errors
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of both detectors')
    parser.add_argument('before', help='checkpoint, such as source-only')
    parser.add_argument('after', help='checkpoint of the method')
    parser.add_argument(
        '--names',
        nargs=2,
        default=['source-only', 'iFAN'],
        help='what to call them (default: %(default)s)')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        metavar='S',
        help='lowest score that counts (default: %(default)s)')
    parser.add_argument('--device', default='cpu')
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> int:
    """Compare the two detectors; returns the exit code."""
    args = parse_args()
    for checkpoint in (args.before, args.after):
        require_file('checkpoint', checkpoint)
    cfg = read_config(args.config, args.cfg_options)

    from mmdet_ifan.analysis.comparison import to_markdown
    from mmdet_ifan.analysis.detections import detect, read_truth
    from mmdet_ifan.analysis.errors import (
        compare_errors,
        errors_table,
        plot_errors,
    )
    from mmdet_ifan.utils.errors import DataError
    domains = {}
    for domain in ('source', 'target'):
        truths, classes = read_truth(cfg, domain)
        paths = [truth.path for truth in truths]
        try:
            before, after = (
                detect(cfg, checkpoint, paths, args.score_thr, args.device)
                for checkpoint in (args.before, args.after))
        except DataError as error:
            print(f'error: {error}', file=sys.stderr)
            return 2
        domains[domain] = compare_errors(truths, before, after, classes)
    text = '\n'.join(
        f'## {domain}: {" → ".join(args.names)}\n\n'
        f'{to_markdown(errors_table(counts))}'
        for domain, counts in domains.items())
    plot_errors(domains, tuple(args.names), args.out / 'errors.png')
    (args.out / 'errors.md').write_text(text)
    (args.out / 'errors.json').write_text(
        json.dumps(dict(names=args.names, **domains), indent=1) + '\n')
    print(f'\n{text}\nResults: {args.out}/errors.md, errors.json, errors.png')
    return 0


if __name__ == '__main__':
    sys.exit(main())
