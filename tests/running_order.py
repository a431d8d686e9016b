"""In which order `make test` runs what, and what runs in one process: it is over when the last of its processes is.

Tests that share a running stack stay in one process, which starts it once. They come first, because they wait most;
next come the files that start stacks of their own, or other processes, one test after another. The many tests that only
compute come last, in small portions: whichever process is done takes the next.
"""

from __future__ import annotations

from collections import Counter

import pytest
from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped]

# The session's fixtures that are running stacks, those that take longest first.
STACKS = ("running", "stack", "site", "secured_stack")
# Where files with few tests take long.
START_PROCESSES = ("faults", "e2e", "browser", "localstack")
TAKE_LONG = ("tests/unit/test_protocol.py", "tests/faults/test_aws_storm.py")


class ByStackOrFile(LoadGroupScheduling):  # type: ignore[misc]
    """What is of one stack is one process's, and so is a file."""

    def _split_scope(self, nodeid: str) -> str:
        group: str = super()._split_scope(nodeid)
        return group.split("::", 1)[0]


def put_in_order(items: list[pytest.Item]) -> None:
    """Mark what belongs together for xdist, and sort it. Every process must come to the same order."""
    stack_of = {item.path: stack for item in items for stack in STACKS if _shares(item, stack)}
    tests_of = Counter(item.path for item in items)

    def place(item: pytest.Item) -> tuple[int, int, str]:
        stack = stack_of.get(item.path)
        if stack is not None:
            return (0, STACKS.index(stack), "")
        file = item.path.relative_to(item.config.rootpath).as_posix()
        if file in TAKE_LONG or file.split("/")[1] in START_PROCESSES:
            # those with few tests are those that take minutes
            return (1, tests_of[item.path], file)
        return (2, -tests_of[item.path], file)

    items.sort(key=place)
    for item in items:
        if item.path in stack_of:
            item.add_marker(pytest.mark.xdist_group(stack_of[item.path]))


def _shares(item: pytest.Item, stack: str) -> bool:
    """Whether it is the session's that it needs, and not one of its file's own that has the name too."""
    fixtures = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    return stack in fixtures and fixtures[stack][-1].scope == "session"
