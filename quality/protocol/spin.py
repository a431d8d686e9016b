"""SPIN: makes a checker of the model, compiles it, runs it, and reads what it found."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from quality.protocol.checks import MODEL, PROMISES, Check

NEEDS = ("spin", "cc")
# Enough for every check, in MB: a check that needs more ends, and says that it is not complete.
MOST_MEMORY = 6_000
DEEPEST = 1_000_000
_STATES = re.compile(r"^\s*([\d.e+]+) states, stored", re.MULTILINE)
_BROKEN = re.compile(r"^pan:1: assertion violated (.*) \(at depth \d+\)$", re.MULTILINE)


class CheckerFailed(Exception):
    """SPIN or the compiler refused the model, or the search was not complete."""


@dataclass(frozen=True, slots=True)
class Found:
    """`broken` is a promise's name, None where all hold in all states; `states` is how many were visited.

    `seconds` are of one processor, with compiling, so that they say the same on a busy machine.
    """

    broken: str | None
    states: int
    seconds: float


def missing() -> list[str]:
    """The programs that a check needs and that this machine lacks."""
    return [program for program in NEEDS if shutil.which(program) is None]


def run(check: Check, *, optimized: bool = True) -> Found:
    """Visit every state of the model, or as many as it takes to break a promise. Raises CheckerFailed.

    A compiler that optimizes takes longer than it saves where there are few states to visit.
    """
    before = _processor_seconds()
    with tempfile.TemporaryDirectory() as folder:
        _call(["spin", "-a", *(f"-D{macro}" for macro in check.macros), str(MODEL)], folder)
        options = ["-O2" if optimized else "-O0", "-w", "-DSAFETY", "-DCOLLAPSE", "-DNOFAIR", f"-DMEMLIM={MOST_MEMORY}"]
        _call(["cc", *options, "-o", "pan", "pan.c"], folder)
        printed = _call([str(Path(folder) / "pan"), f"-m{DEEPEST}", "-w24", "-n"], folder)
    return Found(_broken(printed), _visited(printed), _processor_seconds() - before)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _broken(printed: str) -> str | None:
    found = _BROKEN.search(printed)
    if found is not None:
        return next((promise.name for promise in PROMISES if promise.broken.search(found[1])), found[1])
    if "errors: 0" not in printed or "Search not completed" in printed or "max search depth too small" in printed:
        raise CheckerFailed(printed)
    return None


def _visited(printed: str) -> int:
    states = _STATES.search(printed)
    if states is None:
        raise CheckerFailed(printed)
    return int(float(states[1]))


def _call(command: list[str], folder: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CheckerFailed(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout
