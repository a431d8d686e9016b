"""Which routes the gateway lets anybody in to, and that no other stage than `local` has one more.

The functions ask for a key themselves too (chalicelib/access/authentication.py); this keeps strangers from them.
"""

from typing import Any

from chalicelib.access.open_routes import OPEN_ROUTES

_AUTHORIZER: dict[str, list[str]] = {"authorize": []}


class UnguardedRoute(Exception):
    """A route that would be served without a key; the text names it."""


def open_all(template: dict[str, Any]) -> None:
    """Take the authorizer off every route. For the `local` stage, whose requests may come without a key."""
    for _, _, operation in _operations(template):
        operation.pop("security", None)


def check(template: dict[str, Any]) -> None:
    """See that every route but OPEN_ROUTES has the authorizer. Raises UnguardedRoute."""
    for path, method, operation in _operations(template):
        if (path, method) not in OPEN_ROUTES and _AUTHORIZER not in operation.get("security", []):
            raise UnguardedRoute(f"{method.upper()} {path} would be served without an API key: give it the authorizer")


def _operations(template: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Every route of the packaged template; a browser's own OPTIONS carries no key and gets no answer of ours."""
    paths: dict[str, Any] = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    return [
        (path, method, operation)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method != "options"
    ]
