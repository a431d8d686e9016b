"""A loopback HTTP proxy that stands between the workers and what they call, and can hold any call, before or after.

It needs no hook in the product: a worker is told the proxy's address where the real one would stand, and never learns
that a call of its own is being held. Whose call it is, is told by the operating system (`caller`).
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

PATIENCE_SECONDS = 120.0
_LONGEST_HEAD = 64 * 1024


class When(Enum):
    """Whether a held call has been carried out."""

    BEFORE = "before it reaches the other side"
    AFTER = "after it, the answer being held back"


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request: by which process, to what, and with what. `targets`: JSON-RPC methods, or AWS's operation.

    `line` is its method and path; `answer` is the body that came back, once it has.
    """

    pid: int | None
    targets: tuple[str, ...]
    body: Any
    line: str = ""
    answer: bytes = b""


@dataclass
class Held:
    """A call that waits. It goes on when `let_go` is called, and is dropped when its caller is dead."""

    call: Call
    when: When
    _free: asyncio.Event
    _loop: asyncio.AbstractEventLoop

    def let_go(self) -> None:
        self._loop.call_soon_threadsafe(self._free.set)


# Looks at each call, twice: before it is passed on, and again when its answer is there. Says whom to tell that the call
# is held; None lets it pass.
Rule = Callable[[Call, When], Callable[[Held], object] | None]


@dataclass
class _Peer:
    """Who is at the other end of a connection, asked until it is known: a new process may not be seen at once."""

    port: int
    caller: Callable[[int], int | None]
    known: int | None = None

    def pid(self) -> int | None:
        self.known = self.known or self.caller(self.port)
        return self.known


def _let_pass(call: Call, when: When) -> None:
    return None


def _look_away(call: Call) -> None:
    return None


@dataclass
class FaultProxy:
    """A context manager: listens at `url` and passes everything on to `upstream`, except for what `rule` holds."""

    upstream: str
    caller: Callable[[int], int | None]
    rule: Rule = _let_pass
    # is shown each call with its answer, before that may be held
    watch: Callable[[Call], None] = _look_away
    url: str = ""
    calls: int = 0
    # when each process last called, in seconds of time.monotonic
    last_call: dict[int, float] = field(default_factory=dict)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _held: set[asyncio.Event] = field(default_factory=set)
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    def __enter__(self) -> FaultProxy:
        ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="fault-proxy", daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{ready.result(PATIENCE_SECONDS)}"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        assert self._thread is not None
        self._thread.join(PATIENCE_SECONDS)

    def let_all_go(self) -> None:
        """No rule any more, and nothing is held."""
        self.rule = _let_pass

        def free() -> None:
            for event in self._held:
                event.set()

        self._loop.call_soon_threadsafe(free)

    def _run(self, ready: Future[int]) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        ready.set_result(server.sockets[0].getsockname()[1])
        self._loop.run_forever()
        server.close()
        for task in self._connections:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._connections, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        upstream: asyncio.StreamWriter | None = None
        try:
            peer = _Peer(writer.get_extra_info("peername")[1], self.caller)
            parts = urlsplit(self.upstream)
            answers, upstream = await asyncio.open_connection(parts.hostname, parts.port, limit=_LONGEST_HEAD)
            while await self._pass_one(peer, reader, writer, answers, upstream):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one of the two sides is gone, or the proxy is: so is the connection
        finally:
            self._connections.discard(task)
            for side in (upstream, writer):
                if side is not None:
                    side.close()

    async def _pass_one(
        self,
        peer: _Peer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> bool:
        """One request and its answer; False where the connection is over."""
        head, body = await _read_message(reader)
        pid = peer.pid()
        call = Call(pid, *_what(head, body), line=head.partition(b"\r\n")[0].decode(errors="replace"))
        self.calls += 1
        if pid is not None:
            self.last_call[pid] = time.monotonic()
        if not await self._hold(call, When.BEFORE, reader):
            return False
        upstream.write(head + body)
        await upstream.drain()
        answer_head, answer_body = await _read_message(answers)
        answered = replace(call, answer=answer_body)
        self.watch(answered)
        if not await self._hold(answered, When.AFTER, reader):
            return False
        writer.write(answer_head + answer_body)
        await writer.drain()
        return True

    async def _hold(self, call: Call, when: When, reader: asyncio.StreamReader) -> bool:
        """Wait if the rule wants it so; False where the caller has died meanwhile."""
        tell = self.rule(call, when)
        if tell is None:
            return True
        free = asyncio.Event()
        self._held.add(free)
        tell(Held(call, when, free, self._loop))
        freed, gone = asyncio.create_task(free.wait()), asyncio.create_task(reader.read(1))
        done, waiting = await asyncio.wait({freed, gone}, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        self._held.discard(free)
        return gone not in done  # a client with a call under way sends nothing: what is read is its end


async def _read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one HTTP message, as they stand on the wire."""
    head = await reader.readuntil(b"\r\n\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:] if line)
    }
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = b""
        while True:
            size = await reader.readuntil(b"\r\n")
            chunk = await reader.readexactly(int(size.split(b";")[0], 16) + 2)
            body += size + chunk
            if chunk == b"\r\n":
                return head, body
    return head, await reader.readexactly(int(headers.get(b"content-length", b"0")))


def _what(head: bytes, body: bytes) -> tuple[tuple[str, ...], Any]:
    """The operation that is asked for, and the request's JSON."""
    try:
        content = json.loads(body)
    except ValueError:
        return (), None
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"x-amz-target":
            return (value.strip().decode().partition(".")[2],), content
    requests = content if isinstance(content, list) else [content]
    return tuple(one["method"] for one in requests if isinstance(one, dict) and "method" in one), content
