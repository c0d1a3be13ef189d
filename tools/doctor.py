"""Examine a config, its data and the environment before a run."""

from _launch import add_common_options, add_config, load_config, make_parser, run

EPILOG = """
The doctor builds the detector; checks launches, disk, weights and the files
of both domains; starts the run with its own settings, up to the first batch;
and computes every loss and gradient of that batch. It downloads nothing and
leaves no file behind. The exit code is 1 if something is wrong.

example:
  python tools/doctor.py configs/ifan/ifan_mini-city.py
"""


def main() -> int:
    """Examine what the command line names; returns the exit code."""
    parser = make_parser(__doc__, EPILOG)
    add_config(parser)
    add_common_options(parser)
    cfg = load_config(parser.parse_args())

    from mmdet_ifan.engine.checks.doctor import Doctor

    wrong = warnings = 0
    for finding in Doctor(cfg).examine():
        mark = {True: 'ok   ', False: 'WRONG', None: '-    '}[finding.ok]
        print(f'{mark} {finding.name}: {finding.text}', flush=True)
        for warning in finding.warnings:
            print(f'warn  {finding.name}: {warning}', flush=True)
        wrong += finding.ok is False
        warnings += len(finding.warnings)
    print(
        (f'{wrong} wrong' if wrong else 'Nothing is wrong')
        + (f', {warnings} warned of.' if warnings else '.')
    )
    return min(wrong, 1)


if __name__ == '__main__':
    run(main)
