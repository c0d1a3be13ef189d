"""Process many files in parallel, in order and in constant memory."""

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
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

import cv2
from tqdm import tqdm

from .errors import DataError
from .processes import end_with_parent

CHUNK = 16  # Items that are sent to a worker together, if they are small.
AHEAD = 4  # Chunks that are queued for each worker.

Item = TypeVar('Item')
Result = TypeVar('Result')


def map_in_order(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    processes: bool = False,
    title: str = 'read',
    chunk: int = CHUNK,
) -> Iterator[Result]:
    """Apply a function to many items, with a progress bar.

    Args:
        work (Callable): The function. With processes, its arguments and
            results must be picklable.
        items (Sequence): The items.
        workers (int): Number of threads or processes; with 1 the calling
            thread does the work.
        processes (bool): Whether to use processes, which suit work that
            holds Python's lock, such as parsing XML or JSON; threads suit
            decoding images. Defaults to False.
        title (str): Label of the progress bar. Defaults to 'read'.
        chunk (int): Number of items that are sent to a worker together.
            Defaults to 16.

    Yields:
        Result: In the order of the items. Only a few results are computed
        before they are asked for, however many items there are.

    Raises:
        DataError: If a worker process was killed.
    """
    bar = partial(tqdm, desc=title, total=len(items), unit='image')
    if workers == 1:
        yield from bar(map(work, items))
        return
    # Forked: a fresh interpreter would import torch, for seconds.
    executor: Executor = (
        ProcessPoolExecutor(workers, get_context('fork'), _follow_parent)
        if processes
        else ThreadPoolExecutor(workers)
    )
    chunks = (
        executor.submit(_map, work, items[start : start + chunk])
        for start in range(0, len(items), chunk)
    )
    threads = cv2.getNumThreads()
    if processes:
        # Before the fork: a child inherits OpenCV's pool without its threads
        # and would wait for them forever.
        cv2.setNumThreads(1)
    try:
        # Before the bar: it has a thread, which does not survive a fork.
        waiting = deque(islice(chunks, AHEAD * workers))
        yield from bar(_drain(waiting, chunks))
    except BrokenExecutor as error:
        raise DataError(
            'A worker process was killed, perhaps for lack of '
            'memory: try again with fewer --workers.'
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads)


def _follow_parent() -> None:
    """End with the parent, which handles Ctrl-C, and at once on SIGTERM.

    A Python handler inherited from the parent may be triggered just before
    the process begins to wait for work. It then never runs, and whoever
    terminated the process waits forever.
    """
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _drain(
    waiting: deque[Future[list[Result]]], chunks: Iterator[Future[list[Result]]]
) -> Iterator[Result]:
    """Yield the results, and submit a chunk for each that is done."""
    while waiting:
        yield from waiting.popleft().result()
        waiting.extend(islice(chunks, 1))


def _map(work: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result]:
    """Apply a function to each item of a chunk."""
    return list(map(work, chunk))
