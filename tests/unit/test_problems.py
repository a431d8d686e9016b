"""Everything that can go wrong stands in one tree, or is named there as what it is instead."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import pytest

import chalicelib
from chalicelib import problems
from chalicelib.problems import FillrateError

TOLD = problems.__doc__ or ""
BRANCHES = {"FillrateError", "RequestError", "ExecutionError", "TransientError", "PermanentError", "AwsError"}


def all_kinds_of(error: type[BaseException]) -> Iterator[type[BaseException]]:
    for kind in error.__subclasses__():
        yield kind
        yield from all_kinds_of(kind)


def exceptions() -> list[type[BaseException]]:
    """Every exception class that the service defines."""
    for module in walk_packages(chalicelib.__path__, "chalicelib."):
        import_module(module.name)
    found = {kind for kind in all_kinds_of(Exception) if kind.__module__.startswith("chalicelib.")}
    return sorted(found, key=lambda kind: (kind.__module__, kind.__name__))


EXCEPTIONS = exceptions()


def drawn(kind: type[BaseException]) -> str:
    """The line of the tree that draws an error, from its name on."""
    (line,) = [line for line in TOLD.splitlines() if line.strip("│├└─ ").split(" ")[0] == kind.__name__]
    return line


@pytest.mark.parametrize("kind", [kind for kind in EXCEPTIONS if kind.__module__ == problems.__name__])
def test_the_tree_draws_each_error_under_the_one_that_it_is_a_kind_of(kind: type[FillrateError]) -> None:
    lines = TOLD.splitlines()
    depth = drawn(kind).index(kind.__name__)
    above = lines[: lines.index(drawn(kind))]
    parent = next((line for line in reversed(above) if line.strip() and _depth(line) < depth), None)
    assert (parent is None) == (kind is FillrateError)
    if parent is not None:
        assert parent.strip("│├└─ ").split(" ")[0] == kind.__base__.__name__  # type: ignore[union-attr]


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip("│├└─ "))


@pytest.mark.parametrize("kind", [kind for kind in EXCEPTIONS if kind.__module__ != problems.__name__])
def test_an_exception_elsewhere_refines_one_of_the_tree_or_is_named_as_none_of_it(kind: type[BaseException]) -> None:
    if issubclass(kind, FillrateError):
        assert "code" not in vars(kind), "clients would meet a code that the tree doesn't have"
    else:
        named = {base.__name__ for base in kind.__mro__ if base.__module__.startswith("chalicelib.")}
        words = TOLD.replace(",", " ").split()
        assert named & set(words)


def test_an_error_is_named_by_what_happened_and_only_a_branch_by_error() -> None:
    assert {kind.__name__ for kind in EXCEPTIONS if kind.__name__.endswith("Error")} == BRANCHES
