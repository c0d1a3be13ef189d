"""Count what adaptation fixed and broke, per class, on both domains."""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from _launch import add_config, device, existing, make_parser, read_config, run  # noqa: E402

EPILOG = """
Each object of the test images is found, mislocalised (a detection of its class
overlaps it, but too little), confused (a detection of another class overlaps
it) or missed. A detection of no object is false. A second table has the found
objects by height, a quarter of all in each row. DIR gets errors.md,
errors.json and errors.png.

example:
  python tools/analysis/errors.py configs/ifan/ifan_mini-city.py \\
      work_dirs/demo/source-only_mini-city/iter_1000.pth \\
      work_dirs/demo/ifan_mini-city/iter_1000.pth --out work_dirs/errors
"""


def main() -> None:
    """Compare the two detectors that the command line names."""
    parser = make_parser(__doc__, EPILOG)
    add_config(parser, 'config of both detectors')
    checkpoint = existing('checkpoint')
    parser.add_argument(
        'before', type=checkpoint, help='checkpoint, such as source-only'
    )
    parser.add_argument('after', type=checkpoint, help='checkpoint of the method')
    parser.add_argument(
        '--names',
        nargs=2,
        default=['source-only', 'iFAN'],
        help='names of the two detectors (default: %(default)s)',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='DIR')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        metavar='S',
        help='lowest score that counts (default: %(default)s)',
    )
    parser.add_argument('--device', default='cpu', type=device)
    args = parser.parse_args()
    cfg = read_config(args.config, args.cfg_options)

    from mmdet_ifan.analysis.comparison import to_markdown
    from mmdet_ifan.analysis.detections import detect, read_truth
    from mmdet_ifan.analysis.errors import (
        compare_errors,
        count_errors,
        errors_table,
        plot_errors,
        sizes_table,
    )

    domains, sizes = {}, {}
    for domain in ('source', 'target'):
        truths, classes = read_truth(cfg, domain)
        paths = [truth.path for truth in truths]
        before, after = (
            detect(cfg, checkpoint, paths, args.score_thr, args.device)
            for checkpoint in (args.before, args.after)
        )
        domains[domain] = compare_errors(truths, before, after, classes)
        found = dict(zip(args.names, (before, after), strict=True))
        sizes[domain] = sizes_table(count_errors(truths, found))
    text = '\n'.join(
        f'## {domain}: {" → ".join(args.names)}\n\n{to_markdown(errors_table(counts))}'
        f'\n{to_markdown(sizes[domain])}'
        for domain, counts in domains.items()
    )
    plot_errors(domains, tuple(args.names), args.out / 'errors.png')
    (args.out / 'errors.md').write_text(text)
    (args.out / 'errors.json').write_text(
        json.dumps(dict(names=args.names, **domains), indent=1) + '\n'
    )
    print(f'\n{text}\nResults: {args.out}/errors.md, errors.json, errors.png')


if __name__ == '__main__':
    run(main)
