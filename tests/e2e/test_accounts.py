"""Accounts on a running stack: what a stranger with a valid key of another account can't do, and bad tickets."""

from __future__ import annotations

import json
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fillrate.cli.main import run
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from chalicelib.access.keys import Scope
from operations import keys
from operations.target import EmulatorCredentials, Stage, target_of
from testing.client import PATIENCE_SECONDS, Client, follow
from testing.emulator import root_session
from tests.e2e.sweeper import sweep

Json = dict[str, Any]
ORDER = {"type": "market", "tokenIn": "USDC", "tokenOut": "USDT", "amount": "2"}


class Account(Client):
    """A client with a key of its own."""

    def __init__(self, stack: dict[str, str], name: str, *scopes: Scope, rate_per_minute: int = 10_000) -> None:
        super().__init__(stack["restUrl"])
        stage: Stage = "prod" if stack["stage"] == "prod" else "local"
        self.administration = keys.administration(target_of(stack, stage, stack["awsEndpoint"]))
        new = self.administration.create(name, frozenset(scopes or Scope), rate_per_minute=rate_per_minute)
        self.key_id, self.key = new.key.key_id, new.secret

    def call(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
        return super().call(method, path, body, {"x-api-key": self.key, **(headers or {})})


@pytest.fixture(scope="module")
def alice(stack: dict[str, str]) -> Account:
    return Account(stack, "alice")


@pytest.fixture(scope="module")
def mallory(stack: dict[str, str]) -> Account:
    return Account(stack, "mallory")


@pytest.fixture(scope="module")
def nobody(stack: dict[str, str]) -> Client:
    """Comes without a key: the account `local`."""
    return Client(stack["restUrl"])


@pytest.fixture(scope="module")
def order(alice: Account) -> Json:
    return alice.execute("USDC", "USDT", "2")


def refused(url: str) -> bool:
    try:
        with connect(url):
            return False
    except InvalidStatus as error:
        return error.response.status_code == 403


def test_the_stacks_own_key_is_of_the_account_local_and_kept_to_its_owner(
    stack: dict[str, str], nobody: Client
) -> None:
    order_id = nobody.execute("USDC", "USDT", "1")["orderId"]
    reply = nobody.call("GET", f"/orders/{order_id}", headers={"x-api-key": stack["apiKey"]})
    assert reply.status == 200
    for name in ("api-key", "stack.json"):
        assert stat.S_IMODE((Path(stack["directory"]) / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("key", ["wrong", "fr_" + "A" * 43, "x" * 5_000])
def test_a_wrong_key_is_refused_also_where_none_would_do(nobody: Client, key: str) -> None:
    reply = nobody.call("GET", "/tokens", headers={"x-api-key": key})
    assert (reply.status, reply.body["title"]) == (401, "Unauthorized")
    assert reply.headers["content-type"] == "application/problem+json"


def test_a_stranger_sees_cancels_lists_and_watches_nothing_of_anothers(
    order: Json, alice: Account, mallory: Account, nobody: Client, stack: dict[str, str]
) -> None:
    order_id = order["orderId"]
    assert alice.order(order_id)["orderId"] == order_id
    for stranger in (mallory, nobody):
        for method in ("GET", "DELETE"):
            assert stranger.call(method, f"/orders/{order_id}").status == 404
        assert stranger.call("POST", "/ws-tickets", {"orderId": order_id}).status == 404
        listed = stranger.call("GET", "/orders?limit=200").body["orders"]
        assert order_id not in [one["orderId"] for one in listed]
    assert refused(f"{stack['wsUrl']}?orderId={order_id}"), "the account local doesn't have it either"


def test_a_stranger_can_not_subscribe_to_anothers_order(order: Json, mallory: Account) -> None:
    with connect(mallory.call("POST", "/ws-tickets").body["wsUrl"]) as websocket:
        websocket.send(json.dumps({"action": "subscribe", "orderId": order["orderId"]}))
        answer = json.loads(websocket.recv(timeout=PATIENCE_SECONDS))
        assert (answer["type"], answer["status"]) == ("error", 404)


def test_accounts_keys_of_idempotency_do_not_meet(alice: Account, mallory: Account) -> None:
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    ids = {who.call("POST", "/orders/execute", ORDER, headers).body["orderId"] for who in (alice, mallory)}
    assert len(ids) == 2


def test_a_ticket_lets_one_connection_in(alice: Account) -> None:
    accepted = alice.execute("USDC", "USDT", "2")
    messages = follow(accepted["wsUrl"])
    assert messages[-1]["status"] == "confirmed"
    assert refused(accepted["wsUrl"]), "it is used up"
    again = alice.order(accepted["orderId"])["wsUrl"]
    assert follow(again) == messages


def test_a_ticket_for_another_order_or_with_a_changed_letter_lets_nobody_in(
    alice: Account, order: Json, stack: dict[str, str]
) -> None:
    url = alice.order(order["orderId"])["wsUrl"]
    ticket = url.rpartition("ticket=")[2]
    other = alice.execute("USDC", "USDT", "1")["orderId"]
    assert refused(f"{stack['wsUrl']}?orderId={other}&ticket={ticket}")
    assert refused(f"{stack['wsUrl']}?ticket={ticket}")
    assert refused(url[:-1] + ("A" if url[-1] != "A" else "B"))
    assert refused(url.replace("ticket=", "ticket=x"))
    assert len(follow(url)) == 5, "none of that used it up"


def test_the_accounts_stream_tells_every_change_of_all_its_orders_and_of_no_other(
    alice: Account, mallory: Account
) -> None:
    reply = alice.call("POST", "/ws-tickets")
    assert reply.body.keys() == {"wsUrl", "wsPath", "expiresAt"}
    with connect(reply.body["wsUrl"]) as websocket:
        mallory.execute("USDC", "USDT", "1")
        ids = {alice.execute("USDC", "USDT", "1")["orderId"] for _ in range(3)}
        told: dict[str, list[str]] = {order_id: [] for order_id in ids}
        while not all(seen[-1:] == ["confirmed"] for seen in told.values()):
            message = json.loads(websocket.recv(timeout=PATIENCE_SECONDS))
            if message["orderId"] in told:
                told[message["orderId"]].append(message["status"])
            else:
                assert alice.order(message["orderId"])  # an earlier one of hers, still on its way
    for order_id, seen in told.items():
        assert seen == [change["status"] for change in alice.order(order_id)["history"]]


def test_a_reader_reads_and_does_not_trade(stack: dict[str, str]) -> None:
    reader = Account(stack, "alice", Scope.READ)
    assert reader.call("GET", "/orders").status == 200
    reply = reader.call("POST", "/orders/execute", ORDER)
    assert (reply.status, reply.body["title"]) == (403, "Forbidden")
    assert "trade" in reply.body["detail"]


def test_a_key_is_refused_from_the_moment_when_it_is_revoked(stack: dict[str, str]) -> None:
    leaver = Account(stack, "leaver")
    assert leaver.call("GET", "/orders").status == 200
    leaver.administration.revoke(leaver.key_id)
    assert leaver.call("GET", "/orders").status == 401


def test_a_revoked_key_watches_no_longer_than_until_the_next_sweep(stack: dict[str, str], alice: Account) -> None:
    leaver = Account(stack, "leaver")
    unused = leaver.call("POST", "/ws-tickets").body["wsUrl"]
    with (
        connect(leaver.call("POST", "/ws-tickets").body["wsUrl"]) as theirs,
        connect(alice.call("POST", "/ws-tickets").body["wsUrl"]) as hers,
    ):
        leaver.administration.revoke(leaver.key_id)
        assert refused(unused)
        sweep(root_session(stack).client("lambda", endpoint_url=stack["awsEndpoint"]))
        assert list(until_closed(theirs)) == []
        hers.send(json.dumps({"action": "ping"}))
        assert json.loads(hers.recv(timeout=PATIENCE_SECONDS)) == {"type": "pong"}


def test_a_key_beyond_its_rate_is_told_when_to_come_back(stack: dict[str, str]) -> None:
    hasty = Account(stack, "hasty", rate_per_minute=2)
    replies = [hasty.call("GET", "/orders") for _ in range(3)]
    assert [reply.status for reply in replies][:2] == [200, 429]
    assert 0 < int(replies[1].headers["Retry-After"]) <= 60


def until_closed(websocket: ClientConnection) -> Iterator[Json]:
    try:
        while True:
            yield json.loads(websocket.recv(timeout=PATIENCE_SECONDS))
    except ConnectionClosed:
        return


def test_a_connection_that_talks_too_much_is_told_so_and_closed(alice: Account) -> None:
    with connect(alice.call("POST", "/ws-tickets").body["wsUrl"]) as websocket:
        websocket.send(json.dumps({"action": "ping", "filler": "x" * 5_000}))
        answers = list(until_closed(websocket))
    assert [answer.get("status") for answer in answers if answer["type"] == "error"] == [413]


def test_the_keys_command_makes_a_key_that_works_and_ends_it(
    stack: dict[str, str], nobody: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in EmulatorCredentials.of(stack).variables.items():
        monkeypatch.setenv(name, value)
    where = ["--stage", "local", "--endpoint-url", stack["awsEndpoint"]]
    assert run(["keys", "create", *where, "--account", "commanded", "--scopes", "read"]) == 0
    key = {"x-api-key": capsys.readouterr().out.strip()}
    assert nobody.call("GET", "/orders", headers=key).status == 200
    assert run(["keys", "list", *where, "--account", "commanded"]) == 0
    (listed,) = capsys.readouterr().out.splitlines()[1:]
    assert run(["keys", "revoke", *where, listed.split()[0]]) == 0
    assert nobody.call("GET", "/orders", headers=key).status == 401
