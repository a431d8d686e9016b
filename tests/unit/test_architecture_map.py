"""docs/architecture.md says where each thing is decided, and there it is."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
MAP = (PROJECT / "docs" / "architecture.md").read_text().split("## Where to look")[1].split("\n## ")[0]
LEAST_QUESTIONS = 10


@dataclass(frozen=True, slots=True)
class Answer:
    question: str
    file: str
    names: tuple[str, ...]


def answers() -> list[Answer]:
    """The table's rows below its head: a question, a file, and the names that are defined in it."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in MAP.splitlines() if line.startswith("|")]
    head, _, *below = rows
    assert head[1:] == ["file", "defined there"]
    return [Answer(asked, file.strip("`"), tuple(re.findall(r"`(\w+)`", named))) for asked, file, named in below]


def defined_in(source: str) -> set[str]:
    """What a module defines itself: its classes, functions and names that it assigns; nothing that it imports."""
    names: set[str] = set()
    for statement in ast.parse(source).body:
        match statement:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


def test_enough_questions_are_answered_and_none_twice() -> None:
    questions = [answer.question for answer in answers()]
    assert len(questions) >= LEAST_QUESTIONS
    assert len(set(questions)) == len(questions)


@pytest.mark.parametrize("answer", answers(), ids=lambda answer: answer.question)
def test_what_is_asked_is_decided_in_the_file_that_the_map_names(answer: Answer) -> None:
    file = PROJECT / answer.file
    assert file.is_file(), f"{answer.file} does not exist"
    assert answer.names, "the row names nothing"
    assert set(answer.names) <= defined_in(file.read_text())


def test_what_a_module_imports_is_not_taken_for_its_own() -> None:
    source = "from a import Imported\nimport b\nONE: int = 1\nleft, right = 1, 2\nclass Own: x = 1\ndef do(): y = 1"
    assert defined_in(source) == {"ONE", "left", "right", "Own", "do"}
