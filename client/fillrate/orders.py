"""Placing and cancelling orders so that a lost answer neither doubles an order nor hides one."""

from __future__ import annotations

from decimal import Decimal

from fillrate.conversation import Emit, Stream, Talk
from fillrate.endpoints import delete_order, get_order, get_orders, post_order
from fillrate.errors import Conflict, FillrateError, SubmissionUnknown
from fillrate.models import Accepted, Order, Status
from fillrate.retrying import Requester, leaves_open
from fillrate.terms import Terms


def place(
    requester: Requester,
    token_in: str,
    token_out: str,
    amount: Decimal | str,
    terms: Terms,
    idempotency_key: str,
) -> Talk[Accepted]:
    """Raises SubmissionUnknown where some attempt may have placed the order and none was answered."""
    open_ends: list[FillrateError] = []

    def note(error: FillrateError) -> None:
        if leaves_open(error):
            open_ends.append(error)

    endpoint = post_order(token_in, token_out, amount, terms, idempotency_key)
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


def pages(
    requester: Requester, status: str | None, token_in: str | None, token_out: str | None, page_size: int | None
) -> Stream[Order]:
    """Every order, newest first, page by page as they are asked for."""
    cursor: str | None = None
    while True:
        page = yield from requester.call(get_orders(status, token_in, token_out, page_size, cursor))
        for order in page.orders:
            yield Emit(order)
        cursor = page.next_cursor
        if cursor is None:
            return
