"""A pytest plugin: the first failure decides about a mutant, so the quickest tests run first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

# Beside the mutants: how many seconds each test took on the original, by its name.
DURATIONS = Path("mutmut-stats.json")
# Tests that differ by less stay in the order of their files, which share what they set up.
_ALIKE_SECONDS = 0.1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    seconds = _durations()
    items.sort(key=lambda item: seconds.get(item.nodeid, 0) // _ALIKE_SECONDS)


def _durations() -> Mapping[str, float]:
    if not DURATIONS.exists():
        return {}
    durations: dict[str, float] = json.loads(DURATIONS.read_text())["duration_by_test"]
    return durations
