"""Percentiles by the nearest rank: each is a value that was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from chalicelib.amounts import ceil_div

_N = TypeVar("_N", int, float)


def percentile(values: Sequence[_N], percent: int) -> _N:
    """The nearest-rank percentile of values in any order; `percent` is from 1 to 100. Raises ValueError on none."""
    if not values:
        raise ValueError("nothing was measured")
    return sorted(values)[ceil_div(len(values) * percent, 100) - 1]
