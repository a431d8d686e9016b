"""`fillrate doctor`: each thing that is wrong with the service is found, and comes with what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fillrate.cli import checkout
from fillrate.cli.doctor import _REMEDIES
from fillrate.cli.main import run

from chalicelib.http.health import late_looks, reasons
from tests.client.scripted_service import Answer, ScriptedService

Json = dict[str, Any]
WELL = {"solana": {"ok": True}, "queue": {"ok": True}}
Doctor = Callable[[], tuple[int, dict[str, Json]]]


@pytest.fixture
def doctor(
    service: ScriptedService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    """Runs it against a service, well but for what a test scripts before: the exit code, and findings by part."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkout, "__file__", str(tmp_path / "fillrate" / "cli" / "checkout.py"))
    monkeypatch.setenv("FILLRATE_URL", service.url)
    monkeypatch.delenv("FILLRATE_API_KEY", raising=False)

    def call() -> tuple[int, dict[str, Json]]:
        service.script("GET", "/health", Answer(200, {"status": "ok", "checks": WELL}))
        service.script("GET", "/orders?limit=1", Answer(200, {"orders": []}))
        service.script("POST", "/ws-tickets", Answer(200, {"wsUrl": service.ws_url}))
        service.sockets.append([])
        code = run(["doctor", "--json"])
        found = json.loads(capsys.readouterr().out)["findings"]
        assert all(one["remedy"] for one in found if one["verdict"] == "wrong")
        return code, {one["part"]: one for one in found}

    return call


def test_where_all_is_well_it_says_so_and_ends_with_0(doctor: Doctor) -> None:
    code, found = doctor()
    assert code == 0
    assert {part: one["verdict"] for part, one in found.items()} == {
        "checkout": "note",
        "service": "ok",
        "API key": "ok",
        "pushes": "ok",
    }


@pytest.mark.parametrize(
    ("part", "remedy"), [("solana", "node"), ("halt", "control table"), ("something new", "runbook")]
)
def test_a_part_that_is_down_comes_with_its_own_remedy(
    doctor: Doctor, service: ScriptedService, part: str, remedy: str
) -> None:
    checks = WELL | {part: {"ok": False, "error": "Down"}}
    service.script("GET", "/health", Answer(503, {"status": "unavailable", "checks": checks}))
    code, found = doctor()
    assert code == 1
    assert found["service"]["verdict"] == "wrong"
    assert "Down" in found[part]["seen"]
    assert remedy in found[part]["remedy"]


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("halted: an operator has stopped all orders", "fillrate resume"),
        ("overdue: an order has waited for a worker for 47 s", "worker"),
        ("queue: 3 waiting, the oldest message for 47 s", "worker"),
        ("no pools: no pool that can be traded is registered", "fillrate pools"),
        ("something new: nobody knows it", "runbook"),
    ],
)
def test_a_reason_why_no_order_would_trade_comes_with_its_own_remedy_where_every_part_answers(
    doctor: Doctor, service: ScriptedService, reason: str, remedy: str
) -> None:
    service.script("GET", "/health", Answer(503, {"status": "unavailable", "degraded": [reason], "checks": WELL}))
    code, found = doctor()
    kind, _, words = reason.partition(": ")
    assert code == 1
    assert (found[kind]["verdict"], found[kind]["seen"]) == ("wrong", words)
    assert remedy in found[kind]["remedy"]


def test_a_part_that_does_not_answer_is_told_of_once(doctor: Doctor, service: ScriptedService) -> None:
    answer = {
        "status": "unavailable",
        "degraded": ["no node: no Solana node answers", "halted: an operator has stopped all orders"],
        "checks": WELL | {"solana": {"ok": False, "error": "NoAnswer"}},
    }
    service.script("GET", "/health", Answer(503, answer))
    _, found = doctor()
    assert [part for part, one in found.items() if one["verdict"] == "wrong"] == ["service", "solana", "halted"]


def test_every_kind_of_reason_that_health_has_comes_with_a_remedy_of_its_own() -> None:
    words: dict[str, Json | None] = {"halt": {"halted": True}, "pools": {"registered": 0}}
    words |= {"orders": {"overdueSeconds": 31}, "queue": {"waiting": 3}, "looks": {"pairs": 2, "lateSeconds": 16}}
    silent: dict[str, Json | None] = dict.fromkeys(("solana", "pools", "orders", "queue", "halt", "looks"))
    kinds = {reason.partition(":")[0] for told in (words, silent) for reason in (*reasons(told), *late_looks(told))}
    assert len(kinds) >= 8
    assert kinds <= _REMEDIES.keys()


def test_a_key_that_is_refused_is_found(doctor: Doctor, service: ScriptedService) -> None:
    refusal = {"type": "urn:fillrate:problem:UNAUTHORIZED", "title": "T", "status": 401, "detail": "no such key"}
    service.script("GET", "/orders?limit=1", Answer(401, refusal, {"content-type": "application/problem+json"}))
    code, found = doctor()
    assert code == 1
    assert found["API key"]["verdict"] == "wrong"
    assert "FILLRATE_API_KEY" in found["API key"]["remedy"]


def test_a_websocket_that_cannot_be_opened_is_found_and_no_ticket_shown(
    doctor: Doctor, service: ScriptedService
) -> None:
    service.sockets.append(None)
    code, found = doctor()
    assert code == 1
    assert found["pushes"]["verdict"] == "wrong"
    assert "ticket" not in json.dumps(found)


def test_a_stage_without_a_websocket_is_a_note_and_nothing_wrong(doctor: Doctor, service: ScriptedService) -> None:
    refusal = {"type": "urn:fillrate:problem:no-websocket", "title": "T", "status": 404, "detail": "none here"}
    service.script("POST", "/ws-tickets", Answer(404, refusal, {"content-type": "application/problem+json"}))
    code, found = doctor()
    assert code == 0
    assert (found["pushes"]["verdict"], found["pushes"]["seen"]) == ("note", "none here: commands poll")


def test_a_service_that_does_not_answer_is_found(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FILLRATE_URL", "http://127.0.0.1:1/api")
    code, found = doctor()
    assert code == 1
    assert "can't be reached" in found["service"]["seen"]
    assert run(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "✗ service" in said
    assert "→" in said


def test_commands_that_go_elsewhere_than_to_the_local_stack_here_are_pointed_out(
    doctor: Doctor, tmp_path: Path
) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").write_text('{"restUrl": "http://127.0.0.1:4566/api"}')
    code, found = doctor()
    assert code == 0
    assert found["address"]["verdict"] == "note"
    assert "FILLRATE_URL" in found["address"]["remedy"]


def test_a_checkout_that_this_python_cannot_load_is_found(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "operations" / "commands").mkdir(parents=True)
    (tmp_path / "operations" / "commands" / "__init__.py").touch()
    monkeypatch.setattr(checkout, "_EXAMINATION", "infra.local_stack.nothing")
    code, found = doctor()
    assert code == 1
    assert "make up" in found["packages"]["remedy"]
    assert found["service"]["verdict"] == "ok"
