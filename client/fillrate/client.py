"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx2
from websockets.sync.client import ClientConnection, connect

from fillrate.configuration import Configuration, configure
from fillrate.conversation import (
    Effect,
    Emit,
    OpenSocket,
    Receive,
    Send,
    SendText,
    Sleep,
    SocketFailed,
    Stream,
    Talk,
    emit_result,
)
from fillrate.core import Core
from fillrate.errors import FillrateError
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
from fillrate.prices import Changes, Prices
from fillrate.retrying import RetryPolicy
from fillrate.terms import TermOptions, Terms, TermsBesideSlippage
from fillrate.transport import (
    SOCKET_OPEN_SECONDS,
    TIMEOUT,
    USER_AGENT,
    environment_errors,
    headers_for,
    http_errors,
    socket_errors,
    socket_proxy,
    to_response,
    trusts_environment,
    url_of,
)

T = TypeVar("T")


class Fillrate:
    """A service and an account. May be used by several threads at once, and as a context manager.

    >>> with Fillrate() as fillrate:
    ...     order = fillrate.execute_quote(fillrate.quote("SOL", "USDC", "10"))
    ...     for event in fillrate.follow(order):
    ...         print(event.status)

    Every method raises FillrateError's subclasses, and retries first what may pass (see RetryPolicy).
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        retries: RetryPolicy | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """`url` and `api_key` as in `configure`. `transport` is httpx2's, for proxies and the like.

        Raises ConfigurationError.
        """
        self.configuration = configure(url, api_key)
        self._core = Core(retries)
        with environment_errors():
            self._http = httpx2.Client(
                headers=headers_for(self.configuration),
                timeout=TIMEOUT,
                transport=transport,
                trust_env=trusts_environment(self.configuration.url),
            )

    def quote(
        self, token_in: str, token_out: str, amount: Decimal | str, *, slippage: Decimal | str | None = None
    ) -> Quote:
        """What exactly `amount` whole tokens of `token_in` would get now. `slippage`: a fraction, 0.01 by default."""
        return self._result(self._core.quote(token_in, token_out, amount, slippage))

    def stream_quotes(
        self,
        token_in: str,
        token_out: str,
        amount: Decimal | str,
        *,
        slippage: Decimal | str | None = None,
        timeout: float | None = None,
    ) -> Iterator[Quote | NoQuote]:
        """What exactly `amount` of `token_in` would get, now and each time that changes; a NoQuote where there is none.

        What came before a NoQuote is of no use any more: `error_code` says why (`DISCONNECTED`: the connection was
        lost, and another is opened). Over the WebSocket, or where there is none by asking once a second; for `timeout`
        seconds or without end. Raises InvalidRequest, and TooManyRequests where as many quotes stream as may.
        """
        return self._events(self._core.stream_quotes(token_in, token_out, amount, slippage, timeout))

    def execute(
        self,
        token_in: str,
        token_out: str,
        amount: Decimal | str,
        *,
        idempotency_key: str | None = None,
        **terms: Unpack[TermOptions],
    ) -> Accepted:
        """Place a market order: sell exactly `amount` whole tokens of `token_in` for `token_out`.

        `min_out` is the least of `token_out`, whatever the market does until then: a quote's `min_out` makes what was
        quoted binding. From `expires_at` on nothing is tried any more. `client_order_id` is the caller's own name for
        the order, unique in the account. `max_price_impact` is a fraction, `max_network_fee` SOL for one transaction.

        Sent with an Idempotency-Key, a new one unless given, so that no retry makes a second order. Raises
        SubmissionUnknown where it can't be told whether there is one; its `idempotency_key` is the way to find out.
        """
        return self._result(self._core.execute(token_in, token_out, amount, Terms(**terms), idempotency_key))

    def execute_quote(
        self,
        quote: Quote,
        *,
        idempotency_key: str | None = None,
        **terms: Unpack[TermsBesideSlippage],
    ) -> Accepted:
        """Place what was quoted: that trade with its slippage, and the quote's `min_out` as the least that comes out.

        A `min_out` of one's own holds where it is stricter; the rest is as with `execute`. The same quote with the same
        `idempotency_key` is the same order, which a new quote would not be.
        """
        return self._result(self._core.execute_quote(quote, Terms(**terms), idempotency_key))

    def limit(
        self,
        token_in: str,
        token_out: str,
        amount: Decimal | str,
        limit_price: Decimal | str,
        *,
        max_tries: int | None = None,
        force: bool = False,
        idempotency_key: str | None = None,
        **terms: Unpack[TermOptions],
    ) -> Accepted:
        """Place a limit order: it waits until the best route pays `limit_price` a token, and never gets less.

        Prices are whole tokens of `token_out` for one of `token_in`, for the whole amount, all fees in. The other
        terms are as with `execute`. `max_tries`: how often it waits again after a transaction that did not fill.
        `force` accepts a price that looks like a mistake beside the market's.
        """
        prices = Prices("limit", limit_price, None, None, max_tries, force)
        return self._result(self._core.execute(token_in, token_out, amount, Terms(**terms), idempotency_key, prices))

    def stop(
        self,
        token_in: str,
        token_out: str,
        amount: Decimal | str,
        *,
        stop_price: Decimal | str | None = None,
        trailing: Decimal | str | None = None,
        max_tries: int | None = None,
        force: bool = False,
        idempotency_key: str | None = None,
        **terms: Unpack[TermOptions],
    ) -> Accepted:
        """Place a stop order: once the best route pays no more than `stop_price`, it sells, with `slippage`.

        `trailing`, a fraction, in place of `stop_price` lets the stop follow the best price seen. In a fall deeper
        than its slippage a stop does not fill. The rest is as with `limit`.
        """
        prices = Prices("stop", None, stop_price, trailing, max_tries, force)
        return self._result(self._core.execute(token_in, token_out, amount, Terms(**terms), idempotency_key, prices))

    def oco(
        self,
        token_in: str,
        token_out: str,
        amount: Decimal | str,
        limit_price: Decimal | str,
        *,
        stop_price: Decimal | str | None = None,
        trailing: Decimal | str | None = None,
        max_tries: int | None = None,
        force: bool = False,
        idempotency_key: str | None = None,
        **terms: Unpack[TermOptions],
    ) -> Accepted:
        """Place a limit and a stop for the same amount, of which whichever comes first trades, and never both."""
        prices = Prices("oco", limit_price, stop_price, trailing, max_tries, force)
        return self._result(self._core.execute(token_in, token_out, amount, Terms(**terms), idempotency_key, prices))

    def change(
        self,
        order_id: str,
        *,
        limit_price: Decimal | str | None = None,
        stop_price: Decimal | str | None = None,
        trailing: Decimal | str | None = None,
        min_out: Decimal | str | None = None,
        slippage: Decimal | str | None = None,
        expires_at: datetime | str | None = None,
        remove_min_out: bool = False,
        force: bool = False,
    ) -> Order:
        """Change an order that has neither started nor been triggered; what is None stays as it is.

        `remove_min_out` lets it have no least of its own. Raises Conflict where it is too late.
        """
        changes = Changes(
            limit_price, stop_price, trailing, min_out, slippage, expires_at, remove_min_out=remove_min_out, force=force
        )
        return self._result(self._core.change(order_id, changes))

    def order(self, order_id: str) -> Order:
        """The order with its history. Raises NotFound."""
        return self._result(self._core.order(order_id))

    def orders(
        self,
        *,
        status: Status | str | None = None,
        token_in: str | None = None,
        token_out: str | None = None,
        page_size: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> Iterator[Order]:
        """The account's orders, newest first; more are asked for as the iteration goes on.

        `since` and `until`: those placed from then on, and before then.
        """
        return self._events(self._core.orders(status, token_in, token_out, page_size, Period(since, until)))

    def cancel(self, order_id: str) -> Order:
        """Cancel an order of which nothing is signed. Raises Conflict where it is too late."""
        return self._result(self._core.cancel(order_id))

    def cancel_all(self, *, waiting_alone: bool = False) -> CancelledOrders:
        """Cancel every order of which nothing is signed, or those alone that wait for their condition."""
        return self._result(self._core.cancel_all("open" if waiting_alone else "unsigned"))

    def balances(self) -> BalanceList:
        """What the wallet holds of every traded token."""
        return self._result(self._core.balances())

    def fills(
        self,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        token: str | None = None,
        page_size: int | None = None,
    ) -> Iterator[OrderFill]:
        """What the account's orders were filled at, the latest first: from `since` on and before `until`."""
        return self._events(self._core.fills(Period(since, until), token, page_size))

    def fills_csv(
        self,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        token: str | None = None,
    ) -> Iterator[str]:
        """The same as comma-separated values, in parts that together are one file."""
        return self._events(self._core.fills_csv(Period(since, until), token))

    def tokens(self) -> list[Token]:
        """What the service's pools trade."""
        return self._result(self._core.tokens())

    def health(self) -> Health:
        """Whether the parts that an order needs answer; an unwell service is an answer, too."""
        return self._result(self._core.health())

    def ws_ticket(self, order_id: str | None = None) -> Ticket:
        """A WebSocket address for one order, or for all of the account's; good once, for a minute."""
        return self._result(self._core.ws_ticket(order_id))

    def follow(
        self, order: str | Accepted | Order, *, after_seq: int = 0, timeout: float | None = None
    ) -> Iterator[StatusEvent]:
        """Every step of an order, each once, from its first (or after `after_seq`) to its end, as they happen.

        Lost connections are opened again. Raises NotEnded when `timeout` seconds are over, Unreachable or NoAnswer when
        the service has been away for a minute.
        """
        return self._events(self._core.follow(order, after_seq, timeout))

    def wait(self, order: str | Accepted | Order, *, timeout: float | None = None) -> Order:
        """The order once it has ended. Raises as `follow` does."""
        for _ in self.follow(order, timeout=timeout):
            pass
        return self.order(order if isinstance(order, str) else order.order_id)

    def watch(self, *, timeout: float | None = None) -> Iterator[StatusEvent]:
        """Every change of every order of the account from now on, for `timeout` seconds or without end."""
        return self._events(self._core.watch(timeout))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _result(self, talk: Talk[T]) -> T:
        return next(self._events(emit_result(talk)))

    def _events(self, stream: Stream[T]) -> Iterator[T]:
        performer = _Performer(self.configuration, self._http)
        step = partial(stream.send, None)
        try:
            while True:
                try:
                    effect = step()
                except StopIteration:
                    return
                if isinstance(effect, Emit):
                    yield effect.event
                    step = partial(stream.send, None)
                    continue
                try:
                    step = partial(stream.send, performer.perform(effect))
                except (FillrateError, SocketFailed) as error:
                    step = partial(stream.throw, error)
        finally:
            performer.close()


class _Performer:
    """Carries out one conversation's effects; it has at most one socket at a time."""

    def __init__(self, configuration: Configuration, http: httpx2.Client) -> None:
        self._configuration = configuration
        self._http = http
        self._socket: ClientConnection | None = None
        self._socket_life = ExitStack()

    def perform(self, effect: Effect) -> object:
        match effect:
            case Send(request):
                with http_errors(self._configuration):
                    url = url_of(self._configuration, request)
                    return to_response(
                        self._http.request(request.method, url, content=request.body, headers=dict(request.headers))
                    )
            case Sleep(seconds):
                time.sleep(seconds)
            case OpenSocket(url):
                self.close()
                with socket_errors():
                    connection = connect(
                        url,
                        open_timeout=SOCKET_OPEN_SECONDS,
                        user_agent_header=USER_AGENT,
                        proxy=socket_proxy(url),
                    )
                    self._socket = self._socket_life.enter_context(connection)
            case Receive(seconds):
                return self._receive(seconds)
            case SendText(text):
                with socket_errors():
                    self._open_socket.send(text)
        return None

    def close(self) -> None:
        self._socket = None
        self._socket_life.close()

    def _receive(self, seconds: float) -> str | None:
        with socket_errors():
            try:
                return str(self._open_socket.recv(timeout=seconds))
            except TimeoutError:
                return None

    @property
    def _open_socket(self) -> ClientConnection:
        assert self._socket is not None, "a conversation opens its socket first"
        return self._socket
