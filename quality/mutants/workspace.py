"""Where a target is mutated: a copy of the project in build/mutants; nothing is written beside the sources."""

from __future__ import annotations

import configparser
import filecmp
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quality.mutants.targets import Target
from quality.mutants.verdicts import counted_keys, write_exit_codes

PROJECT = Path(__file__).resolve().parents[2]
BUILD = PROJECT / "build" / "mutants"

# What the tests read besides chalicelib/ and tests/.
ALSO_READ = ("app.py", "infra", "client", "bench", "operations", "testing", "quality", ".chalice")
NOT_READ = ("web/", "docs/images/", "tests/browser/", "bench/results/")

# Tests that run on the real store and in memory alike do so in memory: a table in moto takes half a second to set up.
PYTEST_ARGUMENTS = (
    "-q",
    "-c",
    "pyproject.toml",
    "-p",
    "no:cacheprovider",
    "-p",
    "quality.mutants.hypothesis_profile",
    "-k",
    "not DynamoDB",
)


class MutationFailed(Exception):
    """There are no verdicts: a test fails without any mutation, or a path is wrong."""


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

    def run(self, children: int, files: Sequence[str] = ()) -> None:
        """Give every mutant without a verdict one; or those of `files` a new one. Raises MutationFailed."""
        self._ended([self._start("generate", self._folder)], "mutating")
        keys = [
            key
            for file in files or self.target.files
            for key in counted_keys(self.mutants, file, without_verdict=not files)
        ]
        shares = [share for share in (keys[number::children] for number in range(children)) if share]
        results = [self._folder / f"results-{number}.json" for number in range(len(shares))]
        self._ended(
            [
                self._start("forks", self.mutants, {"keys": share, "results": str(path)})
                for share, path in zip(shares, results, strict=True)
            ],
            "testing",
        )
        codes = {key: code for path in results for key, code in json.loads(path.read_text()).items()}
        for file in self.target.files:
            write_exit_codes(self.mutants, file, codes)

    def _start(self, module: str, folder: Path, work: Mapping[str, Any] | None = None) -> subprocess.Popen[str]:
        """A process of this package in that folder, with what it writes in `<module>.log`."""
        # the same tests everywhere, whatever this shell is set up for
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FILLRATE_", "FAULTS_"))}
        with self._log(module).open("a") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", f"quality.mutants.{module}"],
                cwd=folder,
                env=kept | {"PYTHONHASHSEED": "0"},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        assert process.stdin is not None
        with process.stdin:
            json.dump({"tests": self.target.tests, "arguments": PYTEST_ARGUMENTS, **(work or {})}, process.stdin)
        return process

    def _ended(self, processes: Sequence[subprocess.Popen[str]], what: str) -> None:
        codes = [process.wait() for process in processes]
        if any(codes):
            logs = f"{self._log('generate')} and {self._log('forks').name}"
            raise MutationFailed(f"{what} {self.target.name} ended with {max(codes, key=abs)}: see {logs}")

    def _log(self, module: str) -> Path:
        return self._folder / f"{module}.log"

    def _configuration(self) -> configparser.ConfigParser:
        configuration = configparser.ConfigParser(interpolation=None)
        configuration["mutmut"] = {
            "source_paths": "chalicelib",
            "only_mutate": _lines(self.target.files),
            "also_copy": _lines(ALSO_READ),
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
