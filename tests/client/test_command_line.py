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
from tests.client.sample_answers import (
    BALANCES,
    FILLS,
    ORDER_ID,
    QUOTE,
    accepted,
    life,
    order,
    pushed,
    split_over,
    step,
)
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
SOLD = "/quotes?tokenIn=SOL&tokenOut=USDC&amount=10"
BOUGHT = "/quotes?tokenIn=USDC&tokenOut=SOL&amount=150"


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
    """An order that is quoted, accepted, and lives that life."""
    service.script("GET", SOLD, Answer(200, QUOTE))
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
    service.script("GET", SOLD, Answer(200, QUOTE))
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
    [("sell", "SOL"), ("buy", "SOL"), ("nothing",), ("quote", "SOL", "USDC", "1", "--slippage", "x%")],
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


def test_a_quote_is_watched_for_as_long_as_is_asked_for(
    cli: Cli, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fillrate.following.POLL_SECONDS", 0.01)
    service.script("POST", "/ws-tickets", Answer(404, {"type": "urn:fillrate:problem:no-websocket", "title": "no"}))
    other, none = {**QUOTE, "amountOut": "1523"}, {"type": "urn:fillrate:problem:no-pool", "detail": "no pool"}
    path = "/quotes?tokenIn=SOL&tokenOut=USDC&amount=10"
    answers = [Answer(200, QUOTE), Answer(200, QUOTE), Answer(200, other), Answer(422, none)]
    service.script("GET", path, *answers)
    code, out, err = cli("quote", "SOL", "USDC", "10", "--watch", "--timeout", "2", "--json")
    assert (code, err) == (0, "")
    told = [json.loads(line) for line in out.splitlines()]
    assert [one.get("amountOut", one.get("errorCode")) for one in told] == [QUOTE["amountOut"], "1523", "NO_POOL"]
    service.script("GET", path, Answer(200, QUOTE))
    code, out, _ = cli("quote", "SOL", "USDC", "10", "--watch", "--timeout", "0.5")
    assert code == 0
    assert "no quote: No registered pool trades this pair." in out


def test_selling_and_buying_say_exactly_what_goes_in(cli: Cli, service: ScriptedService) -> None:
    script_order(service, life())
    service.script("GET", f"{SOLD}&slippage=0.005", Answer(200, {**QUOTE, "minOut": "1514.390001"}))
    service.script("GET", BOUGHT, Answer(200, {**QUOTE, "minOut": "0.9"}))
    cli("sell", "SOL", "10", "--for", "USDC", "--no-watch", "--slippage", "0.5%")
    cli("buy", "SOL", "--spend", "150", "--no-watch")
    sold, bought = orders_sent(service)
    trade = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "10"}
    assert sold == {**trade, "slippage": "0.005", "minOut": "1514.390001"}
    assert bought == {"type": "market", "tokenIn": "USDC", "tokenOut": "SOL", "amount": "150", "minOut": "0.9"}


def orders_sent(service: ScriptedService) -> list[Json]:
    return [json.loads(request.body) for request in service.received if request.method == "POST"]


@pytest.mark.parametrize(
    ("own", "sent"),
    [
        (None, "1506.780001"),
        ("1506.78", "1506.780001"),
        ("1506.780002", "1506.780002"),
        ("nonsense", "nonsense"),
    ],
    ids=["none", "looser", "stricter", "the service says what is wrong with it"],
)
def test_what_is_shown_as_the_least_is_sent_the_stricter_of_the_quotes_and_ones_own(
    cli: Cli, service: ScriptedService, own: str | None, sent: str
) -> None:
    script_order(service, life())
    _, _, err = cli(*SELL, "--no-watch", *(() if own is None else ("--min-out", own)))
    assert [order["minOut"] for order in orders_sent(service)] == [sent]
    assert f"receive at least {sent}" in err.replace(",", "")


@pytest.mark.parametrize(
    ("status", "code", "why"),
    [
        (503, "rpc-unavailable", "No Solana node answers."),
        (422, "no-pool", "No registered pool trades this pair."),
        (403, "forbidden", "The API key may not do this."),
    ],
)
def test_what_cannot_be_quoted_now_is_placed_with_the_slippage_alone_and_that_is_said(
    cli: Cli, service: ScriptedService, status: int, code: str, why: str
) -> None:
    service.script("GET", SOLD, refusal(status, code))
    service.script("POST", "/orders/execute", Answer(202, accepted()))
    _, _, err = cli(*SELL, "--no-watch")
    assert err.splitlines()[0] == (
        f"not quoted beforehand: {why} The order is placed all the same, and the slippage alone limits it."
    )
    assert orders_sent(service) == [{"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "10"}]
    cli(*SELL, "--no-watch", "--min-out", "1500")
    assert orders_sent(service)[-1]["minOut"] == "1500"


@pytest.mark.parametrize(
    ("answer", "code"),
    [(refusal(400, "invalid-request"), 3), (refusal(401, "unauthorized"), 4), (refusal(429, "rate-limited"), 5)],
)
def test_a_request_that_is_refused_when_it_is_quoted_places_nothing(
    cli: Cli, service: ScriptedService, answer: Answer, code: int
) -> None:
    service.script("GET", SOLD, answer)
    assert cli(*SELL, "--json")[0] == code
    assert orders_sent(service) == []


def test_with_a_key_of_ones_own_the_same_command_is_the_same_request(cli: Cli, service: ScriptedService) -> None:
    script_order(service, life())
    for _ in range(2):
        cli(*SELL, "--no-watch", "--idempotency-key", "mine", "--min-out", "1500")
    first, second = service.received  # and no quote, which would be another one the second time
    assert first.body == second.body
    assert json.loads(first.body)["minOut"] == "1500"


@pytest.mark.parametrize("more", [(), ("--yes",), ("--with", "USDC"), ("--spend", "150")])
def test_an_amount_to_buy_places_nothing_and_says_what_to_write(
    cli: Cli, service: ScriptedService, more: tuple[str, ...]
) -> None:
    line = "fillrate buy SOL --spend 150 [--with USDC]"
    code, out, err = cli("buy", "SOL", "150", *more)
    assert (code, out) == (2, "")
    assert line in err
    code, out, err = cli("buy", "SOL", "150", *more, "--json")
    assert (code, out) == (2, "")
    told = json.loads(err)
    assert told["code"] == "USAGE"
    assert line in told["detail"]
    assert service.received == []


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
    service.script("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=0", refusal(400, "invalid-request", errors=errors))
    _, _, err = cli("sell", "SOL", "0", "--for", "USDC")
    assert "amount: must be greater than zero" in err


def test_an_unknown_outcome_comes_with_what_makes_the_same_request_again(cli: Cli, service: ScriptedService) -> None:
    service.script("GET", SOLD, Answer(200, QUOTE))
    service.script("POST", "/orders/execute", BrokenOff(), BrokenOff(), BrokenOff(), Answer(202, accepted()))
    _, _, err = cli(*SELL)
    first = service.received[-1]
    words = ["--idempotency-key", first.headers["idempotency-key"], "--min-out", "1506.780001"]
    assert " ".join(words) in err
    cli(*SELL, "--no-watch", *words)
    again = service.received[-1]
    assert (again.body, again.headers["idempotency-key"]) == (first.body, first.headers["idempotency-key"])


def test_a_list_of_orders_stops_at_its_limit(cli: Cli, service: ScriptedService) -> None:
    found = [order(life(), f"order-{number}") for number in range(3)]
    service.script("GET", "/orders?status=confirmed&limit=2", Answer(200, {"orders": found[:2], "nextCursor": "c"}))
    code, out, _ = cli("orders", "--status", "confirmed", "--limit", "2", "--json")
    assert code == 0
    assert [json.loads(line)["orderId"] for line in out.splitlines()] == ["order-0", "order-1"]
    assert len(service.received) == 1


def test_balances_are_told_to_the_last_digit_and_cannot_steer_the_terminal(cli: Cli, service: ScriptedService) -> None:
    service.script("GET", "/balances", Answer(200, BALANCES))
    code, out, _ = cli("balances")
    assert code == 0
    assert "12.500000001 12.499109121" in " ".join(out.split())
    assert "JUP�[2J" in out
    assert "\x1b" not in out
    assert json.loads(cli("balances", "--json")[1]) == BALANCES


def test_fills_are_told_as_a_table_as_lines_of_json_and_as_comma_separated_values(
    cli: Cli, service: ScriptedService
) -> None:
    service.script("GET", "/fills?from=2026-01-01T00%3A00%3A00Z&limit=20", Answer(200, FILLS))
    code, out, _ = cli("fills", "--since", "2026-01-01T00:00:00Z")
    assert code == 0
    assert "-0.07 bps" in out
    service.script("GET", "/fills?limit=20", Answer(200, FILLS))
    assert json.loads(cli("fills", "--json")[1])["vsQuoteBps"] == "-0.0666666666666666667"
    lines = Answer(200, b"orderId,at\r\nx,y\r\n", {"content-type": "text/csv"})
    service.script("GET", "/fills?format=csv&limit=1000", lines)
    assert cli("fills", "--csv") == (0, "orderId,at\nx,y\n", "")
    assert cli("fills", "--csv", "--json")[0] == 2


def test_all_orders_are_cancelled_only_where_that_is_said(cli: Cli, service: ScriptedService) -> None:
    outcome = {"cancelled": 2, "tooLate": [ORDER_ID], "more": False}
    service.script("DELETE", "/orders?status=unsigned", Answer(200, outcome))
    service.script("DELETE", "/orders?status=open", Answer(200, {**outcome, "cancelled": 0, "tooLate": []}))
    code, out, err = cli("cancel", "--all")
    assert (code, out) == (0, "2 cancelled\n")
    assert f"too late for {ORDER_ID}" in err
    assert json.loads(cli("cancel", "--all", "--json")[1]) == outcome
    assert cli("cancel", "--all", "--waiting")[1] == "no order was there to cancel\n"
    for arguments in ((), (ORDER_ID, "--all"), (ORDER_ID, "--waiting")):
        code, _, err = cli("cancel", *arguments)
        assert code == 2
        assert "nothing is cancelled" in err
    assert len(service.received) == 3


def test_what_others_wrote_on_the_chain_cannot_steer_the_terminal(cli: Cli, service: ScriptedService) -> None:
    evil = {"symbol": "\x1b[2J\x1b]0;pwned\x07[red]FREE\u202e", "mint": "m", "decimals": 6, "tokenProgram": "p"}
    service.script("GET", "/tokens", Answer(200, {"tokens": [evil]}))
    _, out, _ = cli("tokens")
    assert "[red]FREE" in out
    assert not any(character in out for character in "\x1b\x07\u202e")


def test_each_pool_is_shown_with_its_program_and_not_its_exchange_alone(cli: Cli, service: ScriptedService) -> None:
    pools = ("raydium", "raydium-clmm", "0.6"), ("raydium", "raydium-amm-v4", "0.4")
    service.script("GET", SOLD, Answer(200, split_over(*pools)))
    _, out, _ = cli("quote", "SOL", "USDC", "10")
    for program in ("raydium-clmm", "raydium-amm-v4"):
        assert sum(line.startswith(f"{program} ") for line in out.splitlines()) == 2, "of the route, and alone"


@pytest.mark.parametrize(
    ("programs", "shown"),
    [
        (("raydium-clmm", "meteora-dlmm"), "by raydium-clmm 60 % + meteora-dlmm 40 %"),
        ((None, None), "by raydium 60 % + meteora 40 %"),  # an order from before programs were told
    ],
)
def test_an_orders_route_names_the_programs(
    cli: Cli, service: ScriptedService, programs: tuple[str | None, str | None], shown: str
) -> None:
    route = split_over(("raydium", programs[0], "0.6"), ("meteora", programs[1], "0.4"))["route"]
    history = [step(1, "pending"), step(2, "routing"), step(3, "building", route=route, quotedOut="1522")]
    service.script("GET", f"/orders/{ORDER_ID}", Answer(200, order(history)))
    _, out, _ = cli("order", ORDER_ID)
    assert f"quoted 1,522 USDC {shown}" in out


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
    degraded = ["no node: no Solana node answers"]
    answer = {"status": "unavailable", "stage": "local", "degraded": degraded, "checks": checks}
    service.script("GET", "/health", Answer(503, answer))
    code, out, _ = cli("health")
    assert code == 5
    assert out.splitlines()[4:] == degraded
    assert [line.split(maxsplit=2) for line in out.splitlines()[1:4]] == [
        ["solana", "down", "RpcUnavailable"],
        ["queue", "ok", "waiting 3"],
        ["halt", "ok", "not halted"],
    ]


@pytest.mark.parametrize(
    ("command", "sent"),
    [
        (("limit", "--limit-price", "160"), {"type": "limit", "limitPrice": "160"}),
        (("stop", "--trailing", "5%", "--slippage", "1%"), {"type": "stop", "trailing": "0.05", "slippage": "0.01"}),
        (
            ("oco", "--limit-price", "160", "--stop-price", "140", "--force"),
            {"type": "oco", "limitPrice": "160", "stopPrice": "140", "force": True},
        ),
    ],
)
def test_an_order_that_waits_is_placed_and_not_watched_unless_it_is_asked_for(
    cli: Cli, service: ScriptedService, command: tuple[str, ...], sent: Json
) -> None:
    service.script("POST", "/orders/execute", Answer(202, {**accepted(service.ws_url), "status": "open"}))
    name, *options = command
    code, out, _ = cli(name, "SOL", "10", "--for", "USDC", *options)
    assert (code, out.strip()) == (0, f"accepted: order {ORDER_ID}")
    (received,) = service.received
    assert json.loads(received.body) == {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "10", **sent}


def test_a_life_that_waits_is_told_with_its_prices_and_what_set_it_off(cli: Cli, service: ScriptedService) -> None:
    trigger = {"kind": "stop", "price": "139.5", "slot": 7, "at": "2026-01-02T03:04:05.000Z"}
    history = [
        step(1, "open", limitPrice="160", stopPrice="140"),
        step(2, "pending", trigger=trigger),
        step(3, "routing", trigger=trigger),
        step(4, "open", trigger=trigger, errorCode="SLIPPAGE_EXCEEDED", error="moved"),
    ]
    service.script("GET", f"/orders/{ORDER_ID}", Answer(200, {**order(history), "type": "oco"}))
    code, out, _ = cli("order", ORDER_ID)
    assert code == 0
    assert "waits for 160 or more or 140 or less" in out
    assert "its stop is reached: 139.5 USDC" in out
    assert "it waits for its floor" in out


def test_a_change_is_told_by_the_step_that_it_is(cli: Cli, service: ScriptedService) -> None:
    history = [step(1, "open", stopPrice="140"), step(2, "open", stopPrice="142")]
    service.script("PATCH", f"/orders/{ORDER_ID}", Answer(200, {**order(history), "type": "stop"}))
    code, out, _ = cli("change", ORDER_ID, "--stop-price", "142", "--no-min-out")
    assert code == 0
    assert "142 or less" in out
    assert "140" not in out
    assert json.loads(service.received[0].body) == {"stopPrice": "142", "minOut": None}


def test_a_least_that_is_given_and_taken_at_once_changes_nothing(cli: Cli, service: ScriptedService) -> None:
    code, _, err = cli("change", ORDER_ID, "--min-out", "1", "--no-min-out")
    assert (code, service.received) == (2, [])
    assert "contradict" in err
