"""How long a call takes. testing/sdk/timing.mjs does the same for the SDKs."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

# So many that some of them are left alone by whatever else the machine does.
_BATCHES = 30


def nanoseconds_per_call(call: Callable[[], object], milliseconds: int) -> float:
    """Nanoseconds of one call: the fastest of batches that fill about `milliseconds` in all."""
    target = milliseconds * 1e6 / _BATCHES
    calls = 1
    while _elapsed(call, calls) < target / 2:
        calls *= 2
    return min(_elapsed(call, calls) for _ in range(_BATCHES)) / calls


def _elapsed(call: Callable[[], object], calls: int) -> int:
    start = perf_counter_ns()
    for _ in range(calls):
        call()
    return perf_counter_ns() - start
