"""The stack, or a part of it, gets SIGTERM in the middle of orders and starts again on what it saved.

Each order ends once, the books agree, and who watched has seen all of it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice, permutations
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from infra.local_stack import emulator_state
from testing.client import eventually
from tests.faults.audit import Audit
from tests.faults.dice import FULL, SEED, scaled
from tests.faults.engine import Engine, is_ended, running_engine

ORDERS = scaled(short=10, full=40)
AMOUNTS = {"SOL": "0.05", "USDC": "7", "USDT": "7", "JUP": "17", "RAY": "3.5", "BONK": "400000"}
SLIPPAGE = "0.3"  # a restart takes its time, and prices wander meanwhile
PACE_SECONDS = 0.1  # a connection may send ten messages a second
RECONNECT_SECONDS = 0.2

Json = dict[str, Any]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One of their own: others' tests go on without restarts."""
    with running_engine(tmp_path_factory.mktemp("restarts"), print) as one:
        yield one


class Watcher:
    """A client that watches orders, comes back whenever its connection drops, and asks for all that has not ended."""

    def __init__(self, ws_url: str, order_ids: list[str]) -> None:
        self._ws_url = ws_url
        self._open = set(order_ids)
        # what each of its connections was told of each order, in order
        self.told: list[dict[str, list[Json]]] = []
        self._over = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield self
            eventually(lambda: not self._open)
        finally:
            self._over.set()
            thread.join(10)

    def seen(self, order_id: str) -> list[Json]:
        """Every message about the order, over all connections, each `seq` once."""
        messages = [message for told in self.told for message in told.get(order_id, [])]
        return [next(one for one in messages if one["seq"] == seq) for seq in sorted({one["seq"] for one in messages})]

    def _watch(self) -> None:
        while self._open and not self._over.is_set():
            try:
                with connect(self._ws_url, open_timeout=5) as websocket:
                    self._listen(websocket)
            except (OSError, ConnectionClosed, WebSocketException, ValueError):  # an emulator that ends says odd things
                self._over.wait(RECONNECT_SECONDS)

    def _listen(self, websocket: ClientConnection) -> None:
        told: dict[str, list[Json]] = {}
        self.told.append(told)
        # one after the other: the emulator can't end while more than ten of a client's messages wait
        unasked = sorted(self._open)
        answered = True
        while self._open and not self._over.is_set():
            if answered and unasked:
                self._over.wait(PACE_SECONDS)
                websocket.send(json.dumps({"action": "subscribe", "orderId": unasked.pop()}))
                answered = False
            try:
                message = json.loads(websocket.recv(timeout=1))
            except TimeoutError:
                continue
            answered = answered or message["type"] == "subscribed"
            if message["type"] == "status":
                told.setdefault(message["orderId"], []).append(message)
                if message["status"] in ("confirmed", "cancelled") or message.get("terminal"):
                    self._open.discard(message["orderId"])


def down_and_up(engine: Engine) -> None:
    """The emulator ends first and starts last: no function runs while the chain is away."""
    emulator = engine.layout.emulator()
    assert emulator.stop()
    engine.restart_chain()
    emulator_state.adopt(engine.layout.emulator_state, engine.layout.aws_port)
    emulator.start()
    emulator.wait_until(lambda: answers(engine), timeout_seconds=60)


def answers(engine: Engine) -> bool:
    try:
        return bool(engine.stored_orders())
    except Exception:  # noqa: BLE001 - whatever it is, it isn't ready
        return False


# `make down` and `make up`; the parts one by one in the full run
RESTARTS = [down_and_up, Engine.restart_emulator, Engine.restart_chain] if FULL else [down_and_up]


@pytest.mark.parametrize("restart", RESTARTS)
def test_orders_in_flight_end_once_after_a_restart_and_their_watcher_missed_nothing(
    engine: Engine, restart: Callable[[Engine], None]
) -> None:
    audit = Audit(engine)
    engine.set_faults(dropRate=0.6, seed=SEED)  # so that many are on their way for a while
    pairs = list(islice(cycle(permutations(AMOUNTS, 2)), ORDERS))
    accepted = []
    for number, (token_in, token_out) in enumerate(pairs):
        if number == ORDERS // 2:
            engine.chain.call("localnet_pause")  # of the rest none lands before the restart
        accepted.append(engine.client.execute(token_in, token_out, AMOUNTS[token_in], slippage=SLIPPAGE)["orderId"])
    with Watcher(engine.description["wsUrl"], accepted).watching() as watcher:
        eventually(lambda: in_flight(engine) > 0)
        open_ones = [one for one, order in engine.stored_orders().items() if one in accepted and not is_ended(order)]
        assert len(open_ones) >= ORDERS // 2, "none of them lands while the chain stands still"
        restart(engine)
        engine.chain.call("localnet_resume")
        engine.set_faults()
        orders = engine.wait_until_ended(set(accepted), sweeping=True)

    findings = audit.close(accepted)
    print(findings.line())
    findings.assert_clean()
    # with the chain alone away, workers go on, and an order's three attempts may fail in that time: it says so
    reasons = {order["errorCode"] for order in orders.values() if order["state"] != "confirmed"}
    assert reasons <= ({"RPC_UNAVAILABLE"} if restart is Engine.restart_chain else set())
    for order_id in accepted:
        history = engine.client.order(order_id)["history"]
        assert watcher.seen(order_id) == [{"type": "status", "orderId": order_id, **change} for change in history]
        assert all(in_order(told.get(order_id, [])) for told in watcher.told)


def in_flight(engine: Engine) -> int:
    """How many orders have a transaction that nobody knows the fate of."""
    return sum(order["state"] == "submitted" for order in engine.stored_orders().values())


def in_order(messages: list[Json]) -> bool:
    """Whether one connection was told from the first step on, without a gap and in order; a step may be repeated."""
    seqs = list(dict.fromkeys(message["seq"] for message in messages))
    return seqs == list(range(1, len(seqs) + 1))
