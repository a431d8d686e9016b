"""Solana's JSON-RPC over HTTP: the methods in use, typed; synchronous, over kept-alive connections.

    ExecutionError
    ├── RpcUnavailable      (problems.py) no answer, or one that says "not now": asking again may help
    └── RpcRefused          the node understood, and refuses: the same request would be refused again
        └── PreflightFailed sendTransaction simulated the transaction, which failed; this call broadcast nothing

Neither ever holds the node's URL, which may contain an API key. Methods and codes: https://solana.com/docs/rpc and
agave, rpc-client-api/src/custom_error.rs.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import urllib3
from solders.hash import Hash
from solders.pubkey import Pubkey

from chalicelib.metrics import Metric, note
from chalicelib.problems import RpcRefused, RpcUnavailable
from chalicelib.solana import rpc_answers
from chalicelib.solana.accounts import Account, AccountsRead
from chalicelib.solana.rpc_answers import MAX_ANSWER_BYTES, TransactionErrorJson, reading, whole_number

Commitment = Literal["processed", "confirmed", "finalized"]
_COMMITMENTS: dict[str, Commitment] = {
    "processed": "processed",
    "confirmed": "confirmed",
    "finalized": "finalized",
}
ACCOUNTS_PER_REQUEST = 100
SIGNATURES_PER_REQUEST = 256
_FEE_ACCOUNTS_PER_REQUEST = 128

_PREFLIGHT_FAILURE = -32002
# Codes that speak of the node's state and not of the request.
_NOT_NOW = frozenset(
    {
        -32001,  # block cleaned up
        -32004,  # block not available
        -32005,  # node unhealthy or behind
        -32008,  # no snapshot
        -32014,  # block status not yet available
        -32016,  # minimum context slot not reached
        -32603,  # internal error
        -32429,  # too many requests, as some providers number it
        429,  # the same
    }
)
_READ_AT_ONCE = 256 * 1024
# How often as long as one read may take a whole answer may take: a node that trickles holds nobody up for ever.
_READS_PER_ANSWER = 3
# Path segments of a URL shorter than this are words, not keys.
_SHORTEST_SECRET = 12


class PreflightFailed(RpcRefused):
    """The simulation before a broadcast failed with `err`; `logs` are the programs' own."""

    def __init__(self, method: str, rpc_code: int, reason: str, data: object = None) -> None:
        super().__init__(method, rpc_code, reason, data)
        details = data if isinstance(data, Mapping) else {}
        with reading(method):
            self.err: TransactionErrorJson | None = rpc_answers.transaction_error(details.get("err"))
            self.logs: tuple[str, ...] = rpc_answers.log_lines(details.get("logs"))


@dataclass(frozen=True, slots=True)
class LatestBlockhash:
    """A blockhash, and the last block height at which a transaction that carries it can land."""

    blockhash: Hash
    last_valid_block_height: int
    slot: int


@dataclass(frozen=True, slots=True)
class EpochInfo:
    """Where the node's chain stands at one commitment; slot and block height belong to the same block."""

    slot: int
    block_height: int
    epoch: int


@dataclass(frozen=True, slots=True)
class SignatureStatus:
    """A transaction that a block holds: its slot, its error (None: it succeeded), how settled the block is."""

    slot: int
    err: TransactionErrorJson | None
    confirmation: Commitment


@dataclass(frozen=True, slots=True)
class SignatureStatuses:
    """Statuses in the order asked for (None: unknown to the node); `slot` is the newest that the node had seen."""

    slot: int
    statuses: tuple[SignatureStatus | None, ...]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a transaction would do now: its error (None: it would succeed), its logs, the compute units it burns.

    `units_consumed` is None where the node doesn't tell: missing, null and 0 mean the same, for nothing runs for free.
    """

    slot: int
    err: TransactionErrorJson | None
    logs: tuple[str, ...]
    units_consumed: int | None


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    params: Sequence[object] = field(default=())


class SolanaRpc:
    """One node's JSON-RPC. Every method raises RpcUnavailable and RpcRefused; times are in seconds.

    Reads are asked once more when a kept-alive connection turns out to be broken; sends never are.
    """

    def __init__(
        self,
        url: str,
        *,
        http: urllib3.PoolManager | None = None,
        connect_timeout: float = 2.0,
        read_timeout: float = 10.0,
        commitment: Commitment = "confirmed",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._clock = clock
        self._patience = read_timeout * _READS_PER_ANSWER
        self._http = http or urllib3.PoolManager(maxsize=4)
        self._timeout = urllib3.Timeout(connect=connect_timeout, read=read_timeout)
        self._commitment = commitment
        self._ids = count(1)
        self._secrets = _secrets_of(url)

    def __repr__(self) -> str:
        return f"SolanaRpc({urlsplit(self._url).hostname})"

    def one_node(self) -> SolanaRpc:
        """What to ask where several answers must come from one node: here there is but one (see FailoverRpc)."""
        return self

    def get_multiple_accounts(
        self, addresses: Iterable[Pubkey], *, commitment: Commitment | None = None
    ) -> AccountsRead:
        """Any number of accounts in one HTTP request. Beyond 100 the node may read them at more than one slot."""
        wanted = list(dict.fromkeys(addresses))
        if not wanted:
            raise ValueError("no addresses to read")
        chunks = [wanted[at : at + ACCOUNTS_PER_REQUEST] for at in range(0, len(wanted), ACCOUNTS_PER_REQUEST)]
        config = {"encoding": "base64", "commitment": commitment or self._commitment}
        answers = self._batch([_Call("getMultipleAccounts", ([str(key) for key in chunk], config)) for chunk in chunks])
        accounts: dict[Pubkey, Account | None] = {}
        with reading("getMultipleAccounts"):
            for chunk, answer in zip(chunks, answers, strict=True):
                accounts |= zip(chunk, map(rpc_answers.account, answer["value"]), strict=True)
            return AccountsRead(min(whole_number(answer["context"]["slot"]) for answer in answers), accounts)

    def get_latest_blockhash(self, *, commitment: Commitment | None = None) -> LatestBlockhash:
        answer = self._call("getLatestBlockhash", self._config(commitment))
        with reading("getLatestBlockhash"):
            value = answer["value"]
            return LatestBlockhash(
                blockhash=rpc_answers.blockhash(value["blockhash"]),
                last_valid_block_height=whole_number(value["lastValidBlockHeight"]),
                slot=whole_number(answer["context"]["slot"]),
            )

    def get_epoch_info(self, *, commitment: Commitment | None = None) -> EpochInfo:
        answer = self._call("getEpochInfo", self._config(commitment))
        with reading("getEpochInfo"):
            slot, height = whole_number(answer["absoluteSlot"]), whole_number(answer["blockHeight"])
            return EpochInfo(slot, height, whole_number(answer["epoch"]))

    def get_slot(self, *, commitment: Commitment | None = None) -> int:
        return self._integer("getSlot", self._config(commitment))

    def get_minimum_balance_for_rent_exemption(self, data_length: int) -> int:
        """Lamports that an account of so many bytes must hold."""
        return self._integer("getMinimumBalanceForRentExemption", data_length)

    def get_recent_prioritization_fees(self, writable: Iterable[Pubkey]) -> tuple[int, ...]:
        """The lowest fee that landed in each recent slot for these accounts, oldest slot first.

        In micro-lamports per compute unit. Of more than 128 accounts the first 128 count.
        """
        addresses = [str(key) for key in writable][:_FEE_ACCOUNTS_PER_REQUEST]
        answer = self._call("getRecentPrioritizationFees", addresses)
        with reading("getRecentPrioritizationFees"):
            fees = sorted(answer, key=lambda entry: whole_number(entry["slot"]))
            return tuple(whole_number(entry["prioritizationFee"]) for entry in fees)

    def get_signature_statuses(self, signatures: Sequence[str], *, search_history: bool) -> SignatureStatuses:
        """What the node knows of up to 256 transactions. Without `search_history`: of the last few minutes only."""
        if not 0 < len(signatures) <= SIGNATURES_PER_REQUEST:
            raise ValueError(f"1 to {SIGNATURES_PER_REQUEST} signatures, not {len(signatures)}")
        config = {"searchTransactionHistory": search_history}
        answer = self._call("getSignatureStatuses", list(signatures), config)
        with reading("getSignatureStatuses"):
            statuses = tuple(_decode_status(status) for status in answer["value"])
            if len(statuses) != len(signatures):
                raise ValueError("an answer of another length")
            return SignatureStatuses(whole_number(answer["context"]["slot"]), statuses)

    def get_transaction(self, signature: str, *, commitment: Commitment | None = None) -> dict[str, Any] | None:
        """A landed transaction as the node's JSON, legacy or v0; None while the node doesn't know it."""
        config = {**self._config(commitment), "encoding": "json", "maxSupportedTransactionVersion": 0}
        answer = self._call("getTransaction", signature, config)
        with reading("getTransaction"):
            return rpc_answers.landed_transaction(answer)

    def simulate_transaction(self, wire: bytes, *, commitment: Commitment | None = None) -> Simulation:
        """Run a transaction without sending it; its signatures and its blockhash may be anything."""
        config = {
            **self._config(commitment),
            "encoding": "base64",
            "sigVerify": False,
            "replaceRecentBlockhash": True,
        }
        answer = self._call("simulateTransaction", _base64(wire), config)
        with reading("simulateTransaction"):
            value = answer["value"]
            return Simulation(
                slot=whole_number(answer["context"]["slot"]),
                err=rpc_answers.transaction_error(value["err"]),
                logs=rpc_answers.log_lines(value.get("logs")),
                units_consumed=whole_number(value.get("unitsConsumed") or 0) or None,
            )

    def send_transaction(
        self,
        wire: bytes,
        *,
        skip_preflight: bool,
        preflight_commitment: Commitment | None = None,
        max_retries: int = 0,
    ) -> str:
        """Hand a signed transaction to the node once; the signature that it answers with.

        An RpcUnavailable leaves open whether it was broadcast. `preflight_commitment` must be the commitment that
        the transaction's blockhash was read at. `max_retries` is how often the node itself sends it again.
        """
        config = {
            "encoding": "base64",
            "skipPreflight": skip_preflight,
            "preflightCommitment": preflight_commitment or self._commitment,
            "maxRetries": max_retries,
        }
        answer = self._call("sendTransaction", _base64(wire), config, retry=False)
        with reading("sendTransaction"):
            return rpc_answers.signature(answer)

    def _config(self, commitment: Commitment | None) -> dict[str, object]:
        return {"commitment": commitment or self._commitment}

    def _integer(self, method: str, *params: object) -> int:
        answer = self._call(method, *params)
        with reading(method):
            return whole_number(answer)

    # The node's JSON is checked where it is read: `reading` turns a wrong shape into RpcUnavailable.
    def _call(self, method: str, *params: object, retry: bool = True) -> Any:
        return self._batch([_Call(method, params)], retry=retry)[0]

    def _batch(self, calls: Sequence[_Call], *, retry: bool = True) -> list[Any]:
        """The results of several calls made by one HTTP request, in the order of the calls."""
        with _counted(calls[0].method):
            return self._answers(calls, retry)

    def _answers(self, calls: Sequence[_Call], retry: bool) -> list[Any]:
        requests = [
            {"jsonrpc": "2.0", "id": next(self._ids), "method": call.method, "params": call.params} for call in calls
        ]
        body = self._exchange(json.dumps(requests[0] if len(requests) == 1 else requests).encode(), retry=retry)
        answers = body if isinstance(body, list) else [body]
        by_id = {
            answer.get("id"): answer
            for answer in answers
            if isinstance(answer, dict) and isinstance(answer.get("id"), int | None)
        }
        results = []
        for request, call in zip(requests, calls, strict=True):
            # A node that can't take the batch at all answers with one error, whose id is null.
            answer = by_id.get(request["id"]) or by_id.get(None)
            results.append(self._result(call.method, answer))
        return results

    def _exchange(self, payload: bytes, *, retry: bool) -> object:
        """One POST; the decoded JSON of the answer. Raises RpcUnavailable."""
        try:
            response = self._http.request(
                "POST",
                self._url,
                body=payload,
                headers={"Content-Type": "application/json"},
                timeout=self._timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            content = self._content(response)
        except urllib3.exceptions.ProtocolError:
            if retry:
                return self._exchange(payload, retry=False)
            raise RpcUnavailable("the Solana node closed the connection") from None
        except urllib3.exceptions.HTTPError as error:
            # The error's own text names the URL.
            raise RpcUnavailable(f"the Solana node can't be reached ({type(error).__name__})") from None
        if response.status == 429 or response.status >= 500:
            raise RpcUnavailable(f"the Solana node answered with HTTP {response.status}")
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise RpcUnavailable(f"the Solana node answered with HTTP {response.status} and no JSON") from None

    def _content(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """The whole body, decompressed. Raises RpcUnavailable where it is too long, or takes too long."""
        content, ends = bytearray(), self._clock() + self._patience
        while part := response.read1(_READ_AT_ONCE):
            content += part
            if len(content) > MAX_ANSWER_BYTES or self._clock() > ends:
                response.close()  # what is still to come must not be taken for the next answer
                raise RpcUnavailable("the Solana node's answer is too long, or takes too long")
        response.release_conn()
        return bytes(content)

    def _result(self, method: str, answer: object) -> Any:
        if not isinstance(answer, dict) or not ("result" in answer or isinstance(answer.get("error"), dict)):
            raise RpcUnavailable(f"the Solana node's answer to {method} can't be read")
        if "error" not in answer:
            return answer["result"]
        error = answer["error"]
        code = rpc_answers.error_code(error.get("code"))
        reason = rpc_answers.line_of(self._redact(str(error.get("message", "no reason given"))))
        if code in _NOT_NOW:
            raise RpcUnavailable(f"the Solana node can't answer {method} now: {reason} ({code})")
        kind = PreflightFailed if code == _PREFLIGHT_FAILURE else RpcRefused
        raise kind(method, code, reason, error.get("data"))

    def _redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


@contextmanager
def _counted(method: str) -> Iterator[None]:
    """Notes the metric of a call that fails; a simulation that fails is the transaction's doing, and is told apart."""
    try:
        yield
    except RpcUnavailable:
        note(Metric.RPC_ERRORS, kind="unavailable", method=method)
        raise
    except RpcRefused as refusal:
        kind = "preflight" if isinstance(refusal, PreflightFailed) else "refused"
        note(Metric.RPC_ERRORS, kind=kind, method=method)
        raise


def _decode_status(value: Mapping[str, Any] | None) -> SignatureStatus | None:
    if value is None:
        return None
    confirmation = value.get("confirmationStatus")
    if confirmation is None:
        # Old nodes: a number of confirmations, null once the block is rooted.
        confirmation = "finalized" if value["confirmations"] is None else "processed"
    err = rpc_answers.transaction_error(value["err"])
    return SignatureStatus(whole_number(value["slot"]), err, _COMMITMENTS[confirmation])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _secrets_of(url: str) -> tuple[str, ...]:
    """The parts of a URL that may be keys: the user's name and password, long path segments, the query's values."""
    parts = urlsplit(url)
    segments = [segment for segment in parts.path.split("/") if len(segment) >= _SHORTEST_SECRET]
    values = [value for _, value in parse_qsl(parts.query) if value]
    return tuple(filter(None, [parts.username, parts.password, *segments, *values]))
