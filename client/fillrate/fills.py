"""Every fill of the account, page by page as they are asked for."""

from __future__ import annotations

from fillrate.conversation import Emit, Stream
from fillrate.endpoints import get_fills, get_fills_csv
from fillrate.models import OrderFill
from fillrate.period import Period
from fillrate.retrying import Requester


def pages(requester: Requester, period: Period, token: str | None, page_size: int | None) -> Stream[OrderFill]:
    """The latest first."""
    cursor: str | None = None
    while True:
        page = yield from requester.call(get_fills(period, token, page_size, cursor))
        for fill in page.fills:
            yield Emit(fill)
        cursor = page.next_cursor
        if cursor is None:
            return


def csv_pages(requester: Requester, period: Period, token: str | None) -> Stream[str]:
    """The same as the service's comma-separated values, a page at once, their head before the first alone."""
    page = yield from requester.call(get_fills_csv(period, token, None))
    yield Emit(page.text)
    while page.next_cursor is not None:
        page = yield from requester.call(get_fills_csv(period, token, page.next_cursor))
        yield Emit(page.text.partition("\r\n")[2])
