"""What was found out, mutant by mutant, in the files that mutmut keeps beside its mutants."""

from __future__ import annotations

import ast
import difflib
import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

# How a run of the tests on a mutant ended, in mutmut's own numbers: any other is a mutant's that was killed.
SURVIVED, NO_TEST = 0, 33


class Verdict(Enum):
    KILLED = "killed"
    SURVIVED = "survived"
    UNTESTED = "no test reaches it"
    LEFT_OUT = "not counted"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change of the source: in which function, and the changed lines before and after it, without indentation."""

    file: str
    function: str
    was: str
    became: str


@dataclass(frozen=True, slots=True)
class Mutant:
    mutation: Mutation
    verdict: Verdict


def mutants_of(mutants: Path, file: str) -> Iterator[Mutant]:
    """Every mutant of `file`, in the order of the source. `mutants` is the folder that mutmut wrote.

    Raises OSError where the file was never mutated.
    """
    functions = _Functions(mutants, file)
    for key, exit_code in _exit_codes(mutants, file).items():
        mangled = _mangled(key)
        original, changed = functions.original_and_changed(key)
        was, became = _changed_lines(original, changed)
        mutation = Mutation(file, _function(mangled), was, became)
        yield Mutant(mutation, Verdict.LEFT_OUT if _is_left_out(original, changed) else _verdict(exit_code))


def counted_keys(mutants: Path, file: str, *, without_verdict: bool) -> list[str]:
    """What mutmut calls those mutants of `file` that count; or those of them that have no verdict yet.

    Raises OSError where the file was never mutated.
    """
    functions = _Functions(mutants, file)
    return [
        key
        for key, exit_code in _exit_codes(mutants, file).items()
        if not (without_verdict and exit_code is not None) and not _is_left_out(*functions.original_and_changed(key))
    ]


def write_exit_codes(mutants: Path, file: str, codes: Mapping[str, int]) -> None:
    """Store the codes that `codes` has of mutants of `file` where `mutants_of` finds them."""
    path = mutants / f"{file}.meta"
    stored: dict[str, Any] = json.loads(path.read_text())
    stored["exit_code_by_key"] |= {key: codes[key] for key in stored["exit_code_by_key"] if key in codes}
    path.write_text(json.dumps(stored, indent=4))


def _exit_codes(mutants: Path, file: str) -> dict[str, int | None]:
    codes: dict[str, int | None] = json.loads((mutants / f"{file}.meta").read_text())["exit_code_by_key"]
    return codes


class _Functions:
    """The functions of a mutated file, as they were and as each mutant has them."""

    def __init__(self, mutants: Path, file: str) -> None:
        self._spans: dict[str, Any] = json.loads((mutants / f"{file}.spans").read_text())["spans"]
        self._lines = (mutants / file).read_text().split("\n")

    def original_and_changed(self, key: str) -> tuple[str, str]:
        mangled = _mangled(key)
        original, changed = (
            "\n".join(self._lines[slice(self._spans[one][0] - 1, self._spans[one][1])]).replace(one, mangled)
            for one in (f"{mangled}__mutmut_orig", key.rpartition(".")[2])
        )
        return original, changed


def _mangled(key: str) -> str:
    return key.rpartition(".")[2].partition("__mutmut_")[0]


def _verdict(exit_code: int | None) -> Verdict:
    told = {None: Verdict.NOT_RUN, SURVIVED: Verdict.SURVIVED, NO_TEST: Verdict.UNTESTED}
    return told.get(exit_code, Verdict.KILLED)  # by a test, or because it ran out of time


def _function(mangled: str) -> str:
    """`x_quote` is quote, `xǁMarketǁprice` is Market.price."""
    return mangled.removeprefix("x").strip("ǁ").replace("ǁ", ".") if "ǁ" in mangled else mangled.removeprefix("x_")


def _changed_lines(original: str, changed: str) -> tuple[str, str]:
    before, after = [], []
    for line in difflib.ndiff(original.split("\n"), changed.split("\n")):
        if line.startswith("- "):
            before.append(line[2:].strip())
        elif line.startswith("+ "):
            after.append(line[2:].strip())
    return "\n".join(before), "\n".join(after)


def _is_left_out(original: str, changed: str) -> bool:
    """Whether the two differ in what is left out of the score, and in nothing else.

    That is a log line; a sentence that an error or another object is made with, or that an assertion ends with; and
    zip's `strict`, which looks for mistakes of ours.
    """
    return _counted(original) == _counted(changed)


def _counted(function: str) -> str:
    return ast.dump(_LeftOutRemoved().visit(ast.parse(textwrap.dedent(function))))


class _LeftOutRemoved(ast.NodeTransformer):
    """What is calculated for a sentence stays: an amount in an error is somebody's money."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node.func:
            case ast.Attribute(value=ast.Name("logger")):
                return ast.Constant("a log line")
            case ast.Name("zip"):
                node.keywords = []
            case ast.Name(name) if name[0].isupper():
                node.args = [_without_sentence(argument) for argument in node.args]
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc.args = [_without_sentence(argument) for argument in node.exc.args]
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)


def _without_sentence(argument: ast.expr) -> ast.expr:
    match argument:
        case ast.Constant(None):
            return ast.Constant("words")
        case ast.Constant(str(text)) if " " in text:
            return ast.Constant("words")
        case ast.JoinedStr(parts):
            return ast.JoinedStr([part for part in parts if not isinstance(part, ast.Constant)])
        case _:
            return argument
