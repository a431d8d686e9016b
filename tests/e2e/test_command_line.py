"""`fillrate` on the running stack: every command, with --json and without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import patch

import pytest
from fillrate import Fillrate
from fillrate.cli.main import run

from chalicelib.venues import supported
from infra.project import PROJECT
from testing.client import eventually

Json = Any
Cli = Callable[..., "Done"]
LIFE = ["pending", "routing", "building", "submitted", "confirmed"]


@pytest.fixture(scope="module")
def home(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory where `make up` seems to have run."""
    directory: Path = tmp_path_factory.mktemp("home")
    (directory / ".local").mkdir()
    (directory / ".local" / "stack.json").write_text(json.dumps(stack))
    return directory


def environment() -> dict[str, str]:
    """Ours, without what would lead a command elsewhere; the package under test is the checkout's."""
    foreign = ("FILLRATE_", "AWS_", "SOLANA_", "NO_COLOR", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"PYTHONPATH": str(PROJECT / "client")}


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str


def process(home: Path, *arguments: str) -> Done:
    """The command as a process of its own."""
    command = [sys.executable, "-m", "fillrate.cli", *arguments]
    done = subprocess.run(command, cwd=home, env=environment(), capture_output=True, text=True, timeout=60)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def cli(home: Path) -> Cli:
    """Runs a command in this process, which takes a tenth of the time, and expects its exit code."""

    def call(*arguments: str, expect: int = 0) -> Done:
        out, err = StringIO(), StringIO()
        with (
            chdir(home),
            patch.dict(os.environ, environment(), clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            done = Done(run(list(arguments)), out.getvalue(), err.getvalue())
        assert done.code == expect, done
        return done

    return call


def as_json(done: Done) -> Json:
    assert done.stderr == ""
    return json.loads(done.stdout)


ENDED, UNKNOWN = "{ended}", "{unknown}"
EVERY_COMMAND: list[tuple[tuple[str, ...], int]] = [
    (("quote", "SOL", "USDC", "1"), 0),
    (("sell", "USDC", "2", "--for", "USDT"), 0),
    (("buy", "USDT", "--spend", "2", "--no-watch"), 0),
    (("buy", "USDT", "2"), 2),
    (("orders",), 0),
    (("order", ENDED), 0),
    (("cancel", ENDED), 3),
    (("watch", ENDED), 0),
    (("watch", "--timeout", "0"), 0),
    (("tokens",), 0),
    (("health",), 0),
    (("pools", "list"), 0),
    (("pools", "remove", UNKNOWN), 3),
    (("pools", "discover", "SOL/USDC"), 0),
    (("pools", "discover", "SOL"), 2),
    (("pools", "discover", f"SOL/{UNKNOWN}"), 3),
    (("pools", "schedule"), 0),
    (("pools", "schedule", "--on", "--auto-add"), 2),
    (("pools", "proposals"), 0),
    (("keys", "list"), 0),
    (("halt", "--status"), 0),
    (("limits", "show"), 0),
    (("limits", "set", "nothing=1"), 2),
    (("redrive",), 0),
]


@pytest.fixture(scope="module")
def ended(stack: dict[str, str]) -> str:
    """The id of an order that has been filled."""
    with Fillrate(stack["restUrl"], stack["apiKey"]) as fillrate:
        return fillrate.wait(fillrate.execute("USDC", "USDT", "2")).order_id


@pytest.mark.parametrize(("arguments", "code"), EVERY_COMMAND, ids=lambda value: str(value))
def test_every_command_speaks_words_and_json(cli: Cli, ended: str, arguments: tuple[str, ...], code: int) -> None:
    known = [argument.format(ended=ended, unknown="nothing") for argument in arguments]
    words, machine = cli(*known, expect=code), cli(*known, "--json", expect=code)
    for line in (machine.stderr if code else machine.stdout).splitlines():
        json.loads(line)
    assert not (machine.stdout if code else machine.stderr)
    assert "Traceback" not in words.stderr


@pytest.mark.parametrize(("arguments", "code"), [(("tokens",), 0), (("cancel", ENDED), 3), (("limits", "show"), 0)])
def test_a_process_of_its_own_says_and_ends_with_the_same(
    home: Path, cli: Cli, ended: str, arguments: tuple[str, ...], code: int
) -> None:
    known = [argument.format(ended=ended) for argument in arguments]
    for options in ((), ("--json",)):
        assert process(home, *known, *options) == cli(*known, *options, expect=code)


def test_a_quote_names_the_pools_and_the_floor(cli: Cli) -> None:
    words = cli("quote", "SOL", "USDC", "500").stdout
    quote = as_json(cli("quote", "SOL", "USDC", "500", "--json"))
    assert quote["amount"] == "500"
    assert all(leg["pool"] in words for leg in quote["route"])
    assert "at least" in words


def test_what_is_shown_as_the_least_is_the_orders_own_floor(cli: Cli) -> None:
    told = cli("sell", "SOL", "0.5", "--for", "USDC", "--no-watch")
    order_id = told.stdout.split()[-1]
    floor = as_json(cli("order", order_id, "--json"))["history"][0]["minOut"]
    assert f"receive at least {floor} USDC" in told.stderr


def test_a_sale_is_watched_to_its_confirmation(cli: Cli) -> None:
    done = cli("sell", "SOL", "0.5", "--for", "USDC")
    assert [line.split()[1] for line in done.stdout.splitlines()[:5]] == LIFE
    assert "sold 0.5 SOL for" in done.stdout
    sold = as_json(cli("sell", "SOL", "0.5", "--for", "USDC", "--slippage", "2%", "--json"))
    assert (sold["status"], sold["slippage"]) == ("confirmed", "0.02")


def test_buying_spends_exactly_the_amount(cli: Cli) -> None:
    bought = as_json(cli("buy", "SOL", "--spend", "15.5", "--with", "USDC", "--json"))
    assert (bought["tokenIn"], bought["tokenOut"], bought["amount"]) == ("USDC", "SOL", "15.5")


def test_the_same_key_again_is_the_same_order(cli: Cli) -> None:
    order = ("sell", "SOL", "0.25", "--for", "USDC", "--idempotency-key", "of-the-command-line", "--json")
    assert as_json(cli(*order))["orderId"] == as_json(cli(*order))["orderId"]


def test_an_order_is_watched_by_its_id_also_late(cli: Cli) -> None:
    accepted = as_json(cli("sell", "SOL", "0.5", "--for", "USDC", "--no-watch", "--json"))
    watched = cli("watch", accepted["orderId"], "--json")
    events = [json.loads(line) for line in watched.stdout.splitlines()]
    assert [event["status"] for event in events] == LIFE
    assert [event["seq"] for event in events] == [1, 2, 3, 4, 5]

    order = as_json(cli("order", accepted["orderId"], "--json"))
    assert [step["status"] for step in order["history"]] == LIFE
    assert order["txHash"] in cli("order", accepted["orderId"]).stdout


def test_an_order_that_fails_ends_with_7_and_says_why(cli: Cli) -> None:
    done = cli("sell", "USDC", "1000000000", "--for", "SOL", expect=7)
    assert "failed" in done.stdout
    assert "✗" in done.stderr
    failed = json.loads(cli("sell", "USDC", "1000000000", "--for", "SOL", "--json", expect=7).stdout)
    assert failed["errorCode"]


def test_a_wrong_amount_is_rejected_with_3_and_named(cli: Cli) -> None:
    done = cli("sell", "SOL", "1e-30", "--for", "USDC", expect=3)
    assert done.stdout == ""
    assert "amount:" in done.stderr
    done = cli("sell", "SOL", "1e-30", "--for", "USDC", "--json", expect=3)
    assert json.loads(done.stderr)["errors"][0]["field"] == "amount"


def test_quotes_are_timed_in_words_and_json(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.__main__.ROUNDS", 1)
    monkeypatch.setattr("bench.__main__.MILLISECONDS", 1)
    rows = json.loads(cli("bench", "--json").stdout)
    assert all(took > 0 for row in rows for took in row["nanoseconds"].values())
    words = cli("bench").stdout
    assert [row["name"] for row in rows if row["name"] not in words] == []
    assert {"split of 4 pools"} < {row["name"] for row in rows}


def test_orders_are_listed_and_filtered(cli: Cli) -> None:
    cli("sell", "USDC", "2", "--for", "USDT")
    listed = [json.loads(line) for line in cli("orders", "--token-out", "USDT", "--all", "--json").stdout.splitlines()]
    assert listed
    assert {order["tokenOut"] for order in listed} == {"USDT"}
    words = cli("orders", "--status", "confirmed", "--limit", "3").stdout
    assert len(words.splitlines()) == 4, "a heading and three orders"


def test_what_has_ended_cannot_be_cancelled(cli: Cli) -> None:
    sold = as_json(cli("sell", "USDC", "2", "--for", "USDT", "--json"))
    assert json.loads(cli("cancel", sold["orderId"], "--json", expect=3).stderr)["code"] == "CONFLICT"
    assert cli("cancel", "none", expect=3).stdout == ""


def test_tokens_and_health_are_shown(cli: Cli) -> None:
    symbols = {token["symbol"] for token in as_json(cli("tokens", "--json"))["tokens"]}
    assert {"SOL", "USDC"} <= symbols
    assert all(symbol in cli("tokens").stdout for symbol in symbols)
    assert as_json(cli("health", "--json"))["status"] == "ok"
    assert "solana" in cli("health").stdout


def test_all_orders_are_watched_live(home: Path, stack: dict[str, str]) -> None:
    command = [sys.executable, "-m", "fillrate.cli", "watch", "--json", "--timeout", "60"]
    events: list[Json] = []

    def of(order_id: str) -> list[str]:
        return [event["status"] for event in list(events) if event["orderId"] == order_id]

    with (
        subprocess.Popen(command, cwd=home, env=environment(), stdout=subprocess.PIPE, text=True) as process,
        Fillrate(stack["restUrl"], stack["apiKey"] or None) as fillrate,
    ):
        lines = process.stdout or ()
        reader = Thread(target=lambda: events.extend(map(json.loads, lines)))
        reader.start()
        try:
            # it tells what happens after its start, whenever that is
            while process.poll() is None:
                order_id = fillrate.wait(fillrate.execute("USDC", "USDT", "2")).order_id
                if of(order_id)[:1] == LIFE[:1]:
                    break
            eventually(lambda: of(order_id) == LIFE)
        finally:
            process.terminate()
            reader.join()


def test_a_pool_is_taken_out_and_added_again(cli: Cli) -> None:
    before = as_json(cli("pools", "list", "--json"))
    address = before[0]["address"]
    assert as_json(cli("pools", "remove", address, "--json"))["removed"]
    assert address not in cli("pools", "list").stdout
    added = as_json(cli("pools", "add", address, "--json"))
    assert added["address"] == address
    assert added["venue"] in ("raydium", "meteora")
    assert as_json(cli("pools", "list", "--json")) == before


def test_the_best_pool_that_is_not_registered_is_found_and_added(cli: Cli) -> None:
    before = as_json(cli("pools", "list", "--json"))
    found = as_json(cli("pools", "discover", "SOL/USDC", "--json"))
    assert {pool["program"] for pool in found["pools"]} == {venue.program for venue in supported.VENUES}
    assert (found["unfit"], found["unsearched"]) == ([], [])
    best = found["pools"][0]["address"]
    assert as_json(cli("pools", "remove", best, "--json"))["removed"]
    assert as_json(cli("pools", "discover", "SOL/USDC", "--add", "1", "--json"))["added"] == [best]
    assert as_json(cli("pools", "list", "--json")) == before


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nonsense", "no Solana address"),
        ("11111111111111111111111111111112", "no account"),
        ("So11111111111111111111111111111111111111112", "belongs to the program"),
    ],
)
def test_what_is_no_pool_is_not_added(cli: Cli, address: str, reason: str) -> None:
    assert reason in json.loads(cli("pools", "add", address, "--json", expect=3).stderr)["detail"]


def test_completion_offers_the_commands_and_the_tokens(home: Path) -> None:
    def completed(words: str) -> list[str]:
        asked = {"_FILLRATE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}
        command = [sys.executable, "-m", "fillrate.cli"]
        done = subprocess.run(command, cwd=home, env=environment() | asked, capture_output=True, text=True, timeout=60)
        return done.stdout.split()

    assert {"quote", "sell", "buy"} <= set(completed("fillrate "))
    assert {"SOL", "USDC"} <= set(completed("fillrate quote "))


def test_keys_are_made_listed_rotated_and_revoked(cli: Cli) -> None:
    made = as_json(cli("keys", "create", "--account", "cli-desk", "--scopes", "read", "--label", "a desk", "--json"))
    assert cli("keys", "create", "--account", "cli-desk").stdout.strip() != made["key"]
    assert made["keyId"] in cli("keys", "list", "--account", "cli-desk").stdout
    listed = as_json(cli("keys", "list", "--account", "cli-desk", "--json"))
    assert made["keyId"] in [key["keyId"] for key in listed]
    assert all("key" not in key for key in listed), "a key is shown once"

    cli("--api-key", made["key"], "orders")
    assert "scope" in cli("--api-key", made["key"], "sell", "SOL", "1", "--for", "USDC", expect=4).stderr
    rotated = as_json(cli("keys", "rotate", made["keyId"], "--grace-minutes", "0", "--json"))
    cli("--api-key", made["key"], "orders", expect=4)
    cli("--api-key", rotated["key"], "orders")
    assert "revoked" in cli("keys", "revoke", rotated["keyId"]).stdout
    refused = cli("--api-key", rotated["key"], "orders", "--json", expect=4)
    assert json.loads(refused.stderr)["code"] == "UNAUTHORIZED"
    assert json.loads(cli("keys", "revoke", "none", "--json", expect=3).stderr)["detail"]


def test_a_halted_account_trades_no_more_until_it_is_resumed(cli: Cli) -> None:
    key = as_json(cli("keys", "create", "--account", "cli-halted", "--json"))["key"]
    trade = ("--api-key", key, "sell", "USDC", "2", "--for", "USDT")
    halted = as_json(cli("halt", "--account", "cli-halted", "--reason", "a drill", "--json"))
    assert (halted["halted"], halted["reason"]) == (True, "a drill")
    assert "halted" in cli(*trade, expect=7).stderr
    assert "a drill" in cli("halt", "--account", "cli-halted", "--status").stdout
    assert as_json(cli("resume", "--account", "cli-halted", "--json"))["halted"] is False
    cli(*trade)


def test_limits_are_set_shown_and_kept_to(cli: Cli) -> None:
    account = ("--account", "cli-limited")
    key = as_json(cli("keys", "create", *account, "--json"))["key"]
    limits = as_json(cli("limits", "set", "largest-order=50.5", "slippage=0.02", *account, "--json"))
    assert (limits["largest-order"], limits["slippage"]) == ("50.5", "0.02")
    assert "50.5" in cli("limits", "show", *account).stdout
    trade = ("--api-key", key, "sell", "USDC", "60", "--for", "USDT")
    assert json.loads(cli(*trade, "--json", expect=7).stdout)["errorCode"] == "LIMIT_EXCEEDED"
    refused = cli(*trade, "--slippage", "3%", "--json", expect=3)
    assert json.loads(refused.stderr)["code"] == "LIMIT_EXCEEDED"
    assert "NAME=VALUE" in json.loads(cli("limits", "set", "largest=1", *account, "--json", expect=2).stderr)["detail"]
    assert json.loads(cli("limits", "set", "slippage=x", *account, "--json", expect=3).stderr)["detail"]
