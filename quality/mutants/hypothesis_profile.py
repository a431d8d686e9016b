"""A pytest plugin: how Hypothesis runs on a mutant. The same examples each time, and none made smaller.

What a failure looks like is of no interest here, only that there is one; and chance would make a score that comes and
goes.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

# A test that asks for more gets no more: a mutant that lives meets every example of every test.
MOST_EXAMPLES = 30

PROFILE = settings(
    max_examples=MOST_EXAMPLES,
    phases=(Phase.explicit, Phase.generate),
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    # mutmut runs the tests of a class in one process first and then in its children, on objects of their own
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)


def pytest_configure() -> None:
    """Before the tests are imported: what their own `@settings` leave open comes from here."""
    settings.register_profile("mutants", PROFILE)
    settings.load_profile("mutants")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        test: Any = getattr(item, "obj", None)
        test = getattr(test, "__func__", test)
        own = getattr(test, "_hypothesis_internal_use_settings", None)
        if own is not None and own.max_examples > MOST_EXAMPLES:
            test._hypothesis_internal_use_settings = settings(own, max_examples=MOST_EXAMPLES)
