"""The page: files that `make web` built into chalicelib/web, and the headers that they are served with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from chalicelib.problems import NotFound

_DIRECTORY = Path(__file__).parents[1] / "web"
INDEX = "index.html"
# What is served, and nothing else: a name never becomes a path.
_CONTENT_TYPES = {
    INDEX: "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "app.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "licences.txt": "text/plain; charset=utf-8",
}
# The page names its assets by the start of their SHA-256; what such an address gives never changes.
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


@dataclass(frozen=True, slots=True)
class WebFile:
    content_type: str
    text: str
    sha256: str

    @property
    def etag(self) -> str:
        return f'"{self.sha256[:32]}"'


@dataclass(frozen=True, slots=True)
class WebAnswer:
    status: int
    headers: dict[str, str]
    body: str


def serve(name: str, version: str | None, headers: Mapping[str, str], websocket_url: str | None) -> WebAnswer:
    """The file `name`, or 304 for a browser that has it. `version` is what the asset's address says after `?v=`.

    Raises NotFound.
    """
    file = _file(name)
    answer_headers = {
        "Content-Type": file.content_type,
        "ETag": file.etag,
        "Cache-Control": _FOR_EVER if version and file.sha256.startswith(version) else _ASK_AGAIN,
        **_protection(websocket_url),
    }
    if _is_known(file.etag, headers.get("if-none-match", "")):
        return WebAnswer(HTTPStatus.NOT_MODIFIED, answer_headers, "")
    return WebAnswer(HTTPStatus.OK, answer_headers, file.text)


@cache
def _file(name: str) -> WebFile:
    content_type = _CONTENT_TYPES.get(name)
    if content_type is None:
        raise NotFound("there is no such file")
    content = (_DIRECTORY / name).read_bytes()
    return WebFile(content_type, content.decode(), hashlib.sha256(content).hexdigest())


def _is_known(etag: str, if_none_match: str) -> bool:
    """RFC 9110, 13.1.2: a list of tags, compared weakly."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags


def _protection(websocket_url: str | None) -> dict[str, str]:
    """What a browser may do with the page: its own files, its own API and the WebSocket, nothing from elsewhere."""
    parts = urlsplit(websocket_url or "")
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": f"'self' {parts.scheme}://{parts.netloc}" if websocket_url else "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
