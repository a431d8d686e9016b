"""One account floods at its key's rate: another's orders start in their turn, and what was cancelled took no start."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.times import parse_time
from testing.client import eventually
from tests.e2e.test_accounts import Account
from tests.faults.dice import FULL

Json = dict[str, Any]
FLOOD_SECONDS = 60 if FULL else 5
FLOODS_RATE = 600  # a key's default rate
SOON_MS = 2_000
AT_ONCE = 10  # so many start before the rest waits
MANY = 40
SLOT_MS = 600  # a hundred orders start in a minute
ORDER = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "0.001"}


@pytest.fixture(scope="module")
def flooding(paced_stack: dict[str, str]) -> Account:
    return Account(paced_stack, "flooding", rate_per_minute=FLOODS_RATE)


@pytest.fixture(scope="module")
def watching(paced_stack: dict[str, str]) -> Account:
    """The flooding account by another key, whose rate the flood doesn't use up."""
    return Account(paced_stack, "flooding")


@pytest.fixture(scope="module")
def other(paced_stack: dict[str, str]) -> Account:
    """It has traded before: the functions' processes are there."""
    account = Account(paced_stack, "other")
    for order_id in [account.execute("SOL", "USDC", "0.01")["orderId"] for _ in range(3)]:
        account.ended(order_id)
    return account


@contextmanager
def flood(account: Account, *, cancelled: bool) -> Iterator[list[str]]:
    """Orders of the account, one after the other as its rate lets through, cancelled at once or not; their ids."""
    placed: list[str] = []
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            reply = account.call("POST", "/orders/execute", ORDER)
            if reply.status == 202:
                placed.append(reply.body["orderId"])
                if cancelled:
                    account.call("DELETE", f"/orders/{placed[-1]}")
            over.wait(0.05)

    senders = [threading.Thread(target=send) for _ in range(2)]
    for sender in senders:
        sender.start()
    try:
        yield placed
    finally:
        over.set()
        for sender in senders:
            sender.join()


def start_ms(order: Json) -> int | None:
    return next((parse_time(step["at"]) for step in order["history"] if step["status"] == "routing"), None)


def started(account: Account, order_id: str) -> Json:
    eventually(lambda: start_ms(account.order(order_id)) is not None)
    return account.order(order_id)


def orders_meanwhile(account: Account) -> list[Json]:
    """Orders of the account, one after the other for as long as the flood is to last; each has started."""
    # by the time that the first has, the workers' processes have started, too
    started(account, account.execute("SOL", "USDC", "0.01")["orderId"])
    orders: list[Json] = []
    until = time.monotonic() + FLOOD_SECONDS
    while time.monotonic() < until:
        orders.append(started(account, account.execute("SOL", "USDC", "0.01")["orderId"]))
    return orders


def waits(orders: list[Json]) -> list[int]:
    """For how many ms each waited for its start."""
    found = [(start_ms(order), parse_time(order["createdAt"])) for order in orders]
    return [begin_ms - created_ms for begin_ms, created_ms in found if begin_ms is not None]


def test_orders_that_are_placed_and_cancelled_keep_nobody_waiting(flooding: Account, other: Account) -> None:
    with flood(flooding, cancelled=True) as placed:
        # each of these would have taken a slot of 0.6 s, had it been given one as it was placed
        eventually(lambda: len(placed) > MANY)
        orders = orders_meanwhile(other)
    told = [(order["history"][0].get("queuedUntil"), parse_time(order["createdAt"])) for order in orders]
    # a busy machine takes its time between the order's creation and the estimate
    by_the_slots_alone_ms = SOON_MS if FULL else MANY * SLOT_MS / 2
    assert max(parse_time(at) - created_ms if at else 0 for at, created_ms in told) < by_the_slots_alone_ms
    if FULL:
        assert max(waits(orders)) < SOON_MS, sorted(waits(orders))[-10:]


def test_while_an_account_floods_anothers_orders_start_in_turn(
    flooding: Account, watching: Account, other: Account
) -> None:
    with flood(flooding, cancelled=False):
        # more than start at once, so the rest waits
        eventually(lambda: sum(start_ms(order) is not None for order in listed(watching)) > AT_ONCE)
        orders = orders_meanwhile(other)
    flood_orders = [(parse_time(order["createdAt"]), start_ms(order)) for order in listed(watching)]
    for order in orders:
        created_ms, begin_ms = parse_time(order["createdAt"]), start_ms(order)
        assert begin_ms is not None
        overtaken = [at for placed_ms, at in flood_orders if placed_ms < created_ms and (at is None or at > begin_ms)]
        assert overtaken, "it waited for all that the flood had placed before"
        if FULL:
            before = [at for _, at in flood_orders if at is not None and created_ms < at < begin_ms]
            # what was on its way to a worker when the order came may be before it, and then one in turn
            assert len(before) <= 3, f"{len(before)} of the flood started before it"
    if FULL:
        assert max(waits(orders)) < SOON_MS, sorted(waits(orders))[-10:]


def listed(account: Account) -> list[Json]:
    orders: list[Json] = []
    cursor = ""
    while True:
        page = account.call("GET", f"/orders?limit=100{cursor}").body
        orders += page["orders"]
        if not page.get("nextCursor"):
            return orders
        cursor = f"&cursor={page['nextCursor']}"
