"""What becomes of a signed transaction: told from what landed, asked for as often as the policy says, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from solders.pubkey import Pubkey

from chalicelib.aws.cloudwatch_metrics import flush
from chalicelib.orders.execution import Landed, LandedFailed, NeverLands, Undecided
from chalicelib.orders.order import Leftover, Leg, Order, Token
from chalicelib.orders.settling import Settler, WatchPolicy
from chalicelib.problems import RpcRefused, RpcUnavailable, SlippageExceeded, TransactionExpired
from chalicelib.solana.cluster import Cluster, Commitment, ConsensusProtocol
from chalicelib.solana.landing import LandingPace, LandingRpc
from chalicelib.solana.rpc import EpochInfo, SignatureStatus, SignatureStatuses
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.venues import supported
from tests.log_lines import flushed, values
from tests.sample_orders import SOL, new_order, retrying, submitted
from tests.unit.test_fill import RENT, USDC, USDT, WALLET, held, sold_sol_for_usdc

LAST_VALID = 150
BOUGHT = Token("USDC", str(USDC), 6)
POLICY = WatchPolicy(watch=10, pace=LandingPace(looks_apart=0.5, sends_apart=4))
UNKNOWN = Cluster()
ALPENGLOW = Cluster(ConsensusProtocol.ALPENGLOW, 200)


@dataclass
class Node:
    """One node. `status` is what it knows of the transaction from the start, `transaction` what its history shows."""

    status: SignatureStatus | None = None
    transaction: dict[str, Any] | Exception | None = None
    height: int = 100
    known: Cluster = UNKNOWN
    now: float = 0.0
    sent_at: list[float] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    waits: float | None = None
    read_at: list[Commitment] = field(default_factory=list)

    def start_waiting(self, seconds: float) -> None:
        self.waits = seconds

    def one_node(self) -> LandingRpc:
        return self

    def cluster(self) -> Cluster:
        return self.known

    def known_cluster(self) -> Cluster:
        return self.known

    def send_transaction(self, wire: bytes, *, skip_preflight: bool) -> str:
        self.sent_at.append(self.now)
        return "signature-1"

    def get_signature_statuses(self, signatures: Sequence[str], *, search_history: bool) -> SignatureStatuses:
        assert list(signatures) == ["signature-1"]
        self.asked_at.append(self.now)
        return SignatureStatuses(500, (self.status,))

    def get_epoch_info(self, *, commitment: Commitment) -> EpochInfo:
        return EpochInfo(400, self.height, 9)

    def get_transaction(self, signature: str, *, commitment: Commitment) -> dict[str, Any] | None:
        assert signature == "signature-1"
        self.read_at.append(commitment)
        if isinstance(self.transaction, Exception):
            raise self.transaction
        return self.transaction

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_fill_is_read_from_the_wallet_that_the_order_is_for() -> None:
    node = Node(status=SignatureStatus(300, None, "confirmed"), transaction=sold_sol_for_usdc())
    order = replace(selling_sol(), wallet=str(WALLET))
    assert order.submission is not None
    another = Pubkey(bytes([7] * 32))
    settler = Settler(node, lambda: another, supported.error_classifier(), POLICY, lambda: node.now, node.sleep)
    assert isinstance(settler.settle(order, order.submission), Landed)


def selling_sol() -> Order:
    """Submitted; it sells the fill's SOL for the fill's USDC."""
    return submitted(new_order(token_out=BOUGHT))


def settler_at(node: Node, policy: WatchPolicy = POLICY) -> Settler:
    return Settler(node, lambda: WALLET, supported.error_classifier(), policy, lambda: node.now, node.sleep)


def submission_of(order: Order) -> SignedTransaction:
    assert order.submission is not None
    return replace(order.submission, last_valid_block_height=LAST_VALID)


def settled(node: Node, order: Order | None = None) -> object:
    order = order or selling_sol()
    return settler_at(node).settle(order, submission_of(order))


def in_block(**changes: Any) -> Node:
    """A node that has finalized the transaction, with what its meta says otherwise."""
    transaction = sold_sol_for_usdc()
    transaction["meta"] |= changes
    return Node(SignatureStatus(77, changes.get("err"), "finalized"), transaction)


def test_a_landed_swap_is_told_by_what_it_paid_and_what_the_network_took(capsys: pytest.CaptureFixture[str]) -> None:
    flush()
    capsys.readouterr()
    landed = settled(in_block())
    assert isinstance(landed, Landed)
    assert (landed, landed.network_fee) == (Landed(300_000_000), 5_000)
    assert values(flushed(capsys), "WalletLamports") == [8_000_000_000 - 5_000 - RENT]


@pytest.mark.parametrize(
    ("signed_at", "slots"),
    [
        pytest.param(75, 2, id="two slots later"),
        pytest.param(77, 0, id="in the same slot"),
        pytest.param(80, 0, id="where another node was ahead"),
        pytest.param(None, None, id="where nobody noted when it was signed"),
    ],
)
def test_a_landed_swap_tells_how_many_slots_after_it_was_sent_it_landed(
    signed_at: int | None, slots: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    flush()
    capsys.readouterr()
    node, order = in_block(), selling_sol()
    landed = settler_at(node).settle(order, replace(submission_of(order), slot=signed_at))
    assert isinstance(landed, Landed)
    assert landed.slot_delta == slots
    assert values(flushed(capsys), "SlotDelta") == ([] if slots is None else [slots])


def test_what_was_left_between_two_hops_is_told_by_the_orders_own_tokens() -> None:
    usdt = replace(BOUGHT, text="USDT", mint=str(USDT))
    legs = (Leg("a", "1", 10**6, SOL, usdt, 1, 1), Leg("b", "2", 10**6, usdt, BOUGHT, 1, 1))
    node = in_block()
    assert isinstance(node.transaction, dict)
    node.transaction["transaction"]["message"]["accountKeys"].append("between")
    for name, amount in (("preTokenBalances", 500), ("postTokenBalances", 507)):
        node.transaction["meta"][name].append(held(4, USDT, WALLET, amount))
    for name in ("preBalances", "postBalances"):
        node.transaction["meta"][name].append(RENT)
    over_usdt = replace(selling_sol(), route=legs)
    assert settled(node, over_usdt) == Landed(300_000_000, (Leftover(usdt, 7),))


def test_a_transaction_that_landed_with_an_error_failed_by_what_the_program_said() -> None:
    raydium = "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C"
    logs = [f"Program {raydium} invoke [1]", f"Program {raydium} failed: custom program error: 0x1775"]
    node = in_block(err={"InstructionError": [0, {"Custom": 6005}]}, logMessages=logs)
    assert isinstance(node.transaction, dict)
    node.transaction["transaction"]["message"] = {"accountKeys": [raydium], "instructions": [{"programIdIndex": 0}]}
    fate = settled(node)
    assert isinstance(fate, LandedFailed)
    assert isinstance(fate.reason, SlippageExceeded)
    assert fate.network_fee == 5_000


UNREADABLE = {**sold_sol_for_usdc(), "meta": {"err": None}}


@pytest.mark.parametrize("answer", [None, UNREADABLE, RpcRefused("getTransaction", -32015, "not supported")])
def test_a_landed_transaction_that_cannot_be_read_is_undecided(answer: dict[str, Any] | Exception | None) -> None:
    assert settled(Node(SignatureStatus(77, None, "confirmed"), answer)) == Undecided()


def test_a_node_that_falls_silent_before_the_fill_is_read_is_no_fate_at_all() -> None:
    with pytest.raises(RpcUnavailable):
        settled(Node(SignatureStatus(77, None, "confirmed"), RpcUnavailable("no answer")))


def test_a_transaction_that_can_land_no_more_never_lands_and_says_since_when() -> None:
    fate = settled(Node(height=LAST_VALID + 1))
    assert isinstance(fate, NeverLands)
    assert isinstance(fate.reason, TransactionExpired)
    assert str(fate.reason) == f"the transaction never landed and expired at {LAST_VALID + 1}"


def test_a_transaction_that_may_still_land_is_watched_and_sent_again_as_the_policy_says() -> None:
    node = Node()
    assert settled(node) == Undecided()
    assert node.now == POLICY.watch
    assert node.sent_at == [0, 4, 8]
    assert sorted(set(node.asked_at)) == [number * POLICY.pace.looks_apart for number in range(21)]


def test_a_transaction_is_the_wallets_that_settles_it() -> None:
    node = in_block()
    settler = Settler(
        node, lambda: Pubkey.new_unique(), supported.error_classifier(), POLICY, lambda: node.now, node.sleep
    )
    order = selling_sol()
    assert order.submission is not None
    assert settler.settle(order, order.submission) == Undecided()


def test_the_bytes_that_are_stored_are_the_ones_that_are_sent() -> None:
    sent: list[bytes] = []

    class Noting(Node):
        def send_transaction(self, wire: bytes, *, skip_preflight: bool) -> str:
            sent.append(wire)
            return super().send_transaction(wire, skip_preflight=skip_preflight)

    order = replace(selling_sol(), submission=SignedTransaction("signature-1", b"these", "blockhash", LAST_VALID))
    settled(Noting(), order)
    assert sent == [b"these"] * 3


def test_a_wait_for_the_nodes_limits_ends_with_the_invocation() -> None:
    node = Node()
    settled(node)
    assert node.waits == POLICY.invocation


def test_an_attempt_that_the_invocation_began_itself_is_watched_until_the_invocation_must_end() -> None:
    node, order = Node(), selling_sol()
    settler = settler_at(node)
    settler.start_invocation(order)
    node.sleep(12)
    assert settler.settle(order, submission_of(order)) == Undecided()
    assert node.now == POLICY.invocation
    assert node.sent_at[0] == 12
    assert node.asked_at[0] > 12, "nothing was sent yet, so that there is nothing to ask about"


def test_what_an_earlier_invocation_signed_is_asked_for_first_and_watched_for_its_own_time() -> None:
    node, order = Node(), selling_sol()
    settler = settler_at(node)
    for begun in (new_order("order-2"), retrying()):
        assert (begun.order_id, begun.attempt) != (order.order_id, order.attempt)
        settler.start_invocation(begun)
        node.sleep(12)
        started, node.asked_at = node.now, []
        assert settler.settle(order, submission_of(order)) == Undecided()
        assert node.now == started + POLICY.watch
        assert node.asked_at[0] == started


def test_an_attempt_is_begun_once() -> None:
    node, order = Node(), selling_sol()
    settler = settler_at(node)
    settler.start_invocation(order)
    for _ in range(2):
        settler.settle(order, submission_of(order))
    assert node.asked_at.count(POLICY.watch) == 2, "the second time it is asked for at once"


@pytest.mark.parametrize(
    ("known", "read_at"), [(ALPENGLOW, "finalized"), (Cluster(ConsensusProtocol.TOWER), "confirmed")]
)
def test_a_fill_is_read_where_the_cluster_settles_its_blocks(known: Cluster, read_at: Commitment) -> None:
    node = in_block()
    node.known = known
    settled(node)
    assert node.read_at == [read_at]


def test_a_swap_that_is_not_final_is_undecided_where_the_cluster_has_migrated() -> None:
    node = Node(SignatureStatus(77, None, "confirmed"), sold_sol_for_usdc(), known=ALPENGLOW)
    assert settled(node) == Undecided()
    assert node.read_at == []


@pytest.mark.parametrize(("slot_ms", "watch"), [(None, 10), (400, 10), (200, 10), (100, 5), (20, 1)])
def test_a_watch_takes_no_more_than_a_third_of_what_a_blockhash_lives(slot_ms: int | None, watch: float) -> None:
    node = Node(known=Cluster(slot_ms=slot_ms))
    assert settler_at(node).watch_ms() == watch * 1000
    assert settled(node) == Undecided()
    assert node.now == watch
