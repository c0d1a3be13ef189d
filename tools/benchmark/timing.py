"""Time what takes turns in one process: A B A B."""
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

#: Seconds of each round, by name.
Times = Mapping[str, Sequence[float]]


def seconds(work: Callable[[], object]) -> float:
    """Time some work.

    Args:
        work (Callable): What to do.

    Returns:
        float: With CUDA, seconds until the device is done; without, seconds
        of this process's own, which hardly depend on what else the machine
        does. They add up over threads: let torch have one.
    """
    if not torch.cuda.is_available():
        start = time.process_time()
        work()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def time_in_turn(variants: Mapping[str, Callable[[], object]],
                 rounds: int) -> dict[str, list[float]]:
    """Time each variant once in every round.

    Args:
        variants (Mapping[str, Callable]): Work by name. There is no warm-up:
            a median does not notice the first of many rounds.
        rounds (int): How often, at least 1.

    Returns:
        dict[str, list[float]]: Seconds of each round, by name.
    """
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, work in variants.items():
            times[name].append(seconds(work))
    return times


def ratios(times: Times, base: str) -> dict[str, dict[str, float]]:
    """Compare with a base, round by round.

    Args:
        times (Times): Seconds of each round, by name.
        base (str): Name of what to divide by.

    Returns:
        dict[str, dict[str, float]]: Of each name ``seconds`` (median) and, of
        its ratios, one for each round, ``median`` and the quartiles ``low``
        and ``high``.
    """
    result = {}
    for name, values in times.items():
        each = [
            value / other
            for value, other in zip(values, times[base], strict=True)
        ]
        low, median, high = np.quantile(each, [.25, .5, .75]).tolist()
        result[name] = dict(
            seconds=statistics.median(values),
            median=median,
            low=low,
            high=high)
    return result
