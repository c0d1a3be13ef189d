"""Check within ten minutes that everything runs on this GPU as it should."""

import json
import time
from pathlib import Path

from _launch import add_package, make_parser, run

EPILOG = """
No data and no weights are needed. mmcv's operators, three steps of each method in
single and in mixed precision, a run that is stopped and resumed, and the time of
a step over stock Faster R-CNN are checked. FILE gets all of it, with the machine:
attach it to a report. Exit status 1 says that something failed.
"""


def main() -> None:
    """Run the checks and write what they found."""
    parser = make_parser(__doc__, EPILOG)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/gpu_check.json'),
        metavar='FILE',
        help='JSON file of the findings (default: %(default)s)',
    )
    parser.add_argument(
        '--cpu',
        action='store_true',
        help='check the CPU instead, with the small detector alone',
    )
    args = parser.parse_args()
    add_package()

    import torch
    from benchmark.acceptance import checks
    from benchmark.sections import machine
    from mmengine.logging import MMLogger

    if not args.cpu and not torch.cuda.is_available():
        raise ValueError(
            'torch sees no GPU: install a PyTorch with CUDA and mmcv built for it, '
            'or give --cpu.'
        )
    # A line for each parameter that is initialised.
    MMLogger.get_instance('mmengine', log_level='WARNING')
    found: dict = dict(machine=machine(), checks={})
    start = time.perf_counter()
    for name, check in checks(small=args.cpu).items():
        try:
            result = dict(ok=True, **check())
        except Exception as error:  # noqa: BLE001  # Whatever fails is the finding.
            result = dict(ok=False, error=f'{type(error).__name__}: {error}')
        found['checks'][name] = result
        print(f'{"ok" if result["ok"] else "FAILED":6}  {name}  {_in_words(result)}')
    found['minutes'] = (time.perf_counter() - start) / 60
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=1) + '\n')
    print(f'The findings are in {args.out}.')
    failed = [name for name, result in found['checks'].items() if not result['ok']]
    if failed:
        raise SystemExit(1)


def _in_words(result: dict) -> str:
    """Write the numbers of a finding in a line."""
    return ', '.join(
        f'{key} {value:.4g}' if isinstance(value, float) else f'{key} {value}'
        for key, value in result.items()
        if key != 'ok'
    )


if __name__ == '__main__':
    run(main)
