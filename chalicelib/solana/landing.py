"""Bring a signed transaction into a block, and learn its fate, without ever risking a second one.

    InBlock     a block that the cluster has confirmed holds it, with or without an error
    Expired     it can never land: only now may another be built in its place
    Pending     neither is proven; whatever happens meanwhile, nobody may build another

A signed transaction stays valid until its blockhash runs out, and sending the same bytes again is harmless, since a
block holds a signature once. So everything here may be repeated by anybody, any number of times, after any crash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chalicelib.problems import RpcRefused, RpcUnavailable
from chalicelib.solana.rpc import Commitment, EpochInfo, SignatureStatuses
from chalicelib.solana.rpc_answers import TransactionErrorJson
from chalicelib.solana.rpc_errors import NodeLacks
from chalicelib.solana.signed_transaction import SignedTransaction


class LandingRpc(Protocol):
    """What landing asks of a node, or of several behind one address (see SolanaRpc)."""

    def send_transaction(self, wire: bytes, *, skip_preflight: bool) -> str: ...

    def get_signature_statuses(self, signatures: Sequence[str], *, search_history: bool) -> SignatureStatuses: ...

    def get_epoch_info(self, *, commitment: Commitment) -> EpochInfo: ...


@dataclass(frozen=True, slots=True)
class InBlock:
    """In a block at `slot`. `err` is None where it took effect; with an error it only cost its fee."""

    slot: int
    err: TransactionErrorJson | None
    confirmation: Commitment


@dataclass(frozen=True, slots=True)
class Pending:
    """Undecided, for `reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Expired:
    """Its blockhash ran out: the finalized chain is at `block_height` and doesn't hold it."""

    block_height: int


Fate = InBlock | Pending | Expired


def decide_fate(rpc: LandingRpc, signature: str, last_valid_block_height: int) -> Fate:
    """What can be proven about a transaction now. Never raises for the node's sake: what it can't tell is Pending.

    Expired takes two proofs, in this order: the finalized chain has grown past `last_valid_block_height`, so every
    block that could hold the transaction is final; and a search of the whole history, made after that by a node
    which has seen at least that finalized block, doesn't find it. The second guards against an address served by
    several nodes, of which one lags behind the one that told the height.
    """
    return _Watch(rpc, signature, last_valid_block_height).look()


class _Watch:
    """One transaction's fate, asked for again and again; each look is one question, two where it may have expired.

    A chain grows by one block a slot at most: so a finalized height tells the slot before which it can't be higher than
    the last valid one, and until then it isn't asked for again. Nor at the first look at what was signed just now.
    """

    def __init__(
        self, rpc: LandingRpc, signature: str, last_valid_block_height: int, *, just_signed: bool = False
    ) -> None:
        self._rpc = rpc
        self._signature = signature
        self._last_valid_block_height = last_valid_block_height
        self._just_signed = just_signed
        self._earliest_slot = 0

    def look(self) -> Fate:
        """What can be proven now; Pending where the node can't tell."""
        try:
            return self._look()
        except (RpcUnavailable, RpcRefused) as error:
            return Pending(str(error))
        finally:
            self._just_signed = False

    def _look(self) -> Fate:
        fate, seen_slot = _search(self._rpc, self._signature)
        if fate is not None:
            return fate
        if self._just_signed or seen_slot < self._earliest_slot:
            return Pending("not in a block yet; it can still land")
        finalized = self._rpc.get_epoch_info(commitment="finalized")
        remaining = self._last_valid_block_height - finalized.block_height
        if remaining >= 0:
            self._earliest_slot = finalized.slot + remaining + 1
            return Pending(f"not in a block yet; it can still land for {remaining} more finalized blocks")
        fate, seen_slot = _search(self._rpc, self._signature)
        if fate is not None:
            return fate
        if seen_slot < finalized.slot:
            return Pending("the node that was asked is behind; its not knowing the transaction proves nothing")
        return Expired(finalized.block_height)


def land(
    rpc: LandingRpc,
    signed: SignedTransaction,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    deadline: float,
    poll_every: float = 0.4,
    rebroadcast_every: float = 2.0,
    sent_before: bool = False,
) -> Fate:
    """Send, watch, and send the same bytes again, until the fate is proven or `clock()` reaches `deadline`.

    `clock` is monotonic seconds, as is `deadline`; `sleep` waits so many. Asks at least once, even past the deadline.
    Where the bytes may have been sent before, it is asked what became of them first. Between a send and the next
    look `poll_every` passes: no block holds it any sooner.
    Never raises for the node's sake: after a first send that may have got through, no error is a failure. There is no
    preflight (simulate before signing): its refusal would speak of this moment, and not of what was sent before.
    """
    watch = _Watch(rpc, signed.signature, signed.last_valid_block_height, just_signed=not sent_before)
    next_broadcast, refusal = clock(), ""
    fate = watch.look() if sent_before else Pending("not sent yet")
    while isinstance(fate, Pending):
        now = clock()
        if now >= next_broadcast:
            refusal = _broadcast(rpc, signed)
            next_broadcast = now + rebroadcast_every
            now = clock()
        if now < deadline:
            sleep(min(poll_every, deadline - now))
        fate = watch.look()
        if isinstance(fate, Pending) and clock() >= deadline:
            return Pending(f"{fate.reason}; {refusal}" if refusal else fate.reason)
    return fate


def _broadcast(rpc: LandingRpc, signed: SignedTransaction) -> str:
    """Send once; why it was not accepted, if it wasn't. It may be under way all the same."""
    try:
        rpc.send_transaction(signed.wire, skip_preflight=True)
    except (RpcUnavailable, RpcRefused) as error:
        return str(error)
    return ""


def _search(rpc: LandingRpc, signature: str) -> tuple[InBlock | Pending | None, int]:
    """What a search of the node's whole history says (None: not found), and the newest slot that the node had seen."""
    try:
        answer, whole_history = rpc.get_signature_statuses([signature], search_history=True), True
    except NodeLacks:
        # what it remembers of the last minutes may show that the transaction landed, and never that it didn't
        answer, whole_history = rpc.get_signature_statuses([signature], search_history=False), False
    (status,) = answer.statuses
    if status is None:
        forgetful = Pending("not in a block of the last minutes; the node has no history, so it may be in an older one")
        return None if whole_history else forgetful, answer.slot
    if status.confirmation == "processed":
        return Pending(f"in a block at slot {status.slot} that the cluster has yet to confirm"), answer.slot
    return InBlock(status.slot, status.err, status.confirmation), answer.slot
