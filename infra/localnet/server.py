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
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from infra.localnet.node import Node
from infra.localnet.rpc.dispatcher import Dispatcher, InjectedOutage
from infra.localnet.rpc.subscriptions import Subscriptions

_log = logging.getLogger(__name__)
# A node takes no larger request.
_MAX_BODY = 50 * 1024
_PORT_ATTEMPTS = 20
_BACKLOG = 256
_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET, OPTIONS"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"86400"),
]

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


Listeners = tuple[socket.socket, socket.socket]


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

    def __init__(self, node: Node) -> None:
        self._node = node
        self._dispatcher = Dispatcher(node)
        self._next_slot = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)

    def announce_slot(self) -> None:
        """Have each WebSocket client told what it waits for. To be called once a slot."""
        self._next_slot.set()
        self._next_slot = asyncio.Event()

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await _respond(send, 204, b"", b"text/plain")
        elif scope["method"] == "GET" and scope["path"] == "/health":
            await _respond(send, 200, b"ok", b"text/plain")
        elif scope["method"] != "POST":
            await _respond(send, 405, b"Used HTTP Method is not allowed. POST or OPTIONS is required\n", b"text/plain")
        else:
            await self._rpc(scope, receive, send)

    async def _rpc(self, scope: Message, receive: Receive, send: Send) -> None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if len(body) > _MAX_BODY:
                await _respond(send, 413, b"Exceeded max limit", b"text/plain")
                return
            if not message.get("more_body"):
                break
        delay_ms = self._node.faults.settings.delayMs
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        try:
            answer = self._dispatcher.answer(bytes(body), local_client=_is_local(scope))
        except InjectedOutage:
            await _respond(send, 503, b"Service Unavailable", b"text/plain")
            return
        await _respond(send, 200, answer, b"application/json")

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

    async def _announce_to(self, session: _Session) -> None:
        while True:
            await self._next_slot.wait()
            await session.announce()


class _Session:
    """One WebSocket connection."""

    def __init__(self, subscriptions: Subscriptions, send: Send) -> None:
        self._subscriptions = subscriptions
        self._send = send

    async def take(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": self._subscriptions.answer(text)})
        await self.announce()

    async def announce(self) -> None:
        for text in self._subscriptions.notifications():
            # A client that has just gone is noticed by its own reader.
            with suppress(ConnectionError, RuntimeError):
                await self._send({"type": "websocket.send", "text": text})


async def run(
    node: Node,
    listeners: Listeners,
    slot_seconds: float,
    each_slot: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Serve until `stop` is set; `each_slot` is called at the beginning of every slot."""
    application = Application(node)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}" for listener in listeners]
    config.loglevel = "WARNING"
    config.graceful_timeout = 1.0
    config.keep_alive_timeout = 120.0
    config.h11_max_incomplete_size = 64 * 1024
    slots = asyncio.create_task(_pass_slots(node, application, slot_seconds, each_slot))
    # When the slots stop passing, nothing else is worth going on.
    slots.add_done_callback(lambda _: stop.set())
    try:
        await serve(application, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
    finally:
        slots.cancel()
        with suppress(asyncio.CancelledError):
            await slots


async def _pass_slots(node: Node, application: Application, slot_seconds: float, each_slot: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
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


def _is_local(scope: Message) -> bool:
    client = scope.get("client")
    return client is not None and ipaddress.ip_address(client[0]).is_loopback


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _respond(send: Send, status: int, body: bytes, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *_CORS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
