"""What both clients can do, without input or output: each method gives the conversation that a client carries out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from random import SystemRandom

from fillrate import endpoints, fills, orders
from fillrate.conversation import Stream, Talk
from fillrate.following import AccountFollower, OrderFollower
from fillrate.models import (
    Accepted,
    BalanceList,
    CancelledOrders,
    Health,
    NoQuote,
    Order,
    OrderFill,
    Quote,
    Status,
    StatusEvent,
    Ticket,
    Token,
)
from fillrate.period import Period
from fillrate.prices import AT_MARKET, Changes, Prices
from fillrate.quote_following import QuoteFollower
from fillrate.retrying import Requester, RetryPolicy
from fillrate.terms import Terms


class Core:
    def __init__(self, retries: RetryPolicy | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._requester = Requester(retries or RetryPolicy(), SystemRandom(), now)

    def quote(
        self, token_in: str, token_out: str, amount: Decimal | str, slippage: Decimal | str | None
    ) -> Talk[Quote]:
        return self._requester.call(endpoints.get_quote(token_in, token_out, amount, slippage))

    def execute(
        self,
        token_in: str,
        token_out: str,
        amount: Decimal | str,
        terms: Terms,
        idempotency_key: str | None,
        prices: Prices = AT_MARKET,
    ) -> Talk[Accepted]:
        key = idempotency_key or str(uuid.uuid4())
        return orders.place(self._requester, token_in, token_out, amount, terms, key, prices)

    def change(self, order_id: str, changes: Changes) -> Talk[Order]:
        return self._requester.call(endpoints.patch_order(order_id, changes.to_json()))

    def execute_quote(self, quote: Quote, terms: Terms, idempotency_key: str | None) -> Talk[Accepted]:
        bound = replace(terms, slippage=quote.slippage).at_least(quote.min_out)
        return self.execute(quote.token_in, quote.token_out, quote.amount, bound, idempotency_key)

    def order(self, order_id: str) -> Talk[Order]:
        return self._requester.call(endpoints.get_order(order_id))

    def orders(
        self,
        status: Status | str | None,
        token_in: str | None,
        token_out: str | None,
        page_size: int | None,
        period: Period,
    ) -> Stream[Order]:
        return orders.pages(self._requester, status, token_in, token_out, page_size, period)

    def cancel(self, order_id: str) -> Talk[Order]:
        return orders.cancel(self._requester, order_id)

    def cancel_all(self, status: str) -> Talk[CancelledOrders]:
        return orders.cancel_all(self._requester, status)

    def balances(self) -> Talk[BalanceList]:
        return self._requester.call(endpoints.get_balances())

    def fills(self, period: Period, token: str | None, page_size: int | None) -> Stream[OrderFill]:
        return fills.pages(self._requester, period, token, page_size)

    def fills_csv(self, period: Period, token: str | None) -> Stream[str]:
        return fills.csv_pages(self._requester, period, token)

    def tokens(self) -> Talk[list[Token]]:
        return self._requester.call(endpoints.get_tokens())

    def health(self) -> Talk[Health]:
        return self._requester.call(endpoints.get_health())

    def ws_ticket(self, order_id: str | None) -> Talk[Ticket]:
        return self._requester.call(endpoints.post_ticket(order_id))

    def follow(self, order: str | Accepted | Order, after_seq: int, timeout: float | None) -> Stream[StatusEvent]:
        if isinstance(order, str):
            return OrderFollower(self._requester, order, after_seq, timeout).follow()
        return OrderFollower(self._requester, order.order_id, after_seq, timeout).follow(order.ws_url)

    def stream_quotes(
        self,
        token_in: str,
        token_out: str,
        amount: Decimal | str,
        slippage: Decimal | str | None,
        timeout: float | None,
    ) -> Stream[Quote | NoQuote]:
        return QuoteFollower(self._requester, token_in, token_out, amount, slippage, timeout).follow()

    def watch(self, timeout: float | None) -> Stream[StatusEvent]:
        return AccountFollower(self._requester, timeout).follow()
