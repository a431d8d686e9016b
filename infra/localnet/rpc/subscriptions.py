"""WebSocket subscriptions: those of one connection, by their numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from infra.localnet.node import Node
from infra.localnet.rpc.errors import INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, RpcError, invalid_params
from infra.localnet.rpc.params import Params
from infra.localnet.rpc.subscription_kinds import KINDS, NodeSubscription

_SUBSCRIBE, _UNSUBSCRIBE = "Subscribe", "Unsubscribe"


@dataclass(frozen=True, slots=True)
class Answer:
    """A message for the client. `refuses_subscription` is one that clients try again at once, for ever."""

    text: str
    refuses_subscription: bool = False


class Subscriptions:
    """Texts in and out are JSON-RPC messages."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._ids = count(1)
        self._by_id: dict[int, tuple[str, NodeSubscription]] = {}

    def answer(self, text: str) -> Answer:
        """The answer to one message of the client."""
        try:
            request = json.loads(text)
        except ValueError:
            return Answer(_message({"error": RpcError(PARSE_ERROR, "Parse error").to_json, "id": None}))
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return Answer(_message({"error": RpcError(INVALID_REQUEST, "Invalid request").to_json, "id": None}))
        method, identity = request["method"], request.get("id")
        try:
            return Answer(_message({"result": self._result(method, request.get("params")), "id": identity}))
        except RpcError as error:
            text = _message({"error": error.to_json, "id": identity})
            return Answer(text, refuses_subscription=method.endswith(_SUBSCRIBE))

    def notifications(self) -> Iterator[str]:
        """What is due since the last call."""
        for identity, (_, subscription) in list(self._by_id.items()):
            for result in subscription.due():
                yield _notification(subscription.notification, result, identity)
            if subscription.is_over:
                self._by_id.pop(identity, None)

    def _result(self, method: str, raw_params: Any) -> Any:
        if raw_params is not None and not isinstance(raw_params, list):
            raise invalid_params("`params` should be an array")
        params = Params(raw_params or [])
        if method == "ping":
            return None
        kind = method.removesuffix(_UNSUBSCRIBE)
        if kind != method and kind in KINDS:
            return self._removed(kind, params.number(0))
        kind = method.removesuffix(_SUBSCRIBE)
        if kind == method or kind not in KINDS:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        subscription = KINDS[kind](self._node, params)
        identity = next(self._ids)
        self._by_id[identity] = (kind, subscription)
        return identity

    def _removed(self, kind: str, identity: int) -> bool:
        if self._by_id.get(identity, ("", None))[0] != kind:
            raise invalid_params("Invalid subscription id.")
        del self._by_id[identity]
        return True


def _notification(method: str, result: Any, identity: int) -> str:
    return _message({"method": method, "params": {"result": result, "subscription": identity}})


def _message(body: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", **body}, separators=(",", ":"))
