"""Orders of every type, with prices that the market has reached: what waits is handed over by the next look."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

from tests.faults.clients import unit_price
from tests.faults.engine import Engine
from tests.faults.market import SYMBOLS

Json = dict[str, Any]
# Where its price stands, as a part of what the market pays: reached by so much, and out of reach.
LOWER, HIGHER, FAR_BELOW, FAR_ABOVE = Decimal("0.8"), Decimal("1.25"), Decimal("0.5"), Decimal(2)
# How far below the best price a trailing stop is, and how far the market is let fall so that it is reached.
TRAILING, FALL = "0.01", Decimal("0.02")
# How soon a price that nobody has seen moves again.
MOVES_AGAIN_SECONDS = 3.0


class Kind(Enum):
    """What an order waits for. An oco is set off by either of its prices."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    TRAILING = "trailing stop"
    OCO_BY_LIMIT = "oco, by its limit"
    OCO_BY_STOP = "oco, by its stop"


WAITING = [kind for kind in Kind if kind is not Kind.MARKET]
_PARTS = {
    Kind.LIMIT: {"limitPrice": LOWER},
    Kind.STOP: {"stopPrice": HIGHER},
    Kind.OCO_BY_LIMIT: {"limitPrice": LOWER, "stopPrice": FAR_BELOW},
    Kind.OCO_BY_STOP: {"limitPrice": FAR_ABOVE, "stopPrice": HIGHER},
}


def let_fall_until_triggered(engine: Engine, sold: Mapping[str, str], by: Decimal = FALL) -> list[tuple[str, str, int]]:
    """Others sell what each of these trailing stops sells (`sold`, by the orders' ids), until its price was reached.

    That is for good, and prices may recover. The localnet's traders bring a price back within seconds, which is sooner
    than a killed watcher has a successor, so it falls again where nobody has seen it. Returns the trades that undo the
    last fall: those before are undone by the traders, and once more would take prices far above what they were.
    """
    undo: list[tuple[str, str, int]] = []
    falls_again_at = time.monotonic()

    def are_triggered() -> bool:
        nonlocal falls_again_at, undo
        engine.sweep()
        orders = engine.stored_orders()
        left = {token for order_id, token in sold.items() if "trigger" not in orders[order_id]}
        if left and time.monotonic() >= falls_again_at:
            undo = [trade for token in sorted(left) for trade in _let_fall(engine, token, by)]
            falls_again_at = time.monotonic() + MOVES_AGAIN_SECONDS
        return not left

    engine.wait_until(are_triggered)
    return undo


def _let_fall(engine: Engine, token: str, by: Decimal) -> list[tuple[str, str, int]]:
    """Others sell it for every other token, lest a way round pay as before; the trades that undo it."""
    return [trade for bought in SYMBOLS if bought != token for trade in engine.market.move(token, bought, by)]


def due(engine: Engine, kind: Kind, trade: Json) -> Json:
    """A POST's body of that kind for `trade`. A trailing stop is due once what it sells falls by FALL."""
    if kind is Kind.MARKET:
        return {**trade, "type": "market"}
    if kind is Kind.TRAILING:
        return {**trade, "type": "stop", "trailing": TRAILING}
    paid = Decimal(engine.market.quote(trade["tokenIn"], trade["tokenOut"], trade["amount"])["amountOut"])
    prices = {name: unit_price(paid, trade, part) for name, part in _PARTS[kind].items()}
    return {**trade, "type": kind.name.partition("_")[0].lower(), **prices, "force": True}
