"""Both clients behind one face, so that each test of a promise is one of both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import Any, Protocol, TypeVar

from fillrate import AsyncFillrate, Fillrate, RetryPolicy

T = TypeVar("T")

QUICK = RetryPolicy(first_delay=0.001, longest_delay=0.001)


class Either(Protocol):
    """A client whose awaited methods are called and whose async iterators are iterated."""

    def call(self, method: str, *arguments: Any, **named: Any) -> Any: ...

    def iterate(self, method: str, *arguments: Any, **named: Any) -> Generator[Any, None, None]: ...

    def close(self) -> None: ...


class Synchronous:
    def __init__(self, url: str, api_key: str | None = None, retries: RetryPolicy = QUICK) -> None:
        self._client = Fillrate(url, api_key, retries=retries)

    def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        return getattr(self._client, method)(*arguments, **named)

    def iterate(self, method: str, *arguments: Any, **named: Any) -> Generator[Any, None, None]:
        yield from getattr(self._client, method)(*arguments, **named)

    def close(self) -> None:
        self._client.close()


class Asynchronous:
    def __init__(self, url: str, api_key: str | None = None, retries: RetryPolicy = QUICK) -> None:
        self._client = AsyncFillrate(url, api_key, retries=retries)
        self._loop = asyncio.new_event_loop()

    def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        return self._run(getattr(self._client, method)(*arguments, **named))

    def iterate(self, method: str, *arguments: Any, **named: Any) -> Generator[Any, None, None]:
        iterator: AsyncGenerator[Any, None] = getattr(self._client, method)(*arguments, **named)
        try:
            while True:
                try:
                    yield self._run(anext(iterator))
                except StopAsyncIteration:
                    return
        finally:
            self._run(iterator.aclose())

    def close(self) -> None:
        self._run(self._client.aclose())
        self._loop.close()

    def _run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self._loop.run_until_complete(awaited())


CLIENTS: dict[str, type[Synchronous] | type[Asynchronous]] = {"sync": Synchronous, "async": Asynchronous}
