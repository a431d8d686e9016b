"""What `make test` puts first is there: a file or a stack that has another name by now would come last again."""

from __future__ import annotations

import re

import pytest

from infra.project import PROJECT
from tests.running_order import STACKS, START_PROCESSES, TAKE_LONG

SESSIONS = re.compile(r'@pytest.fixture\(scope="session"\)\ndef (\w+)\((.*?)(?=\n@|\n\n\n|\Z)', re.DOTALL)
STARTS_A_STACK = re.compile(r"\b(start|_running|running_engine)\(")


@pytest.mark.parametrize("path", [*TAKE_LONG, *(f"tests/{folder}" for folder in START_PROCESSES)])
def test_what_takes_long_is_there(path: str) -> None:
    assert (PROJECT / path).exists()


def test_every_running_stack_that_a_session_shares_is_known_and_no_other() -> None:
    """Else each of the processes would start it."""
    texts = [file.read_text() for file in (PROJECT / "tests").glob("*/conftest.py")]
    fixtures = [found for text in texts for found in SESSIONS.findall(text)]
    assert {name for name, body in fixtures if STARTS_A_STACK.search(body)} == set(STACKS)
