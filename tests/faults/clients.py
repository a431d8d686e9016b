"""Clients who name terms of their own, and some of whom want their order cancelled a moment later."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Context, Decimal
from random import Random
from typing import Any

import urllib3

from tests.faults.dice import FULL, SEED
from tests.faults.engine import Engine, PastDeadline

CLIENTS = 8
SLIPPAGES = ("0.001", "0.005", "0.02", "0.1", "0.3")
# Of the price at the time of asking: what some clients ask for at least. The last is more than the market pays.
LEAST = ("0.97", "0.99", "0.998", "0.9995", "1.01")
# Of a deadline, and of how long after its acceptance an order is to be cancelled: before its start, on its way, after.
# Types, and of an order that waits its prices as parts of the market's at the time of asking; all end soon.
KINDS = ("limit", "stop", "oco", *("market",) * 3)
LIMITS, STOPS = ("0.99", "1.001", "1.01"), ("0.97", "0.995", "0.9995")
WAIT_SECONDS = 30.0
SECONDS = (0.3, 1.0, 2.0, 4.0, *((8.0, 20.0) if FULL else ()))

Json = dict[str, Any]


@dataclass
class Told:
    """What the clients were told."""

    accepted: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    # they asked for the cancellation of one that could no longer be cancelled
    refused: set[str] = field(default_factory=set)
    changed: int = 0
    # no order was placed before its deadline
    too_late: int = 0

    def line(self) -> str:
        return (
            f"{len(self.accepted)} accepted, {self.too_late} too late; of {len(self.cancelled) + len(self.refused)} "
            f"cancellations {len(self.cancelled)} were in time, and {self.changed} changes"
        )


@dataclass(frozen=True)
class Wishes:
    """What one client wants: its order, and after how many seconds it wants it cancelled."""

    order: Json
    least: Decimal | None
    limit: Decimal | None
    stop: Decimal | None
    seconds_to_deadline: float | None
    seconds_to_change: float | None
    seconds_to_cancellation: float | None


def wishes(order: Json, dice: Random) -> Wishes:
    """Half wait for a price; a third names a floor, a third a deadline, a third wants it cancelled, each by itself."""

    def a_third(of: tuple[Any, ...]) -> Any:
        return dice.choice(of) if dice.randrange(3) == 0 else None

    least, kind = a_third(LEAST), dice.choice(KINDS)
    limit, stop = Decimal(dice.choice(LIMITS)), Decimal(dice.choice(STOPS))
    if kind == "oco":
        limit = max(limit, Decimal(LIMITS[1]))  # a stop lies below
    return Wishes(
        {**order, "type": kind, "slippage": dice.choice(SLIPPAGES)},
        None if least is None else Decimal(least),
        limit if kind in ("limit", "oco") else None,
        stop if kind in ("stop", "oco") else None,
        a_third(SECONDS) or (None if kind == "market" else WAIT_SECONDS),
        None if kind == "market" else a_third(SECONDS),
        a_third(SECONDS),
    )


def post_with_terms(engine: Engine, orders: list[Json], name: str, dice: Random) -> Told:
    """Each order with a key of its own, by several clients who ask again until they are answered."""
    told, wanted = Told(), [wishes(order, dice) for order in orders]

    def serve(numbered: tuple[int, Wishes]) -> None:
        number, wish = numbered
        try:
            key = f"{name}-{SEED}-{number}"
            order_id = engine.post_until_accepted(_with_terms(engine, wish, key), key)
        except PastDeadline:
            told.too_late += 1
            return
        told.accepted.add(order_id)
        if wish.seconds_to_change is not None:
            cancellations.submit(change, order_id, wish)
        if wish.seconds_to_cancellation is not None:
            cancellations.submit(cancel, order_id, wish.seconds_to_cancellation)

    def cancel(order_id: str, after_seconds: float) -> None:
        time.sleep(after_seconds)
        (told.cancelled if engine.cancel(order_id) == 200 else told.refused).add(order_id)

    def change(order_id: str, wish: Wishes) -> None:
        """Both prices come nearer to the market's, so that it goes off soon."""
        time.sleep(wish.seconds_to_change or 0)
        paid = _price_now(engine, wish.order)
        if paid is not None:
            nearer = ("1.0002", "0.9999") if wish.limit and wish.stop else ("0.999", "1.0005")
            prices = {"limitPrice": wish.limit, "stopPrice": wish.stop}
            changes = {
                name: unit_price(paid, wish.order, Decimal(part))
                for (name, price), part in zip(prices.items(), nearer, strict=True)
                if price is not None
            }
            if engine.change(order_id, {**changes, "force": True}) == 200:
                told.changed += 1

    with ThreadPoolExecutor(2 * len(orders)) as cancellations, ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(serve, enumerate(wanted)))
    return told


def _with_terms(engine: Engine, wish: Wishes, name: str) -> Json:
    body = {**wish.order, "clientOrderId": name}
    paid = None if wish.least is wish.limit is wish.stop is None else _price_now(engine, body)
    if paid is None:
        body["type"] = "market"  # nobody says what a price would be
    else:
        if wish.least is not None:
            unit = Decimal(1).scaleb(-engine.tokens[body["tokenOut"]]["decimals"])
            body["minOut"] = f"{(paid * wish.least).quantize(unit):f}"
        prices = {"limitPrice": wish.limit, "stopPrice": wish.stop}
        body |= {name: unit_price(paid, body, part) for name, part in prices.items() if part is not None}
        if body["type"] != "market":
            body["force"] = True  # a node that doesn't answer, and a price that is there already, are no refusal
    if wish.seconds_to_deadline is not None:
        body["expiresAt"] = time_text(int((time.time() + wish.seconds_to_deadline) * 1000))
    return body


def unit_price(paid: Decimal, body: Json, part: Decimal) -> str:
    """A part of what the market pays for each token sold, to ten digits."""
    return format((paid * part / Decimal(body["amount"])).normalize(Context(prec=10)), "f")


def _price_now(engine: Engine, body: Json) -> Decimal | None:
    """What the market pays for the order now; None where no node says it."""
    path = f"/quotes?tokenIn={body['tokenIn']}&tokenOut={body['tokenOut']}&amount={body['amount']}"
    try:
        reply = engine.client.call("GET", path)
    except urllib3.exceptions.HTTPError:
        return None
    return Decimal(reply.body["amountOut"]) if reply.status == 200 else None


def time_text(ms: int) -> str:
    """RFC 3339, in UTC, with milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
