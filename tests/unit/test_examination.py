"""What `fillrate doctor` finds in a checkout."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fillrate.cli.findings import Finding, Verdict

from infra.local_stack import examination
from infra.local_stack.examination import examine
from testing.ports import free_port


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that has been made, where nothing runs; no port of a stack's is anybody's."""
    for name in ("requirements-build.txt", "requirements-local.txt", "client/pyproject.toml", ".venv/.local"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    for name in ("tests/specs", "testing/sdk", "web"):
        (tmp_path / name / "node_modules").mkdir(parents=True)
    monkeypatch.setattr(examination, "AWS_PORT", free_port())
    monkeypatch.setattr(examination, "RPC_PORT", free_port(following=1))
    monkeypatch.setattr(examination, "_FEWEST_FREE_BYTES", 0)
    return tmp_path


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def found(root: Path) -> dict[str, Finding]:
    findings = list(examine(root))
    assert all(one.remedy for one in findings if one.verdict is Verdict.WRONG)
    return {one.part: one for one in findings}


def wrong(root: Path) -> list[str]:
    return [part for part, one in found(root).items() if one.verdict is Verdict.WRONG]


def test_a_checkout_where_nothing_runs_has_nothing_wrong_with_it(root: Path) -> None:
    assert wrong(root) == []
    assert "make up" in found(root)["local stack"].remedy


def test_requirements_that_changed_after_the_packages_were_installed_are_named(root: Path) -> None:
    made = (root / ".venv" / ".local").stat().st_mtime
    os.utime(root / "requirements-local.txt", (made + 10, made + 10))
    assert wrong(root) == ["packages"]
    assert "requirements-local.txt" in found(root)["packages"].seen


def test_packages_that_were_never_installed_are_found(root: Path) -> None:
    (root / ".venv" / ".local").unlink()
    assert wrong(root) == ["packages"]


def test_a_port_that_another_program_has_is_named_with_the_option_that_chooses_another(
    root: Path, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "RPC_PORT", listener - 1)  # the chain's WebSocket has the next one
    assert wrong(root) == ["port"]
    assert str(listener) in found(root)["port"].seen
    assert "RPC_PORT=" in found(root)["port"].remedy


def test_a_process_that_is_gone_is_found_while_the_other_listens(root: Path, listener: int) -> None:
    (root / ".local").mkdir()
    stack = {"awsEndpoint": "http://127.0.0.1:1", "rpcUrl": f"http://127.0.0.1:{listener}"}
    (root / ".local" / "stack.json").write_text(json.dumps(stack))
    assert wrong(root) == ["emulator"]
    assert found(root)["chain"].verdict is Verdict.OK


def test_a_description_that_cannot_be_read_is_found(root: Path) -> None:
    (root / ".local").mkdir()
    (root / ".local" / "stack.json").write_text("{")
    assert wrong(root) == ["local stack"]


def test_a_full_disk_is_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "_FEWEST_FREE_BYTES", shutil.disk_usage(root).total + 1)
    assert wrong(root) == ["disk"]


def test_a_directory_that_another_user_made_is_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".local").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    assert wrong(root) == ["directory"]
    assert "chown" in found(root)["directory"].remedy


def test_npm_tools_that_are_not_installed_are_a_note(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "web" / "node_modules").rmdir()
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/npm")
    assert found(root)["npm"].verdict is Verdict.NOTE
    assert "web" in found(root)["npm"].seen
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert found(root)["npm"].verdict is Verdict.NOTE
