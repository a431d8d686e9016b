"""Placing and cancelling orders so that a lost answer neither doubles an order nor hides one."""

from __future__ import annotations

from decimal import Decimal

from fillrate.conversation import Emit, Stream, Talk
from fillrate.endpoints import delete_order, delete_orders, get_order, get_orders, post_order
from fillrate.errors import Conflict, FillrateError, SubmissionUnknown
from fillrate.models import Accepted, CancelledOrders, Order, Status
from fillrate.period import Period
from fillrate.prices import AT_MARKET, Prices
from fillrate.retrying import Requester, leaves_open
from fillrate.terms import Terms


def place(
    requester: Requester,
    token_in: str,
    token_out: str,
    amount: Decimal | str,
    terms: Terms,
    idempotency_key: str,
    prices: Prices = AT_MARKET,
) -> Talk[Accepted]:
    """Raises SubmissionUnknown where some attempt may have placed the order and none was answered."""
    open_ends: list[FillrateError] = []

    def note(error: FillrateError) -> None:
        if leaves_open(error):
            open_ends.append(error)

    endpoint = post_order(token_in, token_out, amount, terms, idempotency_key, prices)
    try:
        return (yield from requester.call(endpoint, on_failure=note))
    except FillrateError as error:
        if open_ends:
            raise SubmissionUnknown(idempotency_key, open_ends[-1]) from error
        raise


def cancel(requester: Requester, order_id: str) -> Talk[Order]:
    """A first attempt whose answer was lost may have cancelled it, and the second is then refused: that is success."""
    failures: list[FillrateError] = []
    try:
        return (yield from requester.call(delete_order(order_id), on_failure=failures.append))
    except Conflict:
        if len(failures) > 1:
            order = yield from requester.call(get_order(order_id))
            if order.status is Status.CANCELLED:
                return order
        raise


def cancel_all(requester: Requester, status: str) -> Talk[CancelledOrders]:
    """Call after call until none is left of those that were placed before; what all calls came to."""
    cancelled = 0
    too_late: dict[str, None] = {}
    while True:
        answer = yield from requester.call(delete_orders(status))
        cancelled += answer.cancelled
        too_late |= dict.fromkeys(answer.too_late)
        if not (answer.more and (answer.cancelled or answer.too_late)):
            return CancelledOrders(cancelled=cancelled, too_late=tuple(too_late), more=answer.more)


def pages(
    requester: Requester,
    status: str | None,
    token_in: str | None,
    token_out: str | None,
    page_size: int | None,
    period: Period,
) -> Stream[Order]:
    """Every order, newest first, page by page as they are asked for."""
    cursor: str | None = None
    while True:
        page = yield from requester.call(get_orders(status, token_in, token_out, page_size, cursor, period))
        for order in page.orders:
            yield Emit(order)
        cursor = page.next_cursor
        if cursor is None:
            return
