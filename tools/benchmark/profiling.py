"""Where the milliseconds and the bytes of some work go."""
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

PREFIX = 'part:'
BACKWARD = 'autograd::engine::evaluate_function:'
#: What the profiler calls an operation outside a backward pass.
FORWARD = 0
#: What belongs to no part.
OTHER = 'other'
#: An object, the method that is a part of the work, and the part's name.
Part = tuple[Any, str, str]


@dataclass
class Profile:
    """What a profiled piece of work took.

    Attributes:
        seconds (dict[str, float]): Of each part, forward and backward, and of
            ``other``. A part within another is not counted twice.
        peak_bytes (int): Most that was allocated at a time, beyond what was
            when the work began.
    """
    seconds: dict[str, float]
    peak_bytes: int


def profile_parts(work: Callable[[], object],
                  parts: Iterable[Part]) -> Profile:
    """Profile some work that has been done before.

    Args:
        work (Callable): What to do.
        parts (Iterable[Part]): Methods to tell apart. What a backward pass
            spends on an operation counts for the part that the operation was
            done in.

    Returns:
        Profile: Time and memory, on the CUDA device if there is one.
    """
    cuda = torch.cuda.is_available()
    activities = [ProfilerActivity.CPU]
    if cuda:
        activities.append(ProfilerActivity.CUDA)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
    with _labelled(parts), profile(
            activities=activities, profile_memory=not cuda) as profiler:
        with record_function(PREFIX + OTHER):
            work()
        if cuda:
            torch.cuda.synchronize()
    if cuda:
        peak = torch.cuda.max_memory_allocated() - held
    else:
        peak = _peak(profiler)
    return Profile(_seconds(profiler.events(), cuda), peak)


@contextmanager
def _labelled(parts: Iterable[Part]) -> Iterator[None]:
    """Let each method announce its part to the profiler."""
    replaced = []
    for owner, name, label in parts:
        method = getattr(owner, name)

        def labelled(*args: Any,
                     method: Callable = method,
                     label: str = label,
                     **kwargs: Any) -> Any:
            with record_function(PREFIX + label):
                return method(*args, **kwargs)

        # On the instance, where it hides the method of the class.
        setattr(owner, name, labelled)
        replaced.append((owner, name))
    try:
        yield
    finally:
        for owner, name in replaced:
            delattr(owner, name)


def _peak(profiler: profile) -> int:
    """Follow the CPU allocator through the work."""
    # In the profiler's own table, what an operation frees and allocates is
    # one number.
    results: Any = profiler.profiler
    changes = sorted(
        (event.start_ns(), event.nbytes())
        for event in results.kineto_results.events()
        if event.name() == '[memory]')
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak


def _seconds(events: Iterable[FunctionEvent],
             cuda: bool) -> dict[str, float]:
    """Share the time out among the parts."""
    total = 'device_time_total' if cuda else 'cpu_time_total'
    events = list(events)
    # An operation and its backward have the same number. Those before it that
    # have none carry it as well: the last one counts.
    part_of = {
        event.sequence_nr: _part(event)
        for event in events if event.sequence_nr >= 0
        and event.scope == FORWARD and not event.name.startswith(BACKWARD)
    }
    microseconds: Counter[str] = Counter()
    for event in events:
        spent = getattr(event, total)
        if event.name.startswith(PREFIX):
            microseconds[event.name.removeprefix(PREFIX)] += spent
            if event.cpu_parent is not None:
                microseconds[_part(event.cpu_parent)] -= spent
        elif event.name.startswith(BACKWARD):
            microseconds[part_of.get(event.sequence_nr, OTHER)] += spent
            if event.cpu_parent is not None:
                microseconds[_part(event.cpu_parent)] -= spent
    return {name: spent / 1e6 for name, spent in microseconds.items()}


def _part(event: FunctionEvent) -> str:
    """Name the innermost part that an event lies in."""
    parent: FunctionEvent | None = event
    while parent is not None:
        if parent.name.startswith(PREFIX):
            return parent.name.removeprefix(PREFIX)
        parent = parent.cpu_parent
    return OTHER
