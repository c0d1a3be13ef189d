import os
import signal
import subprocess
import sys
import threading
import time
from itertools import chain

import pytest
from processes import read_numbers

from mmdet_ifan.utils.errors import DataError
from mmdet_ifan.utils.parallel import AHEAD, CHUNK, map_in_order


def square(number):
    return number * number


def late(number):
    """The first items take longest."""
    time.sleep(0.01 * (number < CHUNK))
    return number


def refuse(number):
    if number == 40:
        raise DataError('number 40 is damaged')
    return number


def die(number):
    os._exit(1)


def answer_to_sigterm(number):
    return signal.getsignal(signal.SIGTERM)


@pytest.mark.parametrize('processes', [False, True])
@pytest.mark.parametrize('workers', [1, 3])
@pytest.mark.parametrize('count', [0, 1, 500])
def test_results_are_in_order(processes, workers, count):
    found = map_in_order(square, range(count), workers, processes)
    assert list(found) == [number**2 for number in range(count)]


def test_slow_first_item():
    assert list(map_in_order(late, range(100), 2)) == list(range(100))


def test_little_is_done_before_it_is_asked_for():
    done = []
    results = map_in_order(done.append, range(5000), 2)
    for _ in range(CHUNK + 1):
        next(results)
    time.sleep(0.2)
    assert CHUNK < len(done) <= CHUNK * (2 * AHEAD + 2)
    results.close()


def test_nothing_is_begun_after_the_end():
    done = []
    gate = threading.Event()

    def work(number):
        if number >= CHUNK:
            gate.wait()
        done.append(number)

    results = map_in_order(work, range(5000), 2)
    next(results)
    threading.Timer(0.5, gate.set).start()
    # Waits for the chunks that are under way, one a worker.
    results.close()
    assert len(done) <= 3 * CHUNK


@pytest.mark.parametrize('processes', [False, True])
def test_errors_come_through(processes):
    with pytest.raises(DataError, match='^number 40 is damaged$'):
        list(map_in_order(refuse, range(100), 2, processes))


def test_killed_worker():
    with pytest.raises(DataError, match='killed, perhaps for lack of memory'):
        list(map_in_order(die, range(100), 2, True))


def test_workers_answer_no_signal_in_python():
    """A process about to wait for a lock would never run the handler."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        found = list(map_in_order(answer_to_sigterm, range(3), 2, True))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert found == [signal.SIG_DFL] * 3


WORKING = """
import os, time
from mmdet_ifan.utils.parallel import map_in_order

def work(number):
    time.sleep(.01)
    return os.getpid()

for pid in map_in_order(work, range(10**6), 2, True):
    print(pid, flush=True)
"""


@pytest.mark.slow
def test_workers_end_with_a_killed_process(outliving):
    """They would wait forever on a pipe that they hold open themselves."""
    with subprocess.Popen(
        [sys.executable, '-c', WORKING],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        workers = {*chain(*(read_numbers(process.stdout) for _ in range(6 * CHUNK)))}
        process.kill()
    assert outliving(workers) == []
    assert len(workers) == 2


def test_chunks_may_be_smaller():
    def work(number):
        time.sleep(0.1)
        return threading.get_ident()

    assert len(set(map_in_order(work, range(8), 2, chunk=1))) == 2
