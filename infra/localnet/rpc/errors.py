"""JSON-RPC errors with the codes of a Solana node.

Source: anza-xyz/agave, rpc-client-api/src/custom_error.rs.
"""

from __future__ import annotations

from typing import Any

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
PREFLIGHT_FAILURE = -32002
SIGNATURE_VERIFICATION_FAILURE = -32003
BLOCK_CLEANED_UP = -32001
BLOCK_NOT_AVAILABLE = -32004
NODE_UNHEALTHY = -32005
UNSUPPORTED_TRANSACTION_VERSION = -32015
NO_SNAPSHOT = -32008
MIN_CONTEXT_SLOT_NOT_REACHED = -32016


class RpcError(Exception):
    """The answer to a call that can't be served."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    @property
    def to_json(self) -> dict[str, Any]:
        body = {"code": self.code, "message": self.message}
        return body if self.data is None else {**body, "data": self.data}


def invalid_params(message: str) -> RpcError:
    return RpcError(INVALID_PARAMS, message)


def unhealthy(slots_behind: int) -> RpcError:
    message = f"Node is behind by {slots_behind} slots"
    return RpcError(NODE_UNHEALTHY, message, {"numSlotsBehind": slots_behind})
