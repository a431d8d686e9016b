"""JSON-RPC 2.0: from a request's bytes to the answer's, single calls and batches."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from infra.localnet.faults import Faults
from infra.localnet.market.faucet import FaucetError
from infra.localnet.node import Node
from infra.localnet.rpc.account_methods import AccountMethods
from infra.localnet.rpc.answer import RawJson
from infra.localnet.rpc.block_methods import BlockMethods
from infra.localnet.rpc.cluster_methods import ClusterMethods
from infra.localnet.rpc.control_methods import PREFIX, ControlMethods
from infra.localnet.rpc.errors import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RpcError,
    invalid_params,
    unhealthy,
)
from infra.localnet.rpc.history_methods import HistoryMethods
from infra.localnet.rpc.lane_methods import LaneMethods
from infra.localnet.rpc.params import Params
from infra.localnet.rpc.supply_methods import SupplyMethods
from infra.localnet.rpc.transaction_methods import TransactionMethods
from infra.localnet.rpc.validator_methods import ValidatorMethods
from infra.localnet.transaction_error import TransactionRefused

_log = logging.getLogger(__name__)
_SLOTS_BEHIND = 42

Method = Callable[[Params], Any]


class InjectedOutage(Exception):
    """A fault strikes the whole request: HTTP 503."""


class Dispatcher:
    """The methods of one address, and the localnet's own; `faults` strike the former."""

    def __init__(self, methods: Mapping[str, Method], control: Mapping[str, Method], faults: Faults) -> None:
        self._methods = methods
        self._control = control
        self._faults = faults

    @classmethod
    def of_node(cls, node: Node) -> Dispatcher:
        """All methods of the node."""
        methods = {
            **ClusterMethods(node).table,
            **AccountMethods(node).table,
            **TransactionMethods(node).table,
            **HistoryMethods(node).table,
            **BlockMethods(node).table,
            **ValidatorMethods(node).table,
            **SupplyMethods(node).table,
        }
        return cls(methods, ControlMethods(node).table, node.faults)

    @classmethod
    def of_lane(cls, node: Node, *, bundle_only: bool = False) -> Dispatcher:
        """All methods of the send-only lane."""
        return cls(LaneMethods(node, bundle_only=bundle_only).table, {}, node.lane.faults)

    def answer(self, body: bytes, *, local_client: bool) -> bytes:
        """The response's body. Raises InjectedOutage where a fault wants it so."""
        try:
            request = json.loads(body)
        except ValueError:
            return _failed(None, RpcError(PARSE_ERROR, "Parse error"))
        if isinstance(request, list):
            if not request:
                return _failed(None, RpcError(INVALID_REQUEST, "Invalid request"))
            return b"[" + b",".join(self._call(one, local_client) for one in request) + b"]"
        return self._call(request, local_client)

    def _call(self, request: Any, local_client: bool) -> bytes:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _failed(None, RpcError(INVALID_REQUEST, "Invalid request"))
        identity = request.get("id")
        try:
            return _succeeded(identity, self._result(request["method"], request.get("params"), local_client))
        except RpcError as error:
            return _failed(identity, error)
        except InjectedOutage:
            raise
        except (FaucetError, TransactionRefused) as error:
            return _failed(identity, RpcError(INTERNAL_ERROR, str(error)))
        except Exception:  # noqa: BLE001 - one broken call must not end the server
            _log.exception("%s failed", request["method"])
            return _failed(identity, RpcError(INTERNAL_ERROR, "Internal error"))

    def _result(self, method: str, params: Any, local_client: bool) -> Any:
        if method.startswith(PREFIX):
            call = self._control.get(method) if local_client else None
            # These take one object, which JSON-RPC may pass by name or as the first of a list.
            params = [params] if isinstance(params, dict) else params
        else:
            call = self._methods.get(method)
            if self._faults.strikes_call():
                call = self._struck(call)
        if call is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        if params is not None and not isinstance(params, list):
            raise invalid_params("`params` should be an array")
        return call(Params(params or []))

    def _struck(self, call: Method | None) -> Method:
        """The method with a fault in place of its answer. Lost may be the answer alone, when the work is done."""

        def unavailable(params: Params) -> NoReturn:
            if call is not None and not self._faults.spares_work():
                call(params)
            raise InjectedOutage

        def behind(_: Params) -> NoReturn:
            raise unhealthy(_SLOTS_BEHIND)

        return unavailable if self._faults.prefers_http_error() else behind


def _succeeded(identity: Any, result: Any) -> bytes:
    text = result.text if isinstance(result, RawJson) else json.dumps(result, separators=(",", ":"))
    return f'{{"jsonrpc":"2.0","result":{text},"id":{json.dumps(identity)}}}'.encode()


def _failed(identity: Any, error: RpcError) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "error": error.to_json, "id": identity}, separators=(",", ":")).encode()
