"""WebSocket subscriptions: a signature's confirmation (web3.js's `confirmTransaction` waits for it), and slots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from solders.signature import Signature

from infra.localnet.commitment import Commitment
from infra.localnet.node import Node
from infra.localnet.rpc.answer import in_context
from infra.localnet.rpc.errors import INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, RpcError, invalid_params
from infra.localnet.rpc.params import Params


@dataclass(frozen=True, slots=True)
class _AwaitedSignature:
    signature: Signature
    commitment: Commitment


class Subscriptions:
    """Those of one connection. Texts in and out are JSON-RPC messages."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._ids = count(1)
        self._signatures: dict[int, _AwaitedSignature] = {}
        self._slots: set[int] = set()
        self._announced_slot = node.ledger.slot

    def answer(self, text: str) -> str:
        """The answer to one message of the client."""
        try:
            request = json.loads(text)
        except ValueError:
            return _message({"error": RpcError(PARSE_ERROR, "Parse error").to_json, "id": None})
        if not isinstance(request, dict):
            return _message({"error": RpcError(INVALID_REQUEST, "Invalid request").to_json, "id": None})
        try:
            return _message({"result": self._result(request), "id": request.get("id")})
        except RpcError as error:
            return _message({"error": error.to_json, "id": request.get("id")})

    def notifications(self) -> Iterator[str]:
        """What is due since the last call."""
        slot = self._node.ledger.slot
        is_new, self._announced_slot = slot > self._announced_slot, slot
        for identity in self._slots if is_new else ():
            value = {"parent": slot - 1, "root": Commitment.FINALIZED.slot(slot), "slot": slot}
            yield _notification("slotNotification", value, identity)
        for identity, awaited in list(self._signatures.items()):
            bank = self._node.bank(awaited.commitment)
            landed = self._node.ledger.transactions.get(awaited.signature)
            if landed is not None and landed.slot <= bank.slot:
                # A signature is announced once; the subscription ends with it.
                del self._signatures[identity]
                error = None if landed.error is None else landed.error.to_json
                yield _notification("signatureNotification", in_context(bank, {"err": error}), identity)

    def _result(self, request: dict[str, Any]) -> Any:
        params = Params(request.get("params") or [])
        match request.get("method"):
            case "signatureSubscribe":
                identity = next(self._ids)
                awaited = _AwaitedSignature(params.signature(0), params.config(1).commitment)
                self._signatures[identity] = awaited
                return identity
            case "slotSubscribe":
                identity = next(self._ids)
                self._slots.add(identity)
                return identity
            case "signatureUnsubscribe":
                return self._removed(self._signatures.pop(params.number(0), None) is not None)
            case "slotUnsubscribe":
                known = params.number(0) in self._slots
                self._slots.discard(params.number(0))
                return self._removed(known)
            case "ping":
                return None
            case _:
                raise RpcError(METHOD_NOT_FOUND, "Method not found")

    def _removed(self, known: bool) -> bool:
        if not known:
            raise invalid_params("Invalid subscription id.")
        return True


def _notification(method: str, result: Any, identity: int) -> str:
    return _message({"method": method, "params": {"result": result, "subscription": identity}})


def _message(body: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", **body}, separators=(",", ":"))
