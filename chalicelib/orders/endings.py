"""What an order's end tells the operators: its outcome, how long each step took, how near the fill came to the quote.

Noted from the table's stream, where each write is one record: so each order ends once, whoever ended it. A batch of
records that comes again, because its invocation failed, was not counted before, for the counting is the last thing an
invocation does. Only one that dies between that and its own end is counted twice, by a batch at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from math import floor

from chalicelib.log import logger
from chalicelib.metrics import Metric, note
from chalicelib.orders.fills import basis_points_over
from chalicelib.orders.life import MAX_ATTEMPTS
from chalicelib.orders.order import HistoryStep, Order
from chalicelib.orders.states import Status


def note_endings(ended: Iterable[Order]) -> None:
    """Note the metrics of each of these orders, which have ended."""
    for order in ended:
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
    for metric, bps in (
        (Metric.QUOTE_TO_FILL_BPS, quote_to_fill_bps(order)),
        (Metric.FLOOR_TO_FILL_BPS, floor_to_fill_bps(order)),
    ):
        if bps is not None:
            note(metric, bps)


def step_times(order: Order) -> list[tuple[str, int]]:
    """How long the order stood at each step, in ms, in its order; a step that it came to again is there again.

    A `failed` step is the wait before the next attempt. The last step has no time.
    """
    return [(step.status.value, following.at_ms - step.at_ms) for step, following in pairwise(order.history)]


def quote_to_fill_bps(order: Order) -> int | None:
    """The fill against the order's first quote, in hundredths of a percent: negative where it paid less.

    Rounded down, so that a shortfall never shows as none. None without a fill.
    """
    return _rounded_down(basis_points_over(order.amount_out, order.first_quoted_out))


def floor_to_fill_bps(order: Order) -> int | None:
    """The fill against the order's floor, likewise: never negative, or the chain broke its word."""
    return _rounded_down(basis_points_over(order.amount_out, order.min_out))


def _rounded_down(basis_points: Fraction | None) -> int | None:
    return None if basis_points is None else floor(basis_points)


def log_post_mortem(order: Order) -> None:
    """One line that tells the whole story: each attempt that failed, why, and how long its steps took."""
    logger.error(
        "order failed",
        attempts=min(order.attempt, MAX_ATTEMPTS),
        retry_count=order.retry_count,
        error_code=order.error_code,
        error=order.error,
        past_signatures=order.past_signatures,
        lasted_ms=order.updated_at_ms - order.created_at_ms,
        steps=[
            {"status": step.status.value, "atMs": step.at_ms, "errorCode": step.error_code} for step in order.history
        ],
        failed_attempts=_failed_attempts(order),
    )


def _failed_attempts(order: Order) -> list[dict[str, object]]:
    """Each failed attempt with its error, its transaction if it had one, and when its steps came after its first."""
    attempts: list[dict[str, object]] = []
    steps: list[HistoryStep] = []
    for last in order.history:
        if last.status in (Status.ROUTING, Status.FAILED) and not steps:
            steps = [last]
        elif last.status is not Status.PENDING:
            steps.append(last)
        if last.status is Status.FAILED:
            hashes = [step.tx_hash for step in steps if step.tx_hash]
            attempts.append(
                {
                    "attempt": len(attempts) + 1,
                    "errorCode": last.error_code,
                    "error": last.error,
                    "txHash": hashes[-1] if hashes else None,
                    "startedAtMs": steps[0].at_ms,
                    "stepsAfterMs": {step.status.value: step.at_ms - steps[0].at_ms for step in steps},
                }
            )
            steps = []
    return attempts
