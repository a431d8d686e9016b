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
from chalicelib.solana.landing import LandingRpc
from chalicelib.solana.rpc import Commitment, EpochInfo, SignatureStatus, SignatureStatuses
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.venues import supported
from tests.log_lines import flushed, values
from tests.sample_orders import SOL, new_order, submitted
from tests.unit.test_fill import RENT, USDC, USDT, WALLET, held, sold_sol_for_usdc

LAST_VALID = 150
BOUGHT = Token("USDC", str(USDC), 6)
POLICY = WatchPolicy(watch=10, poll_every=0.5, rebroadcast_every=4)


@dataclass
class Node:
    """One node. `status` is what it knows of the transaction from the start, `transaction` what its history shows."""

    status: SignatureStatus | None = None
    transaction: dict[str, Any] | Exception | None = None
    height: int = 100
    now: float = 0.0
    sent_at: list[float] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    waits: float | None = None

    def start_waiting(self, seconds: float) -> None:
        self.waits = seconds

    def one_node(self) -> LandingRpc:
        return self

    def send_transaction(self, wire: bytes, *, skip_preflight: bool) -> str:
        self.sent_at.append(self.now)
        return "signature-1"

    def get_signature_statuses(self, signatures: Sequence[str], *, search_history: bool) -> SignatureStatuses:
        assert list(signatures) == ["signature-1"]
        self.asked_at.append(self.now)
        return SignatureStatuses(500, (self.status,))

    def get_epoch_info(self, *, commitment: Commitment) -> EpochInfo:
        return EpochInfo(400, self.height, 9)

    def get_transaction(self, signature: str) -> dict[str, Any] | None:
        assert signature == "signature-1"
        if isinstance(self.transaction, Exception):
            raise self.transaction
        return self.transaction

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def selling_sol() -> Order:
    """Submitted; it sells the fill's SOL for the fill's USDC."""
    return submitted(new_order(token_out=BOUGHT))


def settled(node: Node, order: Order | None = None) -> object:
    order = order or selling_sol()
    assert order.submission is not None
    submission = replace(order.submission, last_valid_block_height=LAST_VALID)
    settler = Settler(node, lambda: WALLET, supported.error_classifier(), POLICY, lambda: node.now, node.sleep)
    return settler.settle(order, submission)


def in_block(**changes: Any) -> Node:
    """A node that has confirmed the transaction, with what its meta says otherwise."""
    transaction = sold_sol_for_usdc()
    transaction["meta"] |= changes
    return Node(SignatureStatus(77, changes.get("err"), "confirmed"), transaction)


def test_a_landed_swap_is_told_by_what_it_paid(capsys: pytest.CaptureFixture[str]) -> None:
    flush()
    capsys.readouterr()
    assert settled(in_block()) == Landed(300_000_000)
    assert values(flushed(capsys), "WalletLamports") == [8_000_000_000 - 5_000 - RENT]


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
    assert sorted(set(node.asked_at)) == [number * POLICY.poll_every for number in range(21)]


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
