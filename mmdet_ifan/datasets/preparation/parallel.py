"""Work on many files at once, in order and in constant memory."""

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from tqdm import tqdm

from ..disk import DataError

CHUNK = 16  # Items that travel to a worker together.
AHEAD = 4  # Chunks that wait for each worker.

Item = TypeVar('Item')
Result = TypeVar('Result')


def map_in_order(work: Callable[[Item], Result], items: Sequence[Item],
                 workers: int, processes: bool = False,
                 title: str = 'read') -> Iterator[Result]:
    """Apply a function to many items, with a progress bar.

    Args:
        work (Callable): What to do with an item. Must be picklable, as must
            be what it takes and gives, if it runs in processes.
        items (Sequence): One for each image.
        workers (int): Threads or processes; 1 works in this one.
        processes (bool): Processes suit work that holds Python's lock, such
            as reading XML or JSON; threads suit decoding images. Defaults to
            False.
        title (str): Stands before the progress bar. Defaults to 'read'.

    Yields:
        Result: In the order of the items. Only a few are made before they
        are asked for, however many items there are.

    Raises:
        DataError: If a worker process was killed.
    """
    results = map(work, items) if workers == 1 else _in_workers(
        work, items, workers, processes)
    yield from tqdm(results, desc=title, total=len(items), unit='image')


def _in_workers(work: Callable[[Item], Result], items: Sequence[Item],
                workers: int, processes: bool) -> Iterator[Result]:
    """Map in threads or processes."""
    executor: Executor
    if processes:
        # Forked: a fresh interpreter would import torch, for seconds. The
        # parent alone answers Ctrl-C.
        executor = ProcessPoolExecutor(
            workers, get_context('fork'), signal.signal,
            (signal.SIGINT, signal.SIG_IGN))
    else:
        executor = ThreadPoolExecutor(workers)
    chunks = (items[start:start + CHUNK]
              for start in range(0, len(items), CHUNK))
    waiting: deque[Future[list[Result]]] = deque()
    try:
        for chunk in islice(chunks, AHEAD * workers):
            waiting.append(executor.submit(_map, work, chunk))
        while waiting:
            yield from waiting.popleft().result()
            for chunk in islice(chunks, 1):
                waiting.append(executor.submit(_map, work, chunk))
    except BrokenExecutor as error:
        raise DataError('A worker process was killed, perhaps for want of '
                        'memory: try again with fewer --workers.') from error
    finally:
        executor.shutdown(cancel_futures=True)


def _map(work: Callable[[Item], Result],
         chunk: Sequence[Item]) -> list[Result]:
    """Work on a chunk."""
    return list(map(work, chunk))
