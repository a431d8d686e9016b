"""`python -m quality.mutants.forks`: runs a target's tests on each of its mutants, in the folder that mutmut wrote.

They are collected once, and each mutant has a process of its own, forked after that, in which it stands in the place of
its function, and in which those tests run that call the function, the quickest first, until one fails. mutmut's own
runner collects them anew for each mutant, which takes longer than to run them.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mutmut.mutation import trampoline

from quality.mutants.verdicts import NO_TEST, SURVIVED

# Tests that differ by less stay in the order of their files, which share what they set up.
_ALIKE_SECONDS = 0.1
# A mutant is given up after so many times its tests' own processor time, and so many seconds.
_MOST_TIMES, _MOST_SECONDS_MORE = 4, 2
# One that fills the memory ends before it takes others' away.
_MOST_BYTES = 6 << 30


@dataclass(slots=True)
class _Function:
    """A function, or a method, of which mutmut wrote versions: `owner` has it, and so has whoever imported it."""

    owner: ModuleType | type
    attribute: str
    imported_by: list[ModuleType] = field(default_factory=list)

    def use(self, version: str) -> None:
        new = vars(self.owner)[version]
        for holder in (self.owner, *self.imported_by):
            setattr(holder, self.attribute, new)


class MutatedFunctions:
    """All of some modules, by the names that mutmut gives them; the modules must have been imported."""

    def __init__(self, modules: Iterable[ModuleType]) -> None:
        self._functions = {name: function for module in modules for name, function in _functions_of(module)}
        dispatching = {
            id(vars(one.owner)[one.attribute]): one
            for one in self._functions.values()
            if isinstance(one.owner, ModuleType)
        }
        for module in list(filter(_is_of_the_project, sys.modules.values())):
            for attribute, value in vars(module).items():
                function = dispatching.get(id(value))
                if function is not None and attribute == function.attribute and module is not function.owner:
                    function.imported_by.append(module)

    def use_originals(self) -> None:
        """As if nothing was mutated: mutmut's switch between the versions takes its time at each call."""
        for name, function in self._functions.items():
            function.use(f"{name.rpartition('.')[2]}__mutmut_orig")

    def use(self, key: str) -> None:
        """The mutant that mutmut calls so; wherever something else holds its function, mutmut's own switch tells it."""
        os.environ["MUTANT_UNDER_TEST"] = key
        self._functions[function_of(key)].use(key.rpartition(".")[2])


def function_of(key: str) -> str:
    """The name of the function whose mutant it is."""
    return key.partition("__mutmut_")[0]


def _is_of_the_project(module: ModuleType) -> bool:
    return str(getattr(module, "__file__", None) or "").startswith(f"{Path.cwd()}{os.sep}")


def _functions_of(module: ModuleType) -> Iterator[tuple[str, _Function]]:
    for name in vars(module):
        if not (name.startswith("mutants_x") and name.endswith("__mutmut")):
            continue
        mangled = name.removeprefix("mutants_").removesuffix("__mutmut")
        if "ǁ" in mangled:
            _, owner, attribute = mangled.split("ǁ")
            yield f"{module.__name__}.{mangled}", _Function(getattr(module, owner), attribute)
        else:
            yield f"{module.__name__}.{mangled}", _Function(module, mangled.removeprefix("x_"))


class OnEachMutant:
    """A pytest plugin that runs the collected tests on each of the mutants `keys`, and writes exit codes to `results`.

    As mutmut's: 0 where all passed, 33 where none calls the function, anything else where one failed or time ran out.
    """

    def __init__(self, modules: Sequence[str], keys: Sequence[str], results: Path) -> None:
        self._modules = modules
        self._keys = keys
        self._results = results
        self._items: list[pytest.Item] = []
        self._seconds: dict[str, float] = {}
        self._called: dict[str, set[str]] = {}
        self._is_mutated = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """The first failure decides: what it looks like, which takes longer to tell, is of no interest."""
        failed = call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception)
        if self._is_mutated and failed and item.get_closest_marker("xfail") is None:
            os._exit(1)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Failed("the tests can't be collected")
        functions = MutatedFunctions([importlib.import_module(name) for name in self._modules])
        self._items = session.items
        self._look_at_originals(session)
        functions.use_originals()
        codes = {}
        for key in self._keys:
            codes[key] = self._run(functions, key)
            self._results.write_text(json.dumps(codes))
        return True

    def _look_at_originals(self, session: pytest.Session) -> None:
        """Which tests call which function, and how long each takes, in a process of its own too."""
        told = self._results.with_suffix(".tests.json")

        def look() -> int:
            called: set[str] = set()
            # mutmut's switch, which stands in each function's place still, tells of each call
            os.environ["MUTANT_UNDER_TEST"] = "stats"
            vars(trampoline)["record_trampoline_hit"] = lambda name, caller=None: called.add(name)
            by_test: dict[str, tuple[float, list[str]]] = {}
            for item, following in _with_following(self._items):
                called.clear()
                began = time.process_time()
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                by_test[item.nodeid] = time.process_time() - began, sorted(called)
            told.write_text(json.dumps(by_test))
            return 1 if session.testsfailed else 0

        if _in_a_process(look, quiet=False):
            raise session.Failed("a test fails without any mutation")
        for test, (seconds, called) in json.loads(told.read_text()).items():
            self._seconds[test] = seconds
            for name in called:
                self._called.setdefault(name, set()).add(test)

    def _run(self, functions: MutatedFunctions, key: str) -> int:
        tests = self._called.get(function_of(key), set())
        items = [item for item in self._items if item.nodeid in tests]
        if not items:
            return NO_TEST
        items.sort(key=lambda item: self._seconds[item.nodeid] // _ALIKE_SECONDS)
        seconds = sum(self._seconds[item.nodeid] for item in items)
        longest = int(seconds * _MOST_TIMES) + _MOST_SECONDS_MORE

        def run() -> int:
            resource.setrlimit(resource.RLIMIT_CPU, (longest, longest + 1))
            resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
            signal.alarm(3 * longest)  # one that waits takes no processor time
            functions.use(key)
            self._is_mutated = True
            for item, following in _with_following(items):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            return SURVIVED

        return _in_a_process(run, quiet=True)


def _with_following(items: Sequence[pytest.Item]) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    return zip(items, (*items[1:], None), strict=True)


def _in_a_process(work: Callable[[], int], *, quiet: bool) -> int:
    """What `work` returns in a process forked for it, or the signal's number below zero that ended it."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        if quiet:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
        os._exit(work())
    except BaseException:  # noqa: BLE001 - whatever it is, it must not come back as the parent
        os._exit(1)


def main() -> int:
    """The work is read from standard input: the mutants' keys, the tests, pytest's arguments and the results' path."""
    work: dict[str, Any] = json.load(sys.stdin)
    folder = Path.cwd()
    sys.path[:0] = [str(folder), str(folder / "client")]
    os.environ["MUTANT_UNDER_TEST"] = ""
    sys.dont_write_bytecode = True
    modules = sorted({key.rpartition(".")[0] for key in work["keys"]})
    plugin = OnEachMutant(modules, work["keys"], Path(work["results"]))
    return int(pytest.main([*work["arguments"], *work["tests"]], plugins=[plugin]))


if __name__ == "__main__":
    raise SystemExit(main())
