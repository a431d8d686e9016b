"""What the end-to-end tests ask the chain itself: balances and transactions, past the engine."""

from __future__ import annotations

from typing import Any

import urllib3
from solders.pubkey import Pubkey

from chalicelib.solana.tokens import NATIVE_MINT, associated_token_address


class NodeRefused(AssertionError):
    """The node answered with a JSON-RPC error; where nobody expects one, the test fails with it."""


class Chain:
    def __init__(self, rpc_url: str) -> None:
        self._rpc_url = rpc_url

    def call(self, method: str, *params: Any) -> Any:
        """The result of one JSON-RPC call. Raises NodeRefused."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = urllib3.request("POST", self._rpc_url, json=body, timeout=10, retries=False).json()
        if "error" in answer:
            raise NodeRefused(answer)
        return answer["result"]

    def balance(self, wallet: str, token: dict[str, Any]) -> int:
        """Base units of a token (as GET /tokens lists it) that the wallet holds; lamports for SOL."""
        if token["mint"] == str(NATIVE_MINT):
            return int(self.call("getBalance", wallet, {"commitment": "confirmed"})["value"])
        mint, program = Pubkey.from_string(token["mint"]), Pubkey.from_string(token["tokenProgram"])
        address = associated_token_address(Pubkey.from_string(wallet), mint, program)
        answer = self.call("getTokenAccountBalance", str(address), {"commitment": "confirmed"})
        return int(answer["value"]["amount"])

    def transaction(self, signature: str) -> dict[str, Any]:
        config = {"commitment": "confirmed", "maxSupportedTransactionVersion": 1, "encoding": "json"}
        transaction: dict[str, Any] = self.call("getTransaction", signature, config)
        return transaction

    def signatures_of(self, wallet: str) -> list[dict[str, Any]]:
        """The wallet's transactions, newest first."""
        signatures: list[dict[str, Any]] = self.call("getSignaturesForAddress", wallet, {"commitment": "confirmed"})
        return signatures
