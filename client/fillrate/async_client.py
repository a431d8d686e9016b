"""The asynchronous client: the same as `Fillrate`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from datetime import datetime
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx2
from websockets.asyncio.client import ClientConnection, connect

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


class AsyncFillrate:
    """`Fillrate` for asyncio: what returns there is awaited here, what iterates there is iterated with `async for`.

    >>> async with AsyncFillrate() as fillrate:
    ...     order = await fillrate.execute_quote(await fillrate.quote("SOL", "USDC", "10"))
    ...     async for event in fillrate.follow(order):
    ...         print(event.status)
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        retries: RetryPolicy | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """As `Fillrate`."""
        self.configuration = configure(url, api_key)
        self._core = Core(retries)
        with environment_errors():
            self._http = httpx2.AsyncClient(
                headers=headers_for(self.configuration),
                timeout=TIMEOUT,
                transport=transport,
                trust_env=trusts_environment(self.configuration.url),
            )

    async def quote(
        self, token_in: str, token_out: str, amount: Decimal | str, *, slippage: Decimal | str | None = None
    ) -> Quote:
        """As `Fillrate.quote`."""
        return await self._result(self._core.quote(token_in, token_out, amount, slippage))

    def stream_quotes(
        self,
        token_in: str,
        token_out: str,
        amount: Decimal | str,
        *,
        slippage: Decimal | str | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[Quote | NoQuote]:
        """As `Fillrate.stream_quotes`."""
        return self._events(self._core.stream_quotes(token_in, token_out, amount, slippage, timeout))

    async def execute(
        self,
        token_in: str,
        token_out: str,
        amount: Decimal | str,
        *,
        idempotency_key: str | None = None,
        **terms: Unpack[TermOptions],
    ) -> Accepted:
        """As `Fillrate.execute`."""
        return await self._result(self._core.execute(token_in, token_out, amount, Terms(**terms), idempotency_key))

    async def execute_quote(
        self,
        quote: Quote,
        *,
        idempotency_key: str | None = None,
        **terms: Unpack[TermsBesideSlippage],
    ) -> Accepted:
        """As `Fillrate.execute_quote`."""
        return await self._result(self._core.execute_quote(quote, Terms(**terms), idempotency_key))

    async def limit(
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
        """As `Fillrate.limit`."""
        prices = Prices("limit", limit_price, None, None, max_tries, force)
        return await self._result(
            self._core.execute(token_in, token_out, amount, Terms(**terms), idempotency_key, prices)
        )

    async def stop(
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
        """As `Fillrate.stop`."""
        prices = Prices("stop", None, stop_price, trailing, max_tries, force)
        return await self._result(
            self._core.execute(token_in, token_out, amount, Terms(**terms), idempotency_key, prices)
        )

    async def oco(
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
        """As `Fillrate.oco`."""
        prices = Prices("oco", limit_price, stop_price, trailing, max_tries, force)
        return await self._result(
            self._core.execute(token_in, token_out, amount, Terms(**terms), idempotency_key, prices)
        )

    async def change(
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
        """As `Fillrate.change`."""
        changes = Changes(
            limit_price, stop_price, trailing, min_out, slippage, expires_at, remove_min_out=remove_min_out, force=force
        )
        return await self._result(self._core.change(order_id, changes))

    async def order(self, order_id: str) -> Order:
        """As `Fillrate.order`."""
        return await self._result(self._core.order(order_id))

    def orders(
        self,
        *,
        status: Status | str | None = None,
        token_in: str | None = None,
        token_out: str | None = None,
        page_size: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> AsyncGenerator[Order]:
        """As `Fillrate.orders`."""
        return self._events(self._core.orders(status, token_in, token_out, page_size, Period(since, until)))

    async def cancel(self, order_id: str) -> Order:
        """As `Fillrate.cancel`."""
        return await self._result(self._core.cancel(order_id))

    async def cancel_all(self, *, waiting_alone: bool = False) -> CancelledOrders:
        """As `Fillrate.cancel_all`."""
        return await self._result(self._core.cancel_all("open" if waiting_alone else "unsigned"))

    async def balances(self) -> BalanceList:
        """As `Fillrate.balances`."""
        return await self._result(self._core.balances())

    def fills(
        self,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        token: str | None = None,
        page_size: int | None = None,
    ) -> AsyncGenerator[OrderFill]:
        """As `Fillrate.fills`."""
        return self._events(self._core.fills(Period(since, until), token, page_size))

    def fills_csv(
        self,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        token: str | None = None,
    ) -> AsyncGenerator[str]:
        """As `Fillrate.fills_csv`."""
        return self._events(self._core.fills_csv(Period(since, until), token))

    async def tokens(self) -> list[Token]:
        """As `Fillrate.tokens`."""
        return await self._result(self._core.tokens())

    async def health(self) -> Health:
        """As `Fillrate.health`."""
        return await self._result(self._core.health())

    async def ws_ticket(self, order_id: str | None = None) -> Ticket:
        """As `Fillrate.ws_ticket`."""
        return await self._result(self._core.ws_ticket(order_id))

    def follow(
        self, order: str | Accepted | Order, *, after_seq: int = 0, timeout: float | None = None
    ) -> AsyncGenerator[StatusEvent]:
        """As `Fillrate.follow`."""
        return self._events(self._core.follow(order, after_seq, timeout))

    async def wait(self, order: str | Accepted | Order, *, timeout: float | None = None) -> Order:
        """As `Fillrate.wait`."""
        async with aclosing(self.follow(order, timeout=timeout)) as events:
            async for _ in events:
                pass
        return await self.order(order if isinstance(order, str) else order.order_id)

    def watch(self, *, timeout: float | None = None) -> AsyncGenerator[StatusEvent]:
        """As `Fillrate.watch`."""
        return self._events(self._core.watch(timeout))

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _result(self, talk: Talk[T]) -> T:
        async with aclosing(self._events(emit_result(talk))) as results:
            return await anext(results)

    async def _events(self, stream: Stream[T]) -> AsyncGenerator[T]:
        performer = _AsyncPerformer(self.configuration, self._http)
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
                    step = partial(stream.send, await performer.perform(effect))
                except (FillrateError, SocketFailed) as error:
                    step = partial(stream.throw, error)
        finally:
            await performer.close()


class _AsyncPerformer:
    """Carries out one conversation's effects; it has at most one socket at a time."""

    def __init__(self, configuration: Configuration, http: httpx2.AsyncClient) -> None:
        self._configuration = configuration
        self._http = http
        self._socket: ClientConnection | None = None
        self._socket_life = AsyncExitStack()

    async def perform(self, effect: Effect) -> object:
        match effect:
            case Send(request):
                with http_errors(self._configuration):
                    url = url_of(self._configuration, request)
                    return to_response(
                        await self._http.request(
                            request.method, url, content=request.body, headers=dict(request.headers)
                        )
                    )
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case OpenSocket(url):
                await self.close()
                with socket_errors():
                    connection = connect(
                        url,
                        open_timeout=SOCKET_OPEN_SECONDS,
                        user_agent_header=USER_AGENT,
                        proxy=socket_proxy(url),
                    )
                    self._socket = await self._socket_life.enter_async_context(connection)
            case Receive(seconds):
                return await self._receive(seconds)
            case SendText(text):
                with socket_errors():
                    await self._open_socket.send(text)
        return None

    async def close(self) -> None:
        self._socket = None
        await self._socket_life.aclose()

    async def _receive(self, seconds: float) -> str | None:
        with socket_errors():
            try:
                async with asyncio.timeout(seconds):
                    return str(await self._open_socket.recv())
            except TimeoutError:
                return None

    @property
    def _open_socket(self) -> ClientConnection:
        assert self._socket is not None, "a conversation opens its socket first"
        return self._socket
