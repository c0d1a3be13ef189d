"""Watch the memory and the open files of a long run, from outside.

Run it in a checkout, with the command to watch after two hyphens::

    python tests/soak.py --out docs/data/soak -- \\
        python tools/train.py configs/ifan/ifan_mini-sim2mini-city.py

It writes ``soak.json`` and ``soak.png`` and prints a table.
"""

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

#: What is watched, summed over the command and all processes it starts.
#: Memory is Linux's proportional set size: a page that processes share is
#: counted once.
UNITS = dict(memory='MiB', descriptors='open files', processes='processes')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, required=True, help='folder')
    parser.add_argument(
        '--interval', type=float, default=5.0, help='seconds between looks'
    )
    parser.add_argument('command', nargs='+', help='what to run')
    return parser.parse_args()


def look(process: psutil.Process) -> dict[str, float]:
    """Measure a process and its descendants.

    Args:
        process (psutil.Process): The one that was started.

    Returns:
        dict[str, float]: A value for each of ``UNITS``.
    """
    total = dict.fromkeys(UNITS, 0.0)
    for one in [process, *process.children(recursive=True)]:
        try:
            memory, files = one.memory_full_info().pss, one.num_fds()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # It has just ended.
        total['memory'] += memory / 2**20
        total['descriptors'] += files
        total['processes'] += 1
    return total


def watch(command: list[str], interval: float) -> Iterator[dict[str, float]]:
    """Run a command and look at it until it ends.

    Args:
        command (list[str]): Program and arguments.
        interval (float): Seconds between two looks.

    Yields:
        dict[str, float]: What ``look`` measures, and ``minutes`` since the
        start.

    Raises:
        subprocess.CalledProcessError: When the command has failed.
    """
    start = time.monotonic()
    with subprocess.Popen(command) as child:
        process = psutil.Process(child.pid)
        while child.poll() is None:
            seen = dict(minutes=(time.monotonic() - start) / 60)
            seen.update(look(process))
            yield {key: round(value, 2) for key, value in seen.items()}
            time.sleep(interval)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)


def print_quarters(looks: list[dict[str, float]]) -> None:
    """Print the median of each quarter of the run, where a leak shows."""
    print('| quarter |', ' | '.join(UNITS.values()), '|')
    print('| --- |', ' | '.join('---:' for _ in UNITS), '|')
    for quarter in range(4):
        part = looks[len(looks) * quarter // 4 : len(looks) * (quarter + 1) // 4]
        medians = (statistics.median(one[key] for one in part) for key in UNITS)
        print(
            f'| {quarter + 1} |', ' | '.join(f'{median:.0f}' for median in medians), '|'
        )


def plot(looks: list[dict[str, float]], path: Path) -> None:
    """Draw what was seen over time."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        len(UNITS), sharex=True, figsize=(8, 6), layout='constrained'
    )
    for axis, (key, unit) in zip(axes, UNITS.items(), strict=True):
        axis.plot([one['minutes'] for one in looks], [one[key] for one in looks])
        axis.set_ylabel(unit)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel('minutes')
    figure.savefig(path, dpi=100)


def main() -> None:
    """Watch the command that was given."""
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    looks: list[dict[str, float]] = []
    try:
        looks.extend(watch(args.command, args.interval))
    finally:
        (args.out / 'soak.json').write_text(
            json.dumps(dict(command=args.command, looks=looks), indent=1)
        )
    print_quarters(looks)
    plot(looks, args.out / 'soak.png')


if __name__ == '__main__':
    main()
