"""`pip install ./client` and nothing else: every command ends with a sentence, in a checkout too."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest
import typer
from fillrate.cli.main import app
from packaging.requirements import Requirement

from infra.project import PROJECT

# Runs each command of the list on stdin and prints what each ended with, by the exception's name if it didn't end.
RUN_EACH = """
import contextlib, io, json, os, sys
from fillrate.cli.main import run
ended = {}
for words in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = run(words)
        except BaseException as error:
            code = repr(error)
    ended[" ".join(words)] = [code, said.getvalue()]
print(json.dumps(ended))
"""
COMMANDS = (
    "--help",
    "--version",
    "health",
    "tokens",
    "quote SOL USDC 1",
    "sell SOL 1 --for USDC",
    "buy SOL --spend 1",
    "limit SOL 1 --for USDC --limit-price 200",
    "stop SOL 1 --for USDC --stop-price 100",
    "stop SOL 1 --for USDC --trailing 0.05",
    "oco SOL 1 --for USDC --limit-price 200 --stop-price 100",
    "change x --limit-price 201",
    "orders",
    "order x",
    "cancel x",
    "cancel --all",
    "balances",
    "fills",
    "fills --csv",
    "watch",
    "watch x --json",
    "halt",
    "halt --status --json",
    "resume",
    "redrive --stage prod",
    "audit",
    "approve x",
    "approvals",
    "doctor",
    "bench",
    "pools",
    "pools list",
    "pools discover SOL/USDC",
    "pools schedule --on",
    "keys list",
    "keys create --account desk",
    "keys revoke x --cancel-orders",
    "limits show",
    "limits set slippage=0.02",
)


def test_every_command_that_there_is_is_tried() -> None:
    assert typer.main.get_group(app).commands.keys() == {words.split()[0] for words in COMMANDS if words[0] != "-"}


def closure(package: str) -> set[str]:
    """The distributions that pip brings with `package`."""
    found: set[str] = set()
    waiting = [package]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the client and what it requires."""
    directory = tmp_path_factory.mktemp("client-alone")
    venv.create(directory, with_pip=False, symlinks=True)
    theirs = next(directory.glob("lib/python*/site-packages"))
    for name in closure("fillrate") - {"fillrate"}:
        for file in metadata.files(name) or ():
            top = file.parts[0]
            if top != ".." and not (theirs / top).exists():
                (theirs / top).symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1].resolve() / top)
    shutil.copytree(PROJECT / "client" / "fillrate", theirs / "fillrate")
    return directory / "bin" / "python"


@pytest.mark.parametrize("place", ["elsewhere", "in a checkout"])
def test_every_command_ends_with_a_sentence_and_none_with_a_traceback(python: Path, tmp_path: Path, place: str) -> None:
    directory = tmp_path
    if place == "in a checkout":
        for room in ("operations", "chalicelib", "infra", "bench"):
            (tmp_path / room).symlink_to(PROJECT / room)
    done = subprocess.run(
        [python, "-I", "-c", RUN_EACH],
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        input=json.dumps([command.split() for command in COMMANDS]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout)
    assert set(ended) == set(COMMANDS)
    for command, (code, said) in ended.items():
        assert isinstance(code, int), (command, code)
        assert "Traceback" not in said
        assert said.strip(), command


def test_it_has_none_of_the_packages_of_a_checkout(python: Path) -> None:
    """Else the test above would show nothing."""
    for package in ("boto3", "chalice", "solders", "pytest"):
        done = subprocess.run([python, "-I", "-c", f"import {package}"], capture_output=True, check=False)
        assert done.returncode != 0
    assert sys.prefix != str(python.parent.parent)
