"""A service on loopback whose answers are written by the test: HTTP and WebSocket, on ports of its own."""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from websockets.http11 import Request as Handshake
from websockets.http11 import Response
from websockets.sync.server import Server, ServerConnection, serve

Json = dict[str, Any]


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int
    body: object
    headers: dict[str, str] = field(default_factory=dict)


class BrokenOff:
    """The connection is closed in place of an answer."""


class ScriptedService:
    """`script` what each route answers, the last again and again; `sockets` what each connection is sent in turn.

    A socket script of None refuses the connection; after its messages a connection is closed. Where it `listens` a
    connection is sent nothing before it has said something, which is in `said`.
    """

    def __init__(self) -> None:
        self.listens = False
        self.said: list[Json] = []
        self.received: list[Received] = []
        self.sockets: deque[list[Json] | None] = deque()
        self.opened: list[str] = []
        self._script: dict[tuple[str, str], deque[Answer | BrokenOff]] = defaultdict(deque)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._serve))
        self._websocket: Server = serve(self._speak, "127.0.0.1", 0, process_request=self._admit)
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        threading.Thread(target=self._websocket.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/api"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self._websocket.socket.getsockname()[1]}/api?ticket=1"

    def script(self, method: str, path: str, *answers: Answer | BrokenOff) -> None:
        self._script[method, path].extend(answers)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._websocket.shutdown()

    def _serve(self, request: Received) -> Answer | BrokenOff:
        self.received.append(request)
        answers = self._script[request.method, request.path.removeprefix("/api")]
        return answers.popleft() if len(answers) > 1 else answers[0]

    def _admit(self, connection: ServerConnection, handshake: Handshake) -> Response | None:
        self.opened.append(handshake.path)
        if self.sockets and self.sockets[0] is None:
            self.sockets.popleft()
            return connection.respond(403, "no\n")
        return None

    def _speak(self, connection: ServerConnection) -> None:
        if self.listens:
            self.said.append(json.loads(connection.recv()))
        for message in self.sockets.popleft() or []:
            connection.send(json.dumps(message))


def _handler(serve_request: Callable[[Received], Answer | BrokenOff]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = serve_request(Received(self.command, self.path, headers, body))
            if isinstance(answer, BrokenOff):
                self.close_connection = True
                return
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in (answer.headers | {"content-length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    return Handler
