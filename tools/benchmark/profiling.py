"""A profile of some work: the time of its parts, and its peak memory."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from unittest.mock import patch

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

PREFIX = 'part:'
BACKWARD = 'autograd::engine::evaluate_function:'
#: The profiler's scope of an operation outside a backward pass.
FORWARD = 0
#: Name of the part that holds all the rest.
OTHER = 'other'
#: An object, its method that is a part of the work, and the part's name.
Part = tuple[Any, str, str]


@dataclass
class Profile:
    """Time and memory of profiled work.

    Attributes:
        seconds (dict[str, float]): Time of each part, forward and backward,
            and of ``other``. A part within another is not counted twice.
        peak_bytes (int): Peak of the allocated memory, beyond that at the
            start of the work.
    """

    seconds: dict[str, float]
    peak_bytes: int


def profile_parts(work: Callable[[], object], parts: Iterable[Part]) -> Profile:
    """Profile some work, which should have run once before.

    Args:
        work (Callable): The work.
        parts (Iterable[Part]): Methods to tell apart. An operation's backward
            pass counts for the part that its forward pass ran in.

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
    with ExitStack() as stack:
        for owner, name, label in parts:
            stack.enter_context(
                patch.object(
                    owner, name, record_function(PREFIX + label)(getattr(owner, name))
                )
            )
        profiler = stack.enter_context(
            profile(activities=activities, profile_memory=not cuda)
        )
        with record_function(PREFIX + OTHER):
            work()
        if cuda:
            torch.cuda.synchronize()
    if cuda:
        peak = torch.cuda.max_memory_allocated() - held
    else:
        peak = _peak(profiler)
    return Profile(_seconds(profiler.events(), cuda), peak)


def _peak(profiler: profile) -> int:
    """Compute the peak of the CPU allocator."""
    # The profiler's own table adds up what an operation allocates and frees.
    results: Any = profiler.profiler
    changes = sorted(
        (event.start_ns(), event.nbytes())
        for event in results.kineto_results.events()
        if event.name() == '[memory]'
    )
    return max(accumulate((change for _, change in changes), initial=0))


def _seconds(events: Iterable[FunctionEvent], cuda: bool) -> dict[str, float]:
    """Divide the time among the parts."""
    total = 'device_time_total' if cuda else 'cpu_time_total'
    events = list(events)
    # An operation and its backward pass share a number. Operations before it
    # without a backward pass carry the same number, so the last one counts.
    part_of = {
        event.sequence_nr: _part(event)
        for event in events
        if event.sequence_nr >= 0
        and event.scope == FORWARD
        and not event.name.startswith(BACKWARD)
    }
    microseconds: Counter[str] = Counter()
    for event in events:
        spent = getattr(event, total)
        if event.name.startswith(PREFIX):
            part = event.name.removeprefix(PREFIX)
        elif event.name.startswith(BACKWARD):
            part = part_of.get(event.sequence_nr, OTHER)
        else:
            continue
        microseconds[part] += spent
        if event.cpu_parent is not None:
            microseconds[_part(event.cpu_parent)] -= spent
    return {name: spent / 1e6 for name, spent in microseconds.items()}


def _part(event: FunctionEvent) -> str:
    """Find the innermost part that holds an event."""
    parent: FunctionEvent | None = event
    while parent is not None:
        if parent.name.startswith(PREFIX):
            return parent.name.removeprefix(PREFIX)
        parent = parent.cpu_parent
    return OTHER
