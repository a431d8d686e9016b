"""docs/security.md names a test for each threat, and each of those tests exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TEST = re.compile(r"`(?P<file>tests/[\w/]+\.py)::(?P<name>test_\w+)`")


def rows() -> list[tuple[str, str]]:
    """Each threat with the last column of its row."""
    section = (PROJECT / "docs" / "security.md").read_text().split("## Threats, answers, tests")[1].split("\n## ")[0]
    table = [line.strip().strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [(cells[0].strip(), cells[-1]) for cells in table[2:]]


@cache
def defined_in(file: str) -> frozenset[str]:
    tree = ast.parse((PROJECT / file).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_there_is_a_table() -> None:
    assert len(rows()) > 20


@pytest.mark.parametrize(("threat", "tests"), rows())
def test_a_threat_is_answered_by_tests_that_exist(threat: str, tests: str) -> None:
    named = [(match["file"], match["name"]) for match in TEST.finditer(tests)]
    assert named, threat
    assert [f"{file}::{name}" for file, name in named if name not in defined_in(file)] == []
