"""What an order's end tells the operators: its outcome, how long each step took, how near the fill came to the quote.

Noted from the table's stream, where each write is one record: so each order ends once, whoever ended it. A batch of
records that comes again, because its invocation failed, was not counted before, for the counting is the last thing an
invocation does. Only one that dies between that and its own end is counted twice, by a batch at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from chalicelib.aws.dynamodb.attribute_values import deserialize
from chalicelib.aws.dynamodb.order_item import ORDER_ITEM, item_to_order
from chalicelib.metrics import Metric, note
from chalicelib.orders.order import TERMINAL, Order
from chalicelib.telemetry import logger

_ENDED = frozenset(state.value for state in TERMINAL)


def note_endings(records: Iterable[Mapping[str, Any]]) -> None:
    """Note the metrics of each order that one of these stream records ends. What can't be read is passed over."""
    for record in records:
        try:
            order = _ended_by(record["dynamodb"])
        except (KeyError, TypeError, ValueError):
            logger.exception("record not counted", event_id=record.get("eventID"))
            continue
        if order is not None:
            note_ending(order)


def note_ending(order: Order) -> None:
    """Note the metrics of an order that has ended."""
    if order.error_code is None:
        note(Metric.ORDERS_BY_OUTCOME, outcome=order.state.value)
    else:
        note(Metric.ORDERS_BY_OUTCOME, outcome=order.state.value, error_code=order.error_code)
    note(Metric.RETRIES, order.retry_count)
    note(Metric.ORDER_MS, order.updated_at_ms - order.created_at_ms, outcome=order.state.value)
    for step, milliseconds in step_times(order):
        note(Metric.STEP_MS, milliseconds, step=step)
    bps = quote_to_fill_bps(order)
    if bps is not None:
        note(Metric.QUOTE_TO_FILL_BPS, bps)


def step_times(order: Order) -> list[tuple[str, int]]:
    """How long the order stood at each step, in ms, in its order; a step that it came to again is there again.

    A `failed` step is the wait before the next attempt. The last step has no time.
    """
    return [(step.status.value, following.at_ms - step.at_ms) for step, following in pairwise(order.history)]


def quote_to_fill_bps(order: Order) -> int | None:
    """The fill against the quote, in hundredths of a percent: negative where it paid less; None without a fill.

    Rounded down, so that a shortfall never shows as none.
    """
    if order.amount_out is None or not order.quoted_out:
        return None
    return (order.amount_out - order.quoted_out) * 10_000 // order.quoted_out


def _ended_by(change: Mapping[str, Any]) -> Order | None:
    """The order that this write ended; None for any other write."""
    new, old = change.get("NewImage"), change.get("OldImage")
    if new is None or new["item"]["S"] != ORDER_ITEM or new["state"]["S"] not in _ENDED:
        return None
    if old is not None and old["state"]["S"] in _ENDED:
        return None
    return item_to_order(deserialize({name: value for name, value in new.items() if name != "submission"}))
