"""What a call wants done, apart from how: conversations are generators of effects, and a client carries them out.

`Fillrate` and `AsyncFillrate` share all logic this way: retries, resuming and so on are written once, without any
input or output, and each client only sends, sleeps and listens in its own manner.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
Event_co = TypeVar("Event_co", covariant=True)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`path` is relative to the service's URL, its query included."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """Answered with the HttpResponse; Unreachable or NoAnswer is thrown in."""

    request: HttpRequest


@dataclass(frozen=True, slots=True)
class Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """Opens a WebSocket in place of the one there may be; SocketFailed is thrown in."""

    url: str = field(repr=False)  # has a ticket


@dataclass(frozen=True, slots=True)
class Receive:
    """Answered with the socket's next message, or None where none came in time; SocketFailed is thrown in."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SendText:
    """Sends a message over the socket; SocketFailed is thrown in."""

    text: str


@dataclass(frozen=True, slots=True)
class Emit(Generic[Event_co]):
    """Hands something to whoever iterates."""

    event: Event_co


Effect = Send | Sleep | OpenSocket | Receive | SendText
# A conversation that ends with a T.
Talk = Generator[Effect, object, T]
# One that gives T's on its way, and one that also ends with an R.
Stream = Generator[Effect | Emit[T], object, None]
StreamTo = Generator[Effect | Emit[T], object, R]


class SocketFailed(Exception):
    """The socket can't be opened, or is closed."""


def send(request: HttpRequest) -> Talk[HttpResponse]:
    response = yield Send(request)
    assert isinstance(response, HttpResponse), "that is how a Send is answered"
    return response


def sleep(seconds: float) -> Talk[None]:
    yield Sleep(seconds)


def open_socket(url: str) -> Talk[None]:
    yield OpenSocket(url)


def receive(seconds: float) -> Talk[str | None]:
    text = yield Receive(seconds)
    assert text is None or isinstance(text, str), "that is how a Receive is answered"
    return text


def send_text(text: str) -> Talk[None]:
    yield SendText(text)


def emit_result(talk: Talk[T]) -> Stream[T]:
    """A conversation's end as a stream of one, so that a client needs a single way to carry out both."""
    result = yield from talk
    yield Emit(result)
