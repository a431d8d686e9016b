"""How long a call takes. testing/sdk/timing.mjs does the same for the SDKs."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter_ns

_BATCHES = 10


def nanoseconds_per_call(call: Callable[[], object], milliseconds: int) -> float:
    """Nanoseconds of one call: the median over batches that fill about `milliseconds` in all."""
    target = milliseconds * 1e6 / _BATCHES
    calls = 1
    while _elapsed(call, calls) < target / 2:
        calls *= 2
    return median(_elapsed(call, calls) / calls for _ in range(_BATCHES))


def _elapsed(call: Callable[[], object], calls: int) -> int:
    start = perf_counter_ns()
    for _ in range(calls):
        call()
    return perf_counter_ns() - start
