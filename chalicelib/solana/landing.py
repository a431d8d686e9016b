"""Bring a signed transaction into a block, and learn its fate, without ever risking a second one.

    InBlock     a block that the cluster has settled holds it, with or without an error
    Expired     it can never land: only now may another be built in its place
    Pending     neither is proven; whatever happens meanwhile, nobody may build another

A block is settled once it is final. On a cluster that has not migrated to Alpenglow, or of which that isn't known, a
swap that took effect counts from `confirmed` on, as it always did: nothing is built after it. One that failed does
not, for then another is built: were its block dropped after all, both might take effect.

A signed transaction stays valid until its blockhash runs out, and sending the same bytes again is harmless, since a
block holds a signature once. So everything here may be repeated by anybody, any number of times, after any crash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chalicelib.problems import RpcRefused, RpcUnavailable
from chalicelib.solana.cluster import Cluster, Commitment
from chalicelib.solana.rpc import EpochInfo, SignatureStatus, SignatureStatuses
from chalicelib.solana.rpc_answers import TransactionErrorJson
from chalicelib.solana.rpc_errors import NodeLacks
from chalicelib.solana.signed_transaction import SignedTransaction

# A leader has four slots in a row: sent in each second one, the bytes reach every leader twice.
SLOTS_BETWEEN_SENDS = 2
_SENT_AGAIN_IN_SILENCE = 1.0
# For want of a measured slot. A poll's length decides nothing but how soon a fate is known.
_UNMEASURED_SLOT = 0.4
_SHORTEST_POLL, _LONGEST_POLL = 0.05, 0.4
_LOOKS_A_SLOT, _LOOKS_A_SLOT_IN_A_BLOCK = 2, 4


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
    """Undecided, for `reason`. `in_block`: a block holds it that the cluster has yet to settle, which is soon."""

    reason: str
    in_block: bool = False


@dataclass(frozen=True, slots=True)
class Expired:
    """Its blockhash ran out: the finalized chain is at `block_height` and doesn't hold it."""

    block_height: int


Fate = InBlock | Pending | Expired


class FateWatch:
    """One transaction's fate, asked for again and again; each look is one question, two where it may have expired.

    Expired takes two proofs, in this order: the finalized chain has grown past `last_valid_block_height`, so every
    block that could hold the transaction is final; and a search of the whole history, made after that by a node
    which has seen at least that finalized block, doesn't find it. The second guards against an address served by
    several nodes, of which one lags behind the one that told the height.

    `settled_at` is from which commitment on a transaction that took effect has landed; one that failed has once it is
    finalized. `newest_slot` is the newest that a look was told.

    A chain grows by one block a slot at most: so a finalized height tells the slot before which it can't be higher than
    the last valid one, and until then it isn't asked for again. Nor at the first look at what was signed just now.
    """

    def __init__(
        self,
        rpc: LandingRpc,
        signature: str,
        last_valid_block_height: int,
        *,
        just_signed: bool = False,
        settled_at: Commitment = "confirmed",
    ) -> None:
        self.newest_slot = 0
        self._rpc = rpc
        self._settled_at = settled_at
        self._signature = signature
        self._last_valid_block_height = last_valid_block_height
        self._just_signed = just_signed
        self._earliest_slot = 0

    def look(self) -> Fate:
        """What can be proven now. Never raises for the node's sake: what it can't tell is Pending."""
        try:
            return self._look()
        except (RpcUnavailable, RpcRefused) as error:
            return Pending(str(error))
        finally:
            self._just_signed = False

    def _look(self) -> Fate:
        fate, seen_slot = self._search()
        if fate is not None:
            return fate
        if self._just_signed or seen_slot < self._earliest_slot:
            return Pending("not in a block yet; it can still land")
        finalized = self._rpc.get_epoch_info(commitment="finalized")
        remaining = self._last_valid_block_height - finalized.block_height
        if remaining >= 0:
            self._earliest_slot = finalized.slot + remaining + 1
            return Pending(f"not in a block yet; it can still land for {remaining} more finalized blocks")
        fate, seen_slot = self._search()
        if fate is not None:
            return fate
        if seen_slot < finalized.slot:
            return Pending("the node that was asked is behind; its not knowing the transaction proves nothing")
        return Expired(finalized.block_height)

    def _search(self) -> tuple[InBlock | Pending | None, int]:
        """What a search of the node's whole history says (None: not found), and the newest slot that it had seen."""
        try:
            answer, whole_history = self._rpc.get_signature_statuses([self._signature], search_history=True), True
        except NodeLacks:
            # what it remembers of the last minutes may show that the transaction landed, and never that it didn't
            answer, whole_history = self._rpc.get_signature_statuses([self._signature], search_history=False), False
        self.newest_slot = max(self.newest_slot, answer.slot)
        (status,) = answer.statuses
        if status is None:
            forgetful = Pending(
                "not in a block of the last minutes; the node has no history, so it may be in an older one"
            )
            return None if whole_history else forgetful, answer.slot
        return self._fate_of(status), answer.slot

    def _fate_of(self, status: SignatureStatus) -> InBlock | Pending:
        if status.confirmation == "processed" or (status.confirmation, self._settled_at) == ("confirmed", "finalized"):
            return Pending(f"in a block at slot {status.slot} that the cluster has yet to settle", in_block=True)
        if status.err is not None and status.confirmation != "finalized":
            failed = f"failed in a block at slot {status.slot} that is not final: it may yet succeed in another"
            return Pending(failed, in_block=True)
        return InBlock(status.slot, status.err, status.confirmation)


@dataclass(frozen=True, slots=True)
class LandingPace:
    """How often one transaction is asked for and sent, by how long a slot of its cluster takes. Times in seconds.

    `looks_apart` and `sends_apart` are the least that a node's own pace allows.
    """

    looks_apart: float = 0.0
    sends_apart: float = 0.0

    def poll_every(self, cluster: Cluster, *, in_block: bool = False) -> float:
        """Twice a slot: what lands is seen half a slot later at most. Four times, once it is in a block, for which the
        client waits no longer than it must: that is a look or two more.
        """
        slot = _UNMEASURED_SLOT if cluster.slot_ms is None else cluster.slot_ms / 1000
        parts = _LOOKS_A_SLOT_IN_A_BLOCK if in_block else _LOOKS_A_SLOT
        return max(self.looks_apart, min(max(slot / parts, _SHORTEST_POLL), _LONGEST_POLL))


def land(
    rpc: LandingRpc,
    signed: SignedTransaction,
    *,
    cluster: Callable[[], Cluster],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    deadline: float,
    pace: LandingPace = LandingPace(),
    sent_before: bool = False,
) -> Fate:
    """Send, watch, and send the same bytes again, until the fate is proven or `clock()` reaches `deadline`.

    `clock` is monotonic seconds, as is `deadline`; `sleep` waits so many. Asks at least once, even past the deadline.
    Where the bytes may have been sent before, it is asked what became of them first; else the first send comes before
    any question, `cluster` among them. They are sent again in each second slot: that of the next leader but one.
    Never raises for the node's sake: after a first send that may have got through, no error is a failure. There is no
    preflight (simulate before signing): its refusal would speak of this moment, and not of what was sent before.
    """
    sends = _Sends(rpc, signed, pace.sends_apart)
    if not sent_before:
        sends.send(clock())
    known = cluster()
    watch = FateWatch(
        rpc,
        signed.signature,
        signed.last_valid_block_height,
        just_signed=not sent_before,
        settled_at=known.settled_at,
    )
    fate = watch.look() if sent_before else Pending("not seen yet")
    while isinstance(fate, Pending):
        if sends.are_due(clock(), watch.newest_slot):
            sends.send(clock(), watch.newest_slot)
        now = clock()
        if now < deadline:
            sleep(min(pace.poll_every(known, in_block=fate.in_block), deadline - now))
        fate = watch.look()
        if isinstance(fate, Pending) and clock() >= deadline:
            return Pending(f"{fate.reason}; {sends.refusal}" if sends.refusal else fate.reason)
    return fate


class _Sends:
    """When the same bytes were sent last, and when they are to be sent again. Times in seconds.

    `refusal` is why they weren't accepted the last time, if they weren't. They may be under way all the same.
    """

    def __init__(self, rpc: LandingRpc, signed: SignedTransaction, apart: float) -> None:
        self.refusal = ""
        self._rpc = rpc
        self._signed = signed
        self._apart = apart
        self._at: float | None = None
        self._in_slot = 0

    def are_due(self, now: float, newest_slot: int) -> bool:
        """In each second slot, as far as slots are told; where nobody tells of any, each second."""
        if self._at is None:
            return True
        self._in_slot = self._in_slot or newest_slot
        slots_told = newest_slot >= self._in_slot + SLOTS_BETWEEN_SENDS
        return now - self._at >= (self._apart if slots_told else max(self._apart, _SENT_AGAIN_IN_SILENCE))

    def send(self, now: float, newest_slot: int = 0) -> None:
        self._at, self._in_slot = now, newest_slot
        try:
            self._rpc.send_transaction(self._signed.wire, skip_preflight=True)
            self.refusal = ""
        except (RpcUnavailable, RpcRefused) as error:
            self.refusal = str(error)
