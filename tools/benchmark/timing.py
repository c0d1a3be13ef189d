"""Timing of variants that take turns in one process: A B A B."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch.utils import benchmark

#: Seconds of each round, by name.
Times = Mapping[str, Sequence[float]]


def seconds(work: Callable[[], object]) -> float:
    """Time some work.

    Args:
        work (Callable): The work.

    Returns:
        float: With CUDA, seconds until the device has finished. Without,
        seconds of CPU time of this process, which hardly depend on other
        programs but add up over threads: let torch use one thread.
    """
    timer = benchmark.timer if torch.cuda.is_available() else time.process_time
    start = timer()
    work()
    return timer() - start


def time_in_turn(
    variants: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """Time each variant once in every round.

    Args:
        variants (Mapping[str, Callable]): Work by name. There is no warm-up:
            the median of many rounds ignores the first.
        rounds (int): Number of rounds, at least 1.

    Returns:
        dict[str, list[float]]: Seconds of each round, by name.
    """
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, work in variants.items():
            times[name].append(seconds(work))
    return times


def ratios(times: Times, base: str) -> dict[str, dict[str, float]]:
    """Compute ratios to a base, round by round.

    Args:
        times (Times): Seconds of each round, by name.
        base (str): Name of the base.

    Returns:
        dict[str, dict[str, float]]: For each name the median ``seconds``, and
        ``median``, ``low`` and ``high`` quartile of the rounds' ratios.
    """
    result = {}
    for name, values in times.items():
        low, median, high = np.quantile(
            np.divide(values, times[base]), [0.25, 0.5, 0.75]
        ).tolist()
        result[name] = dict(
            seconds=statistics.median(values), median=median, low=low, high=high
        )
    return result
