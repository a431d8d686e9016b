"""Which routes anybody may use, by path and method as in the API's definition. All others ask for a key."""

from __future__ import annotations

OPEN_ROUTES = frozenset((path, "get") for path in ("/", "/assets/{name}", "/health", "/openapi.json", "/asyncapi.json"))
