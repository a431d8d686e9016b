"""What `fillrate` prints, where, and what it ends with."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
from fillrate.cli import plain_words
from fillrate.cli.main import run

import chalicelib
from chalicelib import problems
from tests.client.sample_answers import ORDER_ID, QUOTE, accepted, life, order, pushed, step
from tests.client.scripted_service import Answer, BrokenOff, ScriptedService

Json = dict[str, Any]
Cli = Callable[..., tuple[int, str, str]]

FAILED = [
    step(1, "pending"),
    step(2, "routing"),
    step(3, "failed", terminal=False, retryInMs=1000, retryCount=1, errorCode="SLIPPAGE_EXCEEDED", error="moved"),
    step(4, "routing"),
    step(5, "failed", terminal=True, retryCount=2, errorCode="NO_POOL", error="no pool trades this pair"),
]
SELL = ("sell", "SOL", "10", "--for", "USDC")


@pytest.fixture
def cli(service: ScriptedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command against the scripted service: its exit code, stdout and stderr."""
    monkeypatch.setenv("FILLRATE_URL", service.url)
    monkeypatch.delenv("FILLRATE_API_KEY", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def script_order(service: ScriptedService, history: list[Json], **fields: object) -> None:
    """An order that is accepted and lives that life."""
    service.script("POST", "/orders/execute", Answer(202, accepted(service.ws_url)))
    service.sockets.append([pushed(change) for change in history])
    service.script("GET", f"/orders/{ORDER_ID}", Answer(200, {**order(history), **fields}))


def refusal(status: int, code: str, **more: object) -> Answer:
    body = {"type": f"urn:fillrate:problem:{code}", "title": "T", "status": status, "detail": "why", **more}
    return Answer(status, body)


@pytest.mark.parametrize(
    ("history", "code"),
    [(life(), 0), (FAILED, 7), (life(["pending", "cancelled"]), 8), (life(["pending", "expired"]), 7)],
    ids=["confirmed", "failed", "cancelled", "expired"],
)
@pytest.mark.parametrize("more", [(), ("--json",)], ids=["words", "json"])
def test_the_exit_code_tells_how_the_order_ended(
    cli: Cli, service: ScriptedService, history: list[Json], code: int, more: tuple[str, ...]
) -> None:
    script_order(service, history)
    assert cli(*SELL, *more)[0] == code


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refusal(400, "invalid-request"), 3),
        (refusal(404, "not-found"), 3),
        (refusal(409, "conflict"), 3),
        (refusal(422, "no-pool"), 3),
        (refusal(401, "unauthorized"), 4),
        (refusal(403, "forbidden"), 4),
        (refusal(503, "aws-unavailable"), 5),
        (refusal(429, "backlogged"), 5),
        (BrokenOff(), 9),
    ],
)
def test_the_exit_code_tells_why_there_is_no_order(
    cli: Cli, service: ScriptedService, answer: Answer | BrokenOff, code: int
) -> None:
    service.script("POST", "/orders/execute", answer)
    ended, out, err = cli(*SELL, "--json")
    assert ended == code
    assert out == ""
    assert json.loads(err)["code"]


def test_an_order_that_takes_too_long_is_left_to_itself(cli: Cli, service: ScriptedService) -> None:
    script_order(service, life(["pending"]))
    code, out, err = cli(*SELL, "--timeout", "0.2", "--json")
    assert code == 6
    assert out == ""
    assert json.loads(err)["orderId"] == ORDER_ID


def test_when_nobody_is_there_it_says_how_to_start_one(cli: Cli, service: ScriptedService) -> None:
    service.close()
    code, out, err = cli("tokens")
    assert code == 5
    assert out == ""
    assert "make up" in err


@pytest.mark.parametrize(
    "arguments",
    [("sell", "SOL"), ("buy", "SOL", "10"), ("nothing",), ("quote", "SOL", "USDC", "1", "--slippage", "x%")],
)
def test_a_wrong_command_line_is_a_usage_error(cli: Cli, arguments: tuple[str, ...]) -> None:
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert err
    code, out, err = cli(*arguments, "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["code"] == "USAGE"


def test_json_is_all_there_is_on_stdout_and_nothing_is_on_stderr(cli: Cli, service: ScriptedService) -> None:
    script_order(service, life(), amountOut="1522.000001")
    code, out, err = cli(*SELL, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["amountOut"] == "1522.000001"


def test_watching_with_json_is_a_line_for_each_step(cli: Cli, service: ScriptedService) -> None:
    script_order(service, FAILED)
    code, out, err = cli("watch", ORDER_ID, "--json")
    assert (code, err) == (7, "")
    assert [json.loads(line) for line in out.splitlines()] == [pushed(change) for change in FAILED]


def test_selling_and_buying_say_exactly_what_goes_in(cli: Cli, service: ScriptedService) -> None:
    script_order(service, life())
    cli("sell", "SOL", "10", "--for", "USDC", "--no-watch", "--slippage", "0.5%")
    cli("buy", "SOL", "150", "--with", "USDC", "--no-watch")
    sold, bought = (json.loads(request.body) for request in service.received)
    assert sold == {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "10", "slippage": "0.005"}
    assert bought == {"type": "market", "tokenIn": "USDC", "tokenOut": "SOL", "amount": "150"}


def test_the_least_that_may_come_out_is_sent_with_the_order(cli: Cli, service: ScriptedService) -> None:
    script_order(service, life())
    cli(*SELL, "--no-watch", "--min-out", "1506.780001")
    cli("buy", "SOL", "150", "--with", "USDC", "--no-watch", "--min-out", "0.9")
    assert [json.loads(request.body)["minOut"] for request in service.received] == ["1506.780001", "0.9"]


RETRIED = [
    step(1, "pending"),
    step(2, "building", quotedOut="1522", minOut="1506.78"),
    step(3, "failed", terminal=False, retryInMs=1000, retryCount=1, errorCode="SLIPPAGE_EXCEEDED", error="moved"),
    step(4, "building", quotedOut="1510", minOut="1506.78"),
    step(5, "confirmed", amountOut="1510"),
]


@pytest.mark.parametrize(
    ("got", "against_quote", "against_floor"),
    [
        ("1522", "exactly as quoted at first", "15.22 USDC more than the least"),
        ("1521.999999", "0.000001 USDC less than quoted at first", "15.219999 USDC more than the least"),
        ("1522.000001", "0.000001 USDC more than quoted at first", "15.220001 USDC more than the least"),
        ("1506.78", "15.22 USDC less than quoted at first", "exactly the least"),
    ],
)
def test_a_fill_is_compared_with_the_first_quote_and_the_floor_to_the_last_unit(
    cli: Cli, service: ScriptedService, got: str, against_quote: str, against_floor: str
) -> None:
    script_order(service, RETRIED, amountOut=got, quotedOut="1510", minOut="1506.78")
    _, _, err = cli(*SELL)
    assert {against_quote, against_floor} <= set(err.splitlines())


def test_a_failure_is_told_in_plain_words_with_what_to_do(cli: Cli, service: ScriptedService) -> None:
    script_order(service, FAILED, error="no pool trades this pair", errorCode="NO_POOL")
    _, out, err = cli(*SELL)
    assert "attempt 1 of 3: The price moved further than the slippage allows. Trying again in 1 s." in out
    assert "No registered pool trades this pair." in err
    assert "`fillrate tokens` lists what is traded." in err


def test_wrong_fields_are_named(cli: Cli, service: ScriptedService) -> None:
    errors = [{"field": "amount", "message": "must be greater than zero"}]
    service.script("POST", "/orders/execute", refusal(400, "invalid-request", errors=errors))
    _, _, err = cli("sell", "SOL", "0", "--for", "USDC")
    assert "amount: must be greater than zero" in err


def test_an_unknown_outcome_comes_with_the_key_that_settles_it(cli: Cli, service: ScriptedService) -> None:
    service.script("POST", "/orders/execute", BrokenOff())
    _, _, err = cli(*SELL)
    assert f"--idempotency-key {service.received[0].headers['idempotency-key']}" in err


def test_a_list_of_orders_stops_at_its_limit(cli: Cli, service: ScriptedService) -> None:
    found = [order(life(), f"order-{number}") for number in range(3)]
    service.script("GET", "/orders?status=confirmed&limit=2", Answer(200, {"orders": found[:2], "nextCursor": "c"}))
    code, out, _ = cli("orders", "--status", "confirmed", "--limit", "2", "--json")
    assert code == 0
    assert [json.loads(line)["orderId"] for line in out.splitlines()] == ["order-0", "order-1"]
    assert len(service.received) == 1


def test_what_others_wrote_on_the_chain_cannot_steer_the_terminal(cli: Cli, service: ScriptedService) -> None:
    evil = {"symbol": "\x1b[2J\x1b]0;pwned\x07[red]FREE\u202e", "mint": "m", "decimals": 6, "tokenProgram": "p"}
    service.script("GET", "/tokens", Answer(200, {"tokens": [evil]}))
    _, out, _ = cli("tokens")
    assert "[red]FREE" in out
    assert not any(character in out for character in "\x1b\x07\u202e")


def test_amounts_are_shown_to_the_last_digit_and_never_cut(cli: Cli, service: ScriptedService) -> None:
    service.script("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=10", Answer(200, QUOTE))
    _, out, _ = cli("quote", "SOL", "USDC", "10")
    for exact in ("1,522.000001 USDC", "1,506.780001 USDC", "152.2000001 USDC per SOL", "0.00001 %", "0.00001 SOL"):
        assert exact in out
    assert "…" not in out


def in_a_terminal(service: ScriptedService, *arguments: str, **environment: str) -> str:
    """What a real process writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "fillrate.cli", *arguments]
    variables = {**os.environ, "FILLRATE_URL": service.url, "COLUMNS": "80", "TERM": "xterm-256color", **environment}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables)
    os.close(theirs)
    written = b""
    while True:
        try:
            chunk = os.read(ours, 65_536)
        except OSError:  # that is how Linux says that the other end is closed
            break
        if not chunk:
            break
        written += chunk
    os.close(ours)
    assert process.wait() == 0
    return written.decode()


def test_no_color_is_respected(service: ScriptedService) -> None:
    service.script("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=10", Answer(200, QUOTE))
    assert "\x1b[1;32m" in in_a_terminal(service, "quote", "SOL", "USDC", "10")
    assert "\x1b[1;32m" not in in_a_terminal(service, "quote", "SOL", "USDC", "10", NO_COLOR="1")


def test_a_terminal_sees_the_order_live(service: ScriptedService) -> None:
    script_order(service, life(), amountOut="1522.000001", executedPrice="152.2000001", txHash="hash")
    written = in_a_terminal(service, *SELL)
    assert "waiting for" in written, "what it is at right now"
    assert "sold 10 SOL for 1,522.000001 USDC" in written


def test_every_error_code_of_the_service_has_plain_words() -> None:
    for module in walk_packages(chalicelib.__path__, "chalicelib."):  # errors are made wherever they are known
        import_module(module.name)

    def codes(error: type[problems.FillrateError]) -> set[str]:
        ours = (kind for kind in error.__subclasses__() if kind.__module__.startswith("chalicelib."))
        return {error.code}.union(*map(codes, ours))

    known = codes(problems.FillrateError)
    assert {"RPC_REFUSED", "TRANSACTION_TOO_LARGE", "EXECUTION_FAILED", "TRANSIENT", "PERMANENT"} <= known
    assert {code for code in known if plain_words.words_for(code) is None} == set()


def test_each_parts_health_is_told_in_its_own_words(cli: Cli, service: ScriptedService) -> None:
    checks = {
        "solana": {"ok": False, "error": "RpcUnavailable"},
        "queue": {"ok": True, "value": {"waiting": 3}},
        "halt": {"ok": True, "value": {"halted": False}},
    }
    service.script("GET", "/health", Answer(503, {"status": "unavailable", "stage": "local", "checks": checks}))
    code, out, _ = cli("health")
    assert code == 5
    assert [line.split(maxsplit=2) for line in out.splitlines()[1:]] == [
        ["solana", "down", "RpcUnavailable"],
        ["queue", "ok", "waiting 3"],
        ["halt", "ok", "not halted"],
    ]
