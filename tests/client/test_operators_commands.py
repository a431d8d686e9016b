"""The operators' commands of `fillrate`: there in a checkout, and told of in a sentence where there is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import typer
from fillrate.cli import checkout
from fillrate.cli.main import run

import bench.command
import operations.commands

COMMANDS = pytest.mark.parametrize(
    "words",
    [
        ("halt",),
        ("halt", "--reason", "a drill"),
        ("resume", "--account", "desk"),
        ("redrive", "--stage", "prod"),
        ("bench",),
        ("pools",),
        ("pools", "list"),
        ("pools", "add", "address"),
        ("keys", "--help"),
        ("keys", "create", "--account", "desk"),
        ("limits", "set", "slippage=0.02"),
        ("limits", "show"),
    ],
    ids=" ".join,
)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is in no checkout, as the package is, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkout, "__file__", str(tmp_path / "fillrate" / "cli" / "checkout.py"))
    return tmp_path


@COMMANDS
def test_without_a_checkout_each_says_in_a_sentence_what_is_missing(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert run([*words]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert f"`fillrate {words[0]}` is a command of Fillrate's own checkout" in line
    assert run([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().err)["code"] == "NO_CHECKOUT"


@COMMANDS
def test_in_a_checkout_whose_packages_are_missing_each_names_the_one_and_the_program_to_run(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    mark = elsewhere / "operations" / "commands" / "__init__.py"
    mark.parent.mkdir(parents=True)
    mark.touch()
    for name in {one.module for one in checkout.COMMANDS.values()}:
        monkeypatch.setitem(sys.modules, name, None)  # as where what it imports is not installed
    assert run([*words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert checkout.COMMANDS[words[0]].module in line
    assert f"{elsewhere}/.venv/bin/fillrate" in line


def test_the_names_and_helps_that_the_client_lists_are_the_checkouts_own() -> None:
    modules = {"operations.commands": operations.commands.app, "bench.command": bench.command.app}
    offered = {
        (name, command.help, module)
        for module, app in modules.items()
        for name, command in typer.main.get_group(app).commands.items()
    }
    assert offered == {(name, one.help, one.module) for name, one in checkout.COMMANDS.items()}
