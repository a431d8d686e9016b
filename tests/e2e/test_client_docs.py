"""The examples of client/README.md and docs/cli.md are run as they are written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.project import PROJECT

README = PROJECT / "client" / "README.md"
CLI = PROJECT / "docs" / "cli.md"
# Words that differ from run to run: which venue is best, of how many pools the route is, whether it paid as quoted.
VARYING = {"raydium", "meteora", "split", "over", "pools", "one", "pool", "hops", "the", "best", "route", "as"}


@dataclass(frozen=True)
class Command:
    text: str
    output: str


@pytest.fixture(scope="module")
def home(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory where `make up` seems to have run."""
    directory: Path = tmp_path_factory.mktemp("docs")
    (directory / ".local").mkdir()
    (directory / ".local" / "stack.json").write_text(json.dumps(stack))
    return directory


def environment() -> dict[str, str]:
    foreign = ("FILLRATE_", "AWS_", "SOLANA_", "NO_COLOR", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return kept | {"PYTHONPATH": str(PROJECT / "client"), "PATH": path}


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL))
def test_the_clients_examples_run(example: str, home: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", example]
    done = subprocess.run(command, cwd=home, env=environment(), capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr


def test_the_command_lines_examples_say_what_is_written(home: Path) -> None:
    documented = [command for block in _console_blocks(CLI) for command in _commands(block)]
    assert len(documented) > 10
    # the page's reader has no dead letters, and the stack may have some of other tests' orders
    _run_in_one_shell(["fillrate redrive"], home)
    outputs = _run_in_one_shell([command.text for command in documented], home)
    for command, output in zip(documented, outputs, strict=True):
        missing = _words(command.output) - _words(output) - VARYING
        assert not missing, f"$ {command.text}\n{output}\nlacks {missing}"


def _console_blocks(page: Path) -> Iterator[str]:
    yield from re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)


def _commands(block: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        text, _, output = part.partition("\n")
        yield Command(text, output)


def _run_in_one_shell(commands: list[str], home: Path) -> list[str]:
    """Each command's stdout and stderr; what one sets, the next has."""
    mark = "=" * 20
    # a command sees the exit code of the one before, not of the mark between
    script = "\n".join(f"{command}\nlast=$?; echo {mark}; (exit $last)" for command in commands)
    done = subprocess.run(
        ["bash"],
        input=script,
        cwd=home,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return done.stdout.split(f"{mark}\n")[: len(commands)]


def _words(text: str) -> set[str]:
    """What is the same at each run: words, and an exit code alone; no amounts, counts, ids or addresses."""
    words = {word.strip(".,:`'\"{}[]()") for word in text.split() if re.fullmatch(r"\W*[A-Za-z_]{2,20}\W*", word)}
    return words | ({text.strip()} if text.strip().isdigit() else set())
