"""The localnet's sockets: JSON-RPC over HTTP and, on the next port too, over WebSocket; and the passing of slots.

One event loop does everything, so that the ledger is used by one thread.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from hypercorn.asyncio import serve
from hypercorn.config import Config

from infra.browser_requests import Sender
from infra.localnet.node import Node
from infra.localnet.rpc.dispatcher import Dispatcher, InjectedOutage
from infra.localnet.rpc.lane_methods import BUNDLE_ONLY
from infra.localnet.rpc.lane_methods import PATHS as LANE_PATHS
from infra.localnet.rpc.subscriptions import Subscriptions

_log = logging.getLogger(__name__)
# A node takes no larger request.
_MAX_BODY = 50 * 1024
_PORT_ATTEMPTS = 20
_BACKLOG = 256
# @solana/web3.js asks again for a subscription as soon as it is refused, and would do nothing else.
_REFUSAL_SECONDS = 1.0
_FOREIGN_HOST = b"The request's Host is not this machine: use 127.0.0.1 or localhost, or name it by --allow-host\n"
_FOREIGN_PAGE = b"A page asks whose origin is not named by --allow-origin\n"

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


Listeners = tuple[socket.socket, socket.socket]


@dataclass(frozen=True, slots=True)
class Guests:
    """Who may ask besides programs of this machine: pages of these `origins`, as `http://127.0.0.1:3000`, and whoever
    calls this machine by one of these `hosts`."""

    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    def refusal(self, sender: Sender) -> bytes | None:
        """Why this one isn't answered; None where it may be."""
        if not sender.asks_a_host_of(self.hosts):
            return _FOREIGN_HOST
        # A person who types the address comes without an origin, and is shown what a program is.
        if sender.is_browser and not sender.is_page_of(self.origins) and not sender.has_typed_the_address:
            return _FOREIGN_PAGE
        return None


class PortInUseError(Exception):
    """A port that the server needs is in use."""


def open_ports(address: str, rpc_port: int) -> Listeners:
    """Listening sockets for RPC and, on the port after it, WebSocket. With `rpc_port` 0, any two that are free.

    Raises PortInUseError that names the port.
    """
    for attempt in range(_PORT_ATTEMPTS):
        rpc = _listen(address, rpc_port)
        try:
            return rpc, _listen(address, rpc.getsockname()[1] + 1)
        except (PortInUseError, OverflowError):
            rpc.close()
            if rpc_port or attempt == _PORT_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise PortInUseError(f"port {port} on {address} is not free: {error.strerror}") from None
    listener.setblocking(False)
    return listener


class Application:
    """The ASGI application."""

    def __init__(self, node: Node, guests: Guests) -> None:
        self._node = node
        self._guests = guests
        self._dispatcher = Dispatcher.of_node(node)
        self._lane_dispatchers = {only: Dispatcher.of_lane(node, bundle_only=only) for only in (False, True)}
        self._next_slot = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        refusal = self._guests.refusal(Sender.of(scope))
        if scope["type"] == "websocket":
            await (self._websocket(receive, send) if refusal is None else _close_unopened(receive, send, refusal))
        elif scope["type"] == "http":
            await (self._http(scope, receive, send) if refusal is None else _respond(send, 403, refusal, b"text/plain"))

    def announce_slot(self) -> None:
        """Have each WebSocket client told what it waits for. To be called once a slot."""
        self._next_slot.set()
        self._next_slot = asyncio.Event()

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        cors = _cors(Sender.of(scope))
        if scope["method"] == "OPTIONS":
            await _respond(send, 204, b"", b"text/plain", cors)
        elif scope["method"] == "GET" and scope["path"] == "/health":
            await _respond(send, 200, b"ok", b"text/plain", cors)
        elif scope["method"] != "POST":
            text = b"Used HTTP Method is not allowed. POST or OPTIONS is required\n"
            await _respond(send, 405, text, b"text/plain", cors)
        else:
            await self._rpc(scope, receive, send, cors)

    async def _rpc(self, scope: Message, receive: Receive, send: Send, cors: Headers) -> None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if len(body) > _MAX_BODY:
                await _respond(send, 413, b"Exceeded max limit", b"text/plain", cors)
                return
            if not message.get("more_body"):
                break
        is_for_lane = scope["path"] in LANE_PATHS
        dispatcher = self._lane_dispatchers[BUNDLE_ONLY in _query(scope)] if is_for_lane else self._dispatcher
        delay_ms = (self._node.lane.faults if is_for_lane else self._node.faults).settings.delayMs
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        try:
            answer = dispatcher.answer(bytes(body), local_client=_is_program_of_this_machine(scope))
        except InjectedOutage:
            await _respond(send, 503, b"Service Unavailable", b"text/plain", cors)
            return
        await _respond(send, 200, answer, b"application/json", cors)

    async def _websocket(self, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        session = _Session(Subscriptions(self._node), send)
        # A task of its own: a client that does not read holds up nobody else.
        announcer = asyncio.create_task(self._announce_to(session))
        try:
            while (message := await receive())["type"] == "websocket.receive":
                await session.take(message.get("text") or (message.get("bytes") or b"").decode(errors="replace"))
        finally:
            announcer.cancel()
            session.close()

    async def _announce_to(self, session: _Session) -> None:
        while True:
            await self._next_slot.wait()
            await session.announce()


class _Session:
    """One WebSocket connection."""

    def __init__(self, subscriptions: Subscriptions, send: Send) -> None:
        self._subscriptions = subscriptions
        self._send = send
        self._refusals: set[asyncio.Task[None]] = set()

    async def take(self, text: str) -> None:
        answer = self._subscriptions.answer(text)
        if answer.refuses_subscription:
            # In its own time, and nothing else has to wait for it.
            self._refusals.add(refusal := asyncio.create_task(self._refuse(answer.text)))
            refusal.add_done_callback(self._refusals.discard)
            return
        await self._send({"type": "websocket.send", "text": answer.text})
        await self.announce()

    def close(self) -> None:
        for refusal in self._refusals:
            refusal.cancel()

    async def _refuse(self, text: str) -> None:
        await asyncio.sleep(_REFUSAL_SECONDS)
        with suppress(ConnectionError, RuntimeError):
            await self._send({"type": "websocket.send", "text": text})

    async def announce(self) -> None:
        for text in self._subscriptions.notifications():
            # A client that has just gone is noticed by its own reader.
            with suppress(ConnectionError, RuntimeError):
                await self._send({"type": "websocket.send", "text": text})


async def run(
    node: Node,
    listeners: Listeners,
    each_slot: Callable[[], None],
    stop: asyncio.Event,
    guests: Guests,
) -> None:
    """Serve until `stop` is set; `each_slot` is called at the beginning of every slot."""
    application = Application(node, guests)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}" for listener in listeners]
    config.loglevel = "WARNING"
    config.graceful_timeout = 1.0
    config.keep_alive_timeout = 120.0
    config.h11_max_incomplete_size = 64 * 1024
    slots = asyncio.create_task(_pass_slots(node, application, each_slot))
    # When the slots stop passing, nothing else is worth going on.
    slots.add_done_callback(lambda _: stop.set())
    try:
        await serve(application, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
    finally:
        slots.cancel()
        with suppress(asyncio.CancelledError):
            await slots


async def _pass_slots(node: Node, application: Application, each_slot: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    slot_seconds = node.ledger.consensus.slot_ms / 1_000
    due = loop.time()
    while True:
        # Late slots are not made up for: a machine that slept goes on from where it was.
        due = max(due + slot_seconds, loop.time())
        await asyncio.sleep(due - loop.time())
        if not node.paused:
            node.advance()
            try:
                each_slot()
            except Exception:  # noqa: BLE001 - the chain goes on whatever becomes of those who trade on it
                _log.exception("the slot's trades failed")
        application.announce_slot()


def _is_program_of_this_machine(scope: Message) -> bool:
    """No page is one, whatever origin it has."""
    client = scope.get("client")
    is_local = client is not None and ipaddress.ip_address(client[0]).is_loopback
    return is_local and not Sender.of(scope).is_browser


def _query(scope: Message) -> list[tuple[str, str]]:
    return parse_qsl(scope.get("query_string", b"").decode(errors="replace"))


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _cors(sender: Sender) -> Headers:
    """What lets a page read the answer: one of a named origin, for no other gets here."""
    return [
        header
        for origin in sender.origins
        for header in (
            (b"access-control-allow-origin", origin.encode()),
            (b"access-control-allow-methods", b"POST, GET, OPTIONS"),
            (b"access-control-allow-headers", b"*"),
            (b"access-control-max-age", b"86400"),
            (b"vary", b"Origin"),
        )
    ]


async def _close_unopened(receive: Receive, send: Send, body: bytes) -> None:
    await receive()  # websocket.connect
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": 403, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


async def _respond(send: Send, status: int, body: bytes, content_type: bytes, more: Headers | None = None) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *(more or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
