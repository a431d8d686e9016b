"""Where a target is mutated: a copy of the project in build/mutants; mutmut writes nothing beside the sources."""

from __future__ import annotations

import configparser
import filecmp
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from quality.mutants.targets import Target

PROJECT = Path(__file__).resolve().parents[2]
BUILD = PROJECT / "build" / "mutants"

# What the tests read besides chalicelib/ and tests/.
ALSO_READ = ("app.py", "infra", "client", "bench", "operations", "testing", "quality", ".chalice")
NOT_READ = ("web/", "docs/images/", "tests/browser/", "bench/results/")

# Tests that run on the real store and in memory alike do so in memory: a table in moto takes half a second to set up.
PLUGINS = ("hypothesis_profile", "quickest_first", "uncounted")
PYTEST_ARGUMENTS = (
    "-p",
    "no:cacheprovider",
    *(argument for plugin in PLUGINS for argument in ("-p", f"quality.mutants.{plugin}")),
    "-k",
    "not DynamoDB",
)

# A mutant is given up after (its tests' own time + constant) · multiplier, in seconds.
TIMEOUT_CONSTANT, TIMEOUT_MULTIPLIER = 4, 3


class MutmutFailed(Exception):
    """mutmut came to no verdicts: a test fails without any mutation, or a path is wrong."""


class Workspace:
    """A target's copy of the project, with what mutmut found out about it in `mutants`."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._folder = BUILD / target.name
        self.mutants = self._folder / "mutants"

    def lay_out(self, *, afresh: bool) -> None:
        """Make the copy equal to the checkout; afresh: and forget all verdicts."""
        if afresh:
            shutil.rmtree(self._folder, ignore_errors=True)
        for name in _files_of_the_project():
            source, copy = PROJECT / name, self._folder / name
            # an equal file keeps its time: mutmut mutates what is newer than its mutants
            if not copy.exists() or not filecmp.cmp(source, copy, shallow=False):
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
        with (self._folder / "setup.cfg").open("w") as file:
            self._configuration().write(file)
        # tests may have changed: which of them reach which function is found out again
        (self.mutants / "mutmut-stats.json").unlink(missing_ok=True)

    def run(self, children: int, files: Sequence[str] = ()) -> None:
        """Give every mutant without a verdict one; or those of `files` a new one. Raises MutmutFailed."""
        command = [str(Path(sys.executable).parent / "mutmut"), "run", "--max-children", str(children)]
        command += [f"{file.removesuffix('.py').replace('/', '.')}.*" for file in files]
        # the same tests everywhere, whatever this shell is set up for
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FILLRATE_", "FAULTS_"))}
        log = self._folder / "mutmut.log"
        with log.open("w") as output:
            done = subprocess.run(
                command,
                cwd=self._folder,
                env=kept | {"PYTHONHASHSEED": "0"},
                stdout=None if sys.stdout.isatty() else output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise MutmutFailed(f"mutmut ended with {done.returncode} on {self.target.name}: see {log}")

    def _configuration(self) -> configparser.ConfigParser:
        configuration = configparser.ConfigParser(interpolation=None)
        configuration["mutmut"] = {
            "source_paths": "chalicelib",
            "only_mutate": _lines(self.target.files),
            "also_copy": _lines(ALSO_READ),
            "pytest_add_cli_args_test_selection": _lines(self.target.tests),
            "pytest_add_cli_args": _lines(PYTEST_ARGUMENTS),
            "timeout_constant": str(TIMEOUT_CONSTANT),
            "timeout_multiplier": str(TIMEOUT_MULTIPLIER),
            "use_git_change_detection": "false",
        }
        return configuration


def _lines(values: tuple[str, ...]) -> str:
    """A list as mutmut reads it: a value per line, the first one empty."""
    return "\n".join(("", *values))


def _files_of_the_project() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    names = [name for name in listed.split("\0") if name and not name.startswith(NOT_READ)]
    return [name for name in names if (PROJECT / name).is_file()]
