"""What a Solana node's refusals mean: whose trouble is it, and what follows?

    ExecutionError
    ├── RpcUnavailable      (problems.py) the node's trouble: another node, or this one later, may answer
    │   ├── NodeLimited     it is asked too often: leave it alone for a while
    │   └── NodeLacks       it has no such method, or no history: it answers everything else
    └── RpcRefused          (problems.py) our request is wrong: every node would refuse it, now and later
        └── PreflightFailed sendTransaction simulated the transaction, which failed; this call broadcast nothing

An error that isn't known to speak of the request is the node's: providers have codes of their own, and an order must
not end because of one. Codes: agave, rpc-client-api/src/custom_error.rs, and https://www.jsonrpc.org/specification;
what providers answer is cited where it is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.problems import ExecutionError, RpcRefused, RpcUnavailable
from chalicelib.solana import rpc_answers
from chalicelib.solana.rpc_answers import TransactionErrorJson, reading

METHOD_NOT_FOUND = -32601
_PREFLIGHT_FAILURE = -32002
_TOO_MANY_REQUESTS = 429

# Our request is malformed, or its parameters are, whatever the method.
_MALFORMED = frozenset({-32600, -32602})
_TRANSACTION_IS_WRONG = frozenset(
    {
        -32003,  # a signature doesn't verify
        -32006,  # a precompile (ed25519, secp256k1) refuses it
        -32013,  # the number of signatures isn't the message's
    }
)
# Some codes mean something else by other providers, for other methods: -32003 "rejected", -32015 "timed out".
_WRONG_FOR = {
    "sendTransaction": _TRANSACTION_IS_WRONG,
    "simulateTransaction": _TRANSACTION_IS_WRONG,
    "getTransaction": frozenset({-32015}),  # a transaction of a version that we didn't say we can read
}
_LACKING = frozenset(
    {
        METHOD_NOT_FOUND,
        -32010,  # an account is excluded from its indexes
        -32011,  # no transaction history
    }
)
# -32029: therpc.io, and others behind one proxy; -32429 and 429: rpcpool, QuickNode, Alchemy; -32605: BlockVision.
_LIMITING = frozenset({_TOO_MANY_REQUESTS, -32029, -32429, -32605})
# Providers that limit under a code which means something else to Solana: Chainstack's -32005, QuickNode's -32007.
_LIMITING_WORDS = re.compile(
    r"rate.?limit|too many requests|request limit|requests?( per |/)(second|minute|day)|limit (exceeded|reached)"
    r"|exceeded .{0,60}(limit|quota|capacity|credits|plan)|quota|throttl|capacity limit",
    re.IGNORECASE,
)
# Alchemy's "Unsupported method: getRecentPrioritizationFees" comes as -32602 with HTTP 400.
_LACKING_WORDS = re.compile(
    r"unsupported (rpc )?method|unknown method"
    r"|method\b.{0,80}\b(not (found|supported|available|allowed|enabled|exist|whitelisted)|disabled|unavailable)"
    r"|method\b.{0,80}\bdoes ?n.?o?t exist",
    re.IGNORECASE,
)
# A key that ran out is a matter between the operator and the provider; Alchemy: -32600 "Must be authenticated!".
_KEY_WORDS = re.compile(
    r"authenticat|authoriz|api.?key|forbidden|access denied|upgrade|subscri|free ?tier|your plan", re.IGNORECASE
)


class NodeLimited(RpcUnavailable):
    """The node is asked too often. `retry_after_ms` is when it wants to be asked again; None where it doesn't say."""

    def __init__(self, reason: str, retry_after_ms: int | None = None) -> None:
        super().__init__(reason)
        self.retry_after_ms = retry_after_ms


class NodeLacks(RpcUnavailable):
    """The node doesn't offer what it was asked for, and is well otherwise."""


class PreflightFailed(RpcRefused):
    """The simulation before a broadcast failed with `err`; `logs` are the programs' own."""

    def __init__(self, method: str, rpc_code: int, reason: str, data: object = None) -> None:
        super().__init__(method, rpc_code, reason, data)
        details = data if isinstance(data, Mapping) else {}
        with reading(method):
            self.err: TransactionErrorJson | None = rpc_answers.transaction_error(details.get("err"))
            self.logs: tuple[str, ...] = rpc_answers.log_lines(details.get("logs"))


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came by HTTP: the status, the body's JSON (None where it is none), and the wait that its headers ask for."""

    status: int
    body: object
    retry_after_ms: int | None = None

    @property
    def is_read(self) -> bool:
        """Whether the body counts: a 400 may be a JSON-RPC error of ours, other failures are the provider's."""
        return 200 <= self.status < 300 or (self.status == 400 and self.body is not None)


def failure_of_http(method: str, answer: HttpAnswer) -> RpcUnavailable:
    """What an HTTP status other than success means: never anything about the request."""
    text = f"the Solana node answered with HTTP {answer.status}"
    if answer.status == _TOO_MANY_REQUESTS or answer.retry_after_ms is not None:
        return NodeLimited(text, answer.retry_after_ms)
    error = answer.body.get("error") if isinstance(answer.body, Mapping) else None
    if isinstance(error, Mapping) and lacks(rpc_answers.error_code(error.get("code")), str(error.get("message"))):
        return NodeLacks(f"the Solana node doesn't offer {method} (HTTP {answer.status})")
    return RpcUnavailable(text)


def failure_of_error(
    method: str, code: int, reason: str, data: object, retry_after_ms: int | None = None
) -> ExecutionError:
    """What a JSON-RPC error means. `reason` is fit to be shown: one line, without the node's key."""
    told = f"{reason} ({code})"
    if code in _LIMITING or _LIMITING_WORDS.search(reason):
        return NodeLimited(f"the Solana node limits {method}: {told}", retry_after_ms)
    if lacks(code, reason):
        return NodeLacks(f"the Solana node doesn't offer {method}: {told}")
    if code == _PREFLIGHT_FAILURE and isinstance(data, Mapping) and data.get("err") is not None:
        return PreflightFailed(method, code, reason, data)
    wrong = code in _MALFORMED or code in _WRONG_FOR.get(method, ())
    if wrong and not _KEY_WORDS.search(reason):
        return RpcRefused(method, code, reason, data)
    return RpcUnavailable(f"the Solana node can't answer {method} now: {told}")


def lacks(code: int, reason: str) -> bool:
    """Whether the node says that it has no such method, or not what the method is about."""
    return code in _LACKING or _LACKING_WORDS.search(reason) is not None
