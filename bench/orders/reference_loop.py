"""A fixed piece of pure Python: how long it takes tells how fast this machine is now, so that others can compare."""

from __future__ import annotations

import time

_TIMES = 7
_STEPS = 200_000


def reference_loop_ms() -> float:
    """The fastest of a few runs, in milliseconds of processor time."""
    return min(_once() for _ in range(_TIMES)) * 1000


def _once() -> float:
    began = time.process_time()
    state = 1
    for _ in range(_STEPS):
        # The multiplier and increment of Numerical Recipes' linear congruential generator: integers, no memory.
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
    assert state, "so that no step is left out"
    return time.process_time() - began
