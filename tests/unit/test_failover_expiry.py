"""The proof that a transaction has expired, where several nodes are asked that know different parts of the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.problems import RpcUnavailable
from chalicelib.solana.circuit_breaker import BreakerPolicy
from chalicelib.solana.cluster import Commitment
from chalicelib.solana.failover import FailoverRpc
from chalicelib.solana.landing import Expired, FateWatch, InBlock, Pending
from chalicelib.solana.rpc import EpochInfo, SignatureStatus, SignatureStatuses, SolanaRpc
from tests.unit.test_failover import SURVEY_EVERY_MS, Clock, on_the_spot

T = TypeVar("T")
LAST_VALID = 150
LANDED_AT = SignatureStatus(slot=140, err=None, confirmation="finalized")


class ChainNode(SolanaRpc):
    """A node at `slot`. What it has finalized is 30 slots older, and of a height 10 less than its slot."""

    def __init__(self, slot: int, knows: SignatureStatus | None, fails: Callable[[], bool]) -> None:
        self.slot = slot
        self.knows = knows
        self.fails = fails

    def _answer(self, answer: T) -> T:
        if self.fails():
            raise RpcUnavailable("the Solana node can't be reached")
        return answer

    def get_slot(self, *, commitment: Commitment | None = None) -> int:
        return self._answer(self.slot)

    def get_signature_statuses(self, signatures: Sequence[str], *, search_history: bool) -> SignatureStatuses:
        assert search_history
        return self._answer(SignatureStatuses(self.slot, (self.knows,)))

    def get_epoch_info(self, *, commitment: Commitment | None = None) -> EpochInfo:
        assert commitment == "finalized"
        return self._answer(EpochInfo(self.slot - 30, self.slot - 40, 1))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_expiry_is_never_proven_by_one_nodes_height_and_anothers_ignorance(data: st.DataObject) -> None:
    """The node that is far enough knows the transaction. The other doesn't: it was started from a snapshot since, or
    is on a minority's fork, and has finalized no block beyond those that could hold it. Its slot is high enough."""
    clock = Clock()

    def fails() -> bool:
        return data.draw(st.booleans())

    far = ChainNode(195, LANDED_AT, fails)
    ignorant = ChainNode(185, None, fails)
    order = [far, ignorant] if data.draw(st.booleans()) else [ignorant, far]
    view = FailoverRpc(order, clock, BreakerPolicy(failures_to_open=3), start=on_the_spot).one_node()
    for _ in range(8):
        fate = FateWatch(view, "signature", LAST_VALID).look()
        assert isinstance(fate, (InBlock, Pending))
        clock.now_ms += data.draw(st.sampled_from((200, 2_000, SURVEY_EVERY_MS)))


def test_the_same_questions_asked_of_whoever_answers_would_prove_a_falsehood() -> None:
    """Why the view is needed, and not only the check of the slots."""
    # Once surveyed, each answers but for one question: so one searches, the other tells the height, the first searches.
    far_fails = iter([False, False, True])
    far = ChainNode(195, LANDED_AT, lambda: next(far_fails))
    ignorant_fails = iter([False, False, True, False])
    ignorant = ChainNode(185, None, lambda: next(ignorant_fails))
    rpc = FailoverRpc([ignorant, far], Clock(), start=on_the_spot)
    assert FateWatch(rpc, "signature", LAST_VALID).look() == Expired(155)


def test_an_expired_transaction_is_found_expired_as_soon_as_one_node_answers_in_a_row() -> None:
    for order in ((True, False), (False, True)):
        nodes = [ChainNode(195, None, lambda down=down: down) for down in order]  # type: ignore[misc]
        view = FailoverRpc(nodes, Clock(), start=on_the_spot).one_node()
        fates = [FateWatch(view, "signature", LAST_VALID).look() for _ in range(2)]
        assert fates[-1] == Expired(155)
