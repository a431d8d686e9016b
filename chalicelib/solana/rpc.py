"""Solana's JSON-RPC over HTTP: the methods in use, typed; synchronous, over kept-alive connections.

What a node's errors mean is told by rpc_errors.py; none ever holds the node's URL, which may contain an API key.
Methods: https://solana.com/docs/rpc.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import urllib3
from solders.hash import Hash
from solders.pubkey import Pubkey

from chalicelib.metrics import Metric, note
from chalicelib.problems import RpcRefused, RpcUnavailable
from chalicelib.solana import rpc_answers
from chalicelib.solana.accounts import Account, AccountsRead
from chalicelib.solana.cluster import Cluster, Commitment, SlotSample, slot_ms_of
from chalicelib.solana.rpc_answers import MAX_ANSWER_BYTES, TransactionErrorJson, reading, whole_number
from chalicelib.solana.rpc_errors import (
    HttpAnswer,
    NodeLacks,
    NodeLimited,
    PreflightFailed,
    failure_of_error,
    failure_of_http,
)

T = TypeVar("T")

_COMMITMENTS: dict[str, Commitment] = {
    "processed": "processed",
    "confirmed": "confirmed",
    "finalized": "finalized",
}
ACCOUNTS_PER_REQUEST = 100
SIGNATURES_PER_REQUEST = 256
_FEE_ACCOUNTS_PER_REQUEST = 128
# The newest version of transactions that can be read: a node refuses to tell of a newer one.
_NEWEST_TRANSACTION_VERSION = 1
# A sample is a minute.
SAMPLES = 2

# Of one node, where it takes no batches; as many connections are kept.
_REQUESTS_AT_ONCE = 8
_READ_AT_ONCE = 256 * 1024
# How often as long as one read may take a whole answer may take: a node that trickles holds nobody up for ever.
_READS_PER_ANSWER = 3
# Path segments of a URL shorter than this are words, not keys.
_SHORTEST_SECRET = 12


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """Which of a program's accounts are wanted: by the length of their data, and by bytes that stand in it at offsets.

    A node takes at most four conditions.
    """

    length: int | None
    matches: tuple[tuple[int, bytes], ...]

    def as_json(self) -> list[dict[str, object]]:
        """As getProgramAccounts has it."""
        sized: list[dict[str, object]] = [] if self.length is None else [{"dataSize": self.length}]
        return sized + [
            {"memcmp": {"offset": offset, "bytes": _base64(data), "encoding": "base64"}}
            for offset, data in self.matches
        ]


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
class Beside:
    """What to ask for in the same request as accounts; each costs a call, and its failing costs nothing else.

    `fees_of`: the accounts whose recent prioritization fees are asked for. `rent_of`: the length of an account's data.
    `cluster`: the certificate of its migration, and how fast it makes slots.
    """

    blockhash: bool = False
    fees_of: tuple[Pubkey, ...] = ()
    rent_of: int | None = None
    cluster: bool = False

    @property
    def calls(self) -> int:
        """As many as a node counts."""
        return self.blockhash + bool(self.fees_of) + (self.rent_of is not None) + 2 * self.cluster


@dataclass(frozen=True, slots=True)
class ReadBeside:
    """Accounts and what was asked for beside them; None for what wasn't, or what the node didn't answer."""

    read: AccountsRead
    latest: LatestBlockhash | None = None
    recent_fees: tuple[int, ...] | None = None
    rent_lamports: int | None = None
    migrated: bool | None = None
    slot_ms: int | None = None

    @property
    def newest_slot(self) -> int:
        """The newest that any of the answers told."""
        return max(self.read.newest_slot, self.latest.slot if self.latest else 0)


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
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` is monotonic seconds; `wall_clock` is Unix time, which a Retry-After may be given in."""
        self._url = url
        self._clock = clock
        self._wall_clock = wall_clock
        self._patience = read_timeout * _READS_PER_ANSWER
        self._http = http or urllib3.PoolManager(maxsize=_REQUESTS_AT_ONCE)
        self._timeout = urllib3.Timeout(connect=connect_timeout, read=read_timeout)
        self._commitment = commitment
        self._ids = count(1)
        self._takes_batches = True
        self._secrets = _secrets_of(url)

    def __repr__(self) -> str:
        return f"SolanaRpc({urlsplit(self._url).hostname})"

    def one_node(self) -> SolanaRpc:
        """What to ask where several answers must come from one node: here there is but one (see FailoverRpc)."""
        return self

    def start_waiting(self, seconds: float) -> None:
        """From now on, calls may wait for nodes' limits so long in all (see FailoverRpc); one node never does."""

    def get_multiple_accounts(
        self, addresses: Iterable[Pubkey], *, commitment: Commitment | None = None, beside_slot: bool = False
    ) -> AccountsRead:
        """Any number of accounts in one HTTP request. Beyond 100 the node may read them at more than one slot.

        `beside_slot` asks for the node's slot in the same request: accounts out of a cache are older than that.
        """
        calls = self._account_calls(addresses, commitment)
        beside = [_Call("getSlot", (self._config(commitment),))] if beside_slot else []
        answers = self._batch(calls, beside)
        # accounts without a slot beside them are still accounts
        told = [slot for slot in answers[len(calls) :] if type(slot) is int and 0 <= slot < 1 << 64]
        return _accounts_read(calls, answers[: len(calls)], told)

    def read_beside(
        self, addresses: Iterable[Pubkey], beside: Beside, *, commitment: Commitment | None = None
    ) -> ReadBeside:
        """Accounts, and all that is asked for beside them, in one round trip."""
        calls = self._account_calls(addresses, commitment)
        asked: list[tuple[str, _Call, Callable[[Any], Any]]] = []
        if beside.blockhash:
            call = _Call("getLatestBlockhash", (self._config(commitment),))
            asked.append(("latest", call, _latest_of))
        if beside.fees_of:
            call = _Call("getRecentPrioritizationFees", (_texts(beside.fees_of[:_FEE_ACCOUNTS_PER_REQUEST]),))
            asked.append(("recent_fees", call, _fees_of))
        if beside.rent_of is not None:
            call = _Call("getMinimumBalanceForRentExemption", (beside.rent_of,))
            asked.append(("rent_lamports", call, whole_number))
        if beside.cluster:
            asked.append(("migrated", _Call("getAgGenesisCert"), _is_certificate))
            call = _Call("getRecentPerformanceSamples", (SAMPLES,))
            asked.append(("slot_ms", call, lambda answer: slot_ms_of(_samples_of(answer))))
        with _counted(calls[0].method):
            answers = self._answers([*calls, *(call for _, call, _ in asked)], retry=True)
            accounts = [answer() for answer in answers[: len(calls)]]
        told = {
            name: _told(call.method, read, answer)
            for (name, call, read), answer in zip(asked, answers[len(calls) :], strict=True)
        }
        return ReadBeside(_accounts_read(calls, accounts, []), **told)

    def _account_calls(self, addresses: Iterable[Pubkey], commitment: Commitment | None) -> list[_Call]:
        wanted = list(dict.fromkeys(addresses))
        if not wanted:
            raise ValueError("no addresses to read")
        config = {"encoding": "base64", "commitment": commitment or self._commitment}
        chunks = [wanted[at : at + ACCOUNTS_PER_REQUEST] for at in range(0, len(wanted), ACCOUNTS_PER_REQUEST)]
        return [_Call("getMultipleAccounts", (_texts(chunk), config)) for chunk in chunks]

    def get_program_accounts(
        self, program: Pubkey, wanted: AccountFilter, *, part: range, commitment: Commitment | None = None
    ) -> dict[Pubkey, Account]:
        """Every account of `program` that passes the filter, each with only the bytes `part` of its data.

        Many nodes offer this not at all, or not for large programs. An answer may take many seconds.
        """
        config = {
            **self._config(commitment),
            "encoding": "base64",
            "filters": wanted.as_json(),
            "dataSlice": {"offset": part.start, "length": len(part)},
        }
        answer = self._call("getProgramAccounts", str(program), config)
        with reading("getProgramAccounts"):
            return rpc_answers.keyed_accounts(answer)

    def get_latest_blockhash(self, *, commitment: Commitment | None = None) -> LatestBlockhash:
        answer = self._call("getLatestBlockhash", self._config(commitment))
        with reading("getLatestBlockhash"):
            return _latest_of(answer)

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
        answer = self._call("getRecentPrioritizationFees", _texts(writable)[:_FEE_ACCOUNTS_PER_REQUEST])
        with reading("getRecentPrioritizationFees"):
            return _fees_of(answer)

    def has_migrated(self) -> bool:
        """Whether the cluster has the certificate of its migration to Alpenglow (getAgGenesisCert).

        Raises NodeLacks where the node is older than the method, which says nothing.
        """
        answer = self._call("getAgGenesisCert")
        with reading("getAgGenesisCert"):
            return _is_certificate(answer)

    def get_recent_performance_samples(self, limit: int = SAMPLES) -> tuple[SlotSample, ...]:
        """How many slots the chain went through of late, in samples of a minute or so, the newest first."""
        answer = self._call("getRecentPerformanceSamples", limit)
        with reading("getRecentPerformanceSamples"):
            return _samples_of(answer)

    def cluster(self) -> Cluster:
        """What is known of the cluster: one node alone remembers nothing (see FailoverRpc)."""
        return Cluster()

    def known_cluster(self) -> Cluster:
        """The same, without asking."""
        return Cluster()

    def newest_slot(self) -> int:
        """The newest slot that any answer told so far, 0 before any did: one node alone remembers none."""
        return 0

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
        """A landed transaction as the node's JSON, of any version; None while the node doesn't know it."""
        config = {
            **self._config(commitment),
            "encoding": "json",
            "maxSupportedTransactionVersion": _NEWEST_TRANSACTION_VERSION,
        }
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
            value, slot = answer["value"], whole_number(answer["context"]["slot"])
            return Simulation(
                slot=slot,
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
        with _counted(method):
            return self._answers([_Call(method, params)], retry)[0]()

    def _batch(self, calls: Sequence[_Call], beside: Sequence[_Call]) -> list[Any]:
        """The results of several calls made by one HTTP request, in their order; None for one `beside` that failed."""
        with _counted(calls[0].method):
            answers = self._answers([*calls, *beside], retry=True)
            return [answer() for answer in answers[: len(calls)]] + [
                _or_none(answer) for answer in answers[len(calls) :]
            ]

    def _answers(self, calls: Sequence[_Call], retry: bool) -> list[Callable[[], Any]]:
        """What each call comes to: its result, or its error raised. One HTTP request, where the node takes batches."""
        if len(calls) == 1:
            request = self._request(calls[0])
            return self._read_each([request], calls, self._exchange(json.dumps(request).encode(), retry=retry))
        if self._takes_batches:
            requests = [self._request(call) for call in calls]
            answer = self._exchange(json.dumps(requests).encode(), retry=retry)
            if not _refuses_batch(answer):
                return self._read_each(requests, calls, answer)
        answers = self._one_by_one(calls, retry)
        self._takes_batches = False  # it was the batch: one by one they are answered
        return answers

    def _one_by_one(self, calls: Sequence[_Call], retry: bool) -> list[Callable[[], Any]]:
        """Each call by a request of its own, all at once: together they take as long as the slowest.

        Raises what the first comes to where it isn't answered; a later one's trouble is its own.
        """
        contexts = [copy_context() for _ in calls]  # what is noted meanwhile carries what the caller's does
        with ThreadPoolExecutor(max_workers=min(len(calls), _REQUESTS_AT_ONCE)) as threads:
            asked = [
                threads.submit(context.run, self._answers, [call], retry)
                for context, call in zip(contexts, calls, strict=True)
            ]
        first, *others = asked
        return [first.result()[0], *(partial(_answer_of, one) for one in others)]

    def _request(self, call: _Call) -> dict[str, object]:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": call.method, "params": call.params}

    def _read_each(
        self, requests: Sequence[dict[str, object]], calls: Sequence[_Call], answer: HttpAnswer
    ) -> list[Callable[[], Any]]:
        if not answer.is_read:
            raise failure_of_http(calls[0].method, answer)
        answers = answer.body if isinstance(answer.body, list) else [answer.body]
        by_id = {one["id"]: one for one in answers if isinstance(one, dict) and type(one.get("id")) is int}
        # an error without an id is about whatever was asked; a result without one is nobody's
        of_all = next(
            (one for one in answers if isinstance(one, dict) and one.get("id") is None and "error" in one), None
        )
        return [
            partial(self._result, call.method, by_id.get(request["id"], of_all), answer)
            for request, call in zip(requests, calls, strict=True)
        ]

    def _exchange(self, payload: bytes, *, retry: bool) -> HttpAnswer:
        """One POST and its answer. Raises RpcUnavailable."""
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
        wait_ms = rpc_answers.wait_asked_for(response.headers.get("Retry-After"), self._wall_clock())
        try:
            return HttpAnswer(response.status, json.loads(content), wait_ms)
        except (ValueError, RecursionError):
            if 200 <= response.status < 300:
                raise RpcUnavailable(f"the Solana node answered with HTTP {response.status} and no JSON") from None
            return HttpAnswer(response.status, None, wait_ms)

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

    def _result(self, method: str, answer: object, of: HttpAnswer) -> Any:
        """The result in a call's answer. Raises what its error means."""
        if not isinstance(answer, dict) or not ("result" in answer or isinstance(answer.get("error"), dict)):
            raise RpcUnavailable(f"the Solana node's answer to {method} can't be read")
        error = answer.get("error")
        if error is None:
            return answer["result"]
        if not isinstance(error, dict):
            raise RpcUnavailable(f"the Solana node's answer to {method} can't be read")
        reason = rpc_answers.line_of(self._redact(str(error.get("message", "no reason given"))))
        code = rpc_answers.error_code(error.get("code"))
        raise failure_of_error(method, code, reason, error.get("data"), of.retry_after_ms)

    def _redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class BesideTheSlot:
    """A node's accounts with the slot beside them, for whoever tells how old they are. It costs a call more."""

    def __init__(self, rpc: SolanaRpc) -> None:
        self._rpc = rpc

    def get_multiple_accounts(self, addresses: Iterable[Pubkey]) -> AccountsRead:
        return self._rpc.get_multiple_accounts(addresses, beside_slot=True)


@contextmanager
def _counted(method: str) -> Iterator[None]:
    """Notes the metric of a call that fails; a simulation that fails is the transaction's doing, and is told apart."""
    try:
        yield
    except RpcUnavailable as error:
        kind = (
            "limited"
            if isinstance(error, NodeLimited)
            else "lacking"
            if isinstance(error, NodeLacks)
            else "unavailable"
        )
        note(Metric.RPC_ERRORS, kind=kind, method=method)
        raise
    except RpcRefused as refusal:
        kind = "preflight" if isinstance(refusal, PreflightFailed) else "refused"
        note(Metric.RPC_ERRORS, kind=kind, method=method)
        raise


def _refuses_batch(answer: HttpAnswer) -> bool:
    """Whether one error answers all calls, or a client error: some providers take no batches, or none so large.

    Being limited is no such thing, nor is a server's error: the same calls one by one would meet it again.
    """
    if answer.status == 429 or answer.status >= 500:
        return False
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    if not isinstance(error, dict):
        return answer.status >= 400
    code, reason = rpc_answers.error_code(error.get("code")), str(error.get("message"))
    return not isinstance(failure_of_error("a batch", code, reason, None), NodeLimited)


def _or_none(answer: Callable[[], Any]) -> Any:
    try:
        return answer()
    except (RpcUnavailable, RpcRefused):
        return None


def _answer_of(asked: Future[list[Callable[[], Any]]]) -> Any:
    (answer,) = asked.result()
    return answer()


def _told(method: str, read: Callable[[Any], T], answer: Callable[[], Any]) -> T | None:
    """What was asked for beside something else; None where the node doesn't tell it, or not so that it can be read."""
    try:
        with _counted(method):
            value = answer()
            with reading(method):
                return read(value)
    except (RpcUnavailable, RpcRefused):
        return None


def _texts(addresses: Iterable[Pubkey]) -> list[str]:
    return [str(address) for address in addresses]


def _accounts_read(calls: Sequence[_Call], answers: Sequence[Any], told_slots: Sequence[int]) -> AccountsRead:
    """The accounts of these calls, of which the lowest slot counts."""
    accounts: dict[Pubkey, Account | None] = {}
    with reading("getMultipleAccounts"):
        for call, answer in zip(calls, answers, strict=True):
            keys: Any = call.params[0]
            accounts |= zip(map(Pubkey.from_string, keys), map(rpc_answers.account, answer["value"]), strict=True)
        slots = [whole_number(answer["context"]["slot"]) for answer in answers]
        return AccountsRead(min(slots), accounts, max([*slots, *told_slots]))


def _latest_of(answer: Any) -> LatestBlockhash:
    value, slot = answer["value"], whole_number(answer["context"]["slot"])
    return LatestBlockhash(rpc_answers.blockhash(value["blockhash"]), whole_number(value["lastValidBlockHeight"]), slot)


def _fees_of(answer: Any) -> tuple[int, ...]:
    fees = sorted(answer or (), key=lambda entry: whole_number(entry["slot"]))
    return tuple(whole_number(entry["prioritizationFee"]) for entry in fees)


def _is_certificate(answer: Any) -> bool:
    """An object of the certificate's parts, null before the migration. Nothing else is an answer."""
    if answer is not None and not isinstance(answer, dict):
        raise TypeError("neither a certificate nor null")
    return answer is not None


def _samples_of(answer: Any) -> tuple[SlotSample, ...]:
    return tuple(
        SlotSample(whole_number(sample["numSlots"]), whole_number(sample["samplePeriodSecs"]))
        for sample in answer or ()
    )


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
