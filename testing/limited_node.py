"""A Solana node that takes only so many calls: a loopback proxy in front of one, which counts by itself and refuses.

A batch counts as the calls in it, as providers count. What is refused is not passed on, and counts all the same.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import urllib3

WINDOW_SECONDS = 10.0

# From how many seconds to wait, and the request, to status, headers and body of a refusal.
Refusal = Callable[[float, Any], tuple[int, dict[str, str], bytes]]


def by_http(wait_seconds: float, request: Any) -> tuple[int, dict[str, str], bytes]:
    """429 with Retry-After, as most providers refuse."""
    return 429, {"Retry-After": str(int(wait_seconds) + 1)}, b"Too many requests"


def by_json_rpc(wait_seconds: float, request: Any) -> tuple[int, dict[str, str], bytes]:
    """An error of JSON-RPC inside an answer of 200, which doesn't say how long to wait."""
    error = {"code": -32029, "message": "Rate limit exceeded"}
    calls = request if isinstance(request, list) else [request]
    answers = [{"jsonrpc": "2.0", "id": call["id"], "error": error} for call in calls]
    return 200, {}, json.dumps(answers if isinstance(request, list) else answers[0]).encode()


@dataclass
class LimitedNode:
    """A context manager: listens at `url` and passes on to `upstream` at most `limit` calls in any ten seconds."""

    upstream: str
    limit: int
    refuse: Refusal = by_http
    url: str = ""
    # When calls came, in seconds of time.monotonic, and their methods; and how many were refused.
    calls: list[tuple[float, str]] = field(default_factory=list)
    refused: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="limited-node", daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def forget(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self.calls.clear()
            self.refused = 0

    def most_in_any_window(self) -> int:
        """The most calls that came within any ten seconds."""
        times = sorted(at for at, _ in self.calls)
        return max((sum(start <= at < start + WINDOW_SECONDS for at in times) for start in times), default=0)

    def _must_wait(self, methods: list[str]) -> float | None:
        """Counts the calls; how long until they fit, None where they do."""
        with self._lock:
            now = time.monotonic()
            recent = [at for at, _ in self.calls if at > now - WINDOW_SECONDS]
            self.calls += [(now, method) for method in methods]
            if len(recent) + len(methods) <= self.limit:
                return None
            self.refused += len(methods)
            return recent[-self.limit] + WINDOW_SECONDS - now if len(recent) >= self.limit else WINDOW_SECONDS

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        node, pool = self, urllib3.PoolManager(maxsize=32)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = json.loads(body)
                methods = [call["method"] for call in (request if isinstance(request, list) else [request])]
                wait_seconds = node._must_wait(methods)
                if wait_seconds is None:
                    headers = {"Content-Type": "application/json"}
                    answer = pool.request("POST", node.upstream, body=body, headers=headers, retries=False)
                    self._answer(answer.status, {}, answer.data)
                else:
                    self._answer(*node.refuse(max(wait_seconds, 0.0), request))

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        return Handler
