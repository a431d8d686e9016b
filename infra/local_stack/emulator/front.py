"""What stands before the emulator: it lets in whoever holds credentials, and everybody to the deployed APIs alone.

MiniStack answers any Host and any Origin, and without AUTH=true any credentials: each page that a developer visits
could order, read secrets and have code run as the developer. Here a browser gets nothing but the stage's own page, API
and WebSocket, from that page. Other programs get these too, and everything else with the emulator's credentials.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from infra.browser_requests import Scope, Sender
from operations.target import EmulatorCredentials

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# The two addresses that MiniStack serves an API under besides a host name of its own, which is refused.
_API = re.compile(r"(/_aws/execute-api/[a-z0-9]+/[^/]+|/restapis/[a-z0-9]+/[^/]+/_user_request_)(/.*)?", re.DOTALL)
# Of a WebSocket API: it posts to its clients, and is for the functions.
_CONNECTIONS = "/@connections"
_STATUS_PATHS = frozenset({"/_ministack/ready", "/_ministack/health", "/_localstack/health"})
# MiniStack's own: to reset it, to configure it, to read messages and code. It asks nobody for credentials there.
_OWN_PATHS = "/_"
# As AWS's libraries write it; whatever looks otherwise MiniStack might read as nobody's, and that is its root's.
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=(\w+)/")
# These are MiniStack's root, too, and no signature of its root's is verified, with AUTH=true neither.
_ALSO_ROOT = re.compile(r"test|\d+", re.ASCII)
_ERROR_CODE = "UnrecognizedClientException"

_FOREIGN_HOST = "Refused: the request's Host is not this machine. Use http://127.0.0.1 or http://localhost."
_FOREIGN_PAGE = (
    "Refused: a page of another origin asks. Type the address of the stage's page into the browser to open it."
)
_NOT_FOR_PAGES = "Refused: a page gets the stage's page, API and WebSocket from this emulator, and nothing else."
_NO_CREDENTIALS = (
    "Refused: not signed with this emulator's credentials. They are awsAccessKeyId and awsSecretAccessKey of "
    ".local/stack.json, and in .local/aws-credentials for AWS_SHARED_CREDENTIALS_FILE."
)


class Front:
    """An ASGI application before another. `verifies_signatures` tells whether that one does (AUTH=true): it then also
    knows the keys that it has issued itself. `host_names` are this machine's names besides those of the loopback.
    """

    def __init__(
        self,
        application: Application,
        credentials: EmulatorCredentials,
        *,
        verifies_signatures: bool,
        host_names: Collection[str] = (),
    ) -> None:
        self._application = application
        self._credentials = credentials
        self._verifies_signatures = verifies_signatures
        self._host_names = frozenset(host_names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
        elif refusal := self._refused_to_browsers(scope):
            await _refuse(scope, receive, send, b"text/plain; charset=utf-8", refusal.encode())
        elif not self._is_entitled(scope):
            await _refuse(scope, receive, send, *_error_of_aws(scope))
        else:
            await self._application(scope, receive, _without_cors(send))

    def _refused_to_browsers(self, scope: Scope) -> str | None:
        """Why this isn't answered, whoever signed it; None where it may be."""
        sender = Sender.of(scope)
        if not sender.asks_a_host_of(self._host_names):
            return _FOREIGN_HOST
        if not sender.is_browser:
            return None
        if not sender.is_own_page:
            return _FOREIGN_PAGE
        return None if _is_api(scope) else _NOT_FOR_PAGES

    def _is_entitled(self, scope: Scope) -> bool:
        if _is_api(scope) or (scope["type"] == "http" and _is_status(scope)):
            return True
        key_id = _signers_key_id(scope)
        if key_id is None or scope["type"] == "websocket":
            return False
        if self._verifies_signatures and not _is_ministacks_own(scope) and not _ALSO_ROOT.fullmatch(key_id):
            return True
        return hmac.compare_digest(key_id.encode(), self._credentials.access_key_id.encode())


def _is_api(scope: Scope) -> bool:
    path = str(scope["path"])
    return _API.fullmatch(path) is not None and _CONNECTIONS not in path


def _is_ministacks_own(scope: Scope) -> bool:
    path = str(scope["path"])
    return path.startswith(_OWN_PATHS) and _API.fullmatch(path) is None


def _is_status(scope: Scope) -> bool:
    return scope["method"] == "GET" and scope["path"] in _STATUS_PATHS


def _signers_key_id(scope: Scope) -> str | None:
    """The access key that a request names in its signature: in a header, or in the query of a presigned address."""
    named = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"authorization"]
    if named:
        found = _SIGNED.match(named[0]) if len(named) == 1 else None
        return found[1] if found else None
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
    credentials = [(name, value) for name, value in query if name.lower() == "x-amz-credential"]
    if len(credentials) != 1 or credentials[0][0] != "X-Amz-Credential":
        return None
    return credentials[0][1].partition("/")[0] or None


def _error_of_aws(scope: Scope) -> tuple[bytes, bytes]:
    """Content type and body, in the protocol of the service that is asked, so that AWS's clients show the words."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    speaks_json = b"x-amz-target" in headers or b"json" in headers.get(b"content-type", b"")
    if speaks_json:
        return b"application/json", json.dumps({"__type": _ERROR_CODE, "message": _NO_CREDENTIALS}).encode()
    error = f"<Error><Code>{_ERROR_CODE}</Code><Message>{escape(_NO_CREDENTIALS)}</Message></Error>"
    return b"text/xml", f"<ErrorResponse>{error}</ErrorResponse>".encode()


async def _refuse(scope: Scope, receive: Receive, send: Send, content_type: bytes, body: bytes) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    prefix = "http.response"
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        prefix = "websocket.http.response"
    await send({"type": f"{prefix}.start", "status": 403, "headers": headers})
    await send({"type": f"{prefix}.body", "body": body})


def _without_cors(send: Send) -> Send:
    """The page needs no leave to read what its own origin answers, and no other page gets one."""

    async def send_without(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [
                pair for pair in message.get("headers", []) if not pair[0].lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": headers}
        await send(message)

    return send_without
