"""What becomes of an order's signed transaction: send it, watch it, read its fill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from solders.pubkey import Pubkey

from chalicelib.log import logger
from chalicelib.metrics import Metric, note
from chalicelib.orders.execution import Fate, Landed, LandedFailed, NeverLands, Undecided
from chalicelib.orders.order import Leftover, Order
from chalicelib.problems import RpcRefused, TransactionExpired
from chalicelib.solana import landing
from chalicelib.solana.cluster import Cluster, Commitment
from chalicelib.solana.fill import FillUnreadable, lamports_after, network_fee, read_fill
from chalicelib.solana.program_errors import ErrorClassifier
from chalicelib.solana.signed_transaction import SignedTransaction


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """How long one invocation watches a transaction at most, in seconds, and how often it asks and sends.

    `invocation` is how long it may run in all: neither the watch nor a wait for a node's limits goes beyond that.
    """

    watch: float
    invocation: float = 17.0
    pace: landing.LandingPace = field(default=landing.LandingPace())

    def watch_on(self, cluster: Cluster) -> float:
        """No longer than a third of a blockhash's life: so whoever takes over from a dead worker has half of it."""
        life_ms = cluster.blockhash_life_ms
        return self.watch if life_ms is None else min(self.watch, life_ms / 3_000)


class SettlingRpc(Protocol):
    """What settling asks of a node, or of several behind one address (see SolanaRpc)."""

    def start_waiting(self, seconds: float) -> None: ...

    def one_node(self) -> landing.LandingRpc: ...

    def cluster(self) -> Cluster: ...

    def known_cluster(self) -> Cluster: ...

    def get_transaction(self, signature: str, *, commitment: Commitment) -> dict[str, Any] | None: ...


class Settler:
    """`wallet` tells whose fills are read of orders that don't say it.

    `clock` is monotonic seconds, `sleep` waits so many.
    """

    def __init__(
        self,
        rpc: SettlingRpc,
        wallet: Callable[[], Pubkey],
        errors: ErrorClassifier,
        policy: WatchPolicy,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._rpc = rpc
        self._wallet = wallet
        self._errors = errors
        self._policy = policy
        self._clock = clock
        self._sleep = sleep
        # when this invocation must be over, and the order's attempt that it has begun itself
        self._ends = 0.0
        self._begun: tuple[str, int] | None = None

    def start_invocation(self, order: Order) -> None:
        """An attempt begins: from now on the invocation's time counts, waits for the nodes' limits among it."""
        self._begun = (order.order_id, order.attempt)
        self._start_clock()

    def watch_ms(self) -> int:
        """How long `settle` watches at most, as far as is known now."""
        return round(self._policy.watch_on(self._rpc.known_cluster()) * 1000)

    def settle(self, order: Order, submission: SignedTransaction) -> Fate:
        """Send the stored bytes and watch them. Raises RpcUnavailable where a landed fill can't be read yet."""
        sent_before = self._begun != (order.order_id, order.attempt)
        self._begun = None
        if sent_before:
            self._start_clock()
        fate = landing.land(
            self._rpc.one_node(),
            submission,
            cluster=self._rpc.cluster,
            clock=self._clock,
            sleep=self._sleep,
            deadline=min(self._clock() + self._policy.watch_on(self._rpc.known_cluster()), self._ends),
            pace=self._policy.pace,
            sent_before=sent_before,
        )
        match fate:
            case landing.InBlock():
                return self._outcome(order, submission, fate.slot)
            case landing.Expired(block_height):
                return NeverLands(TransactionExpired(f"the transaction never landed and expired at {block_height}"))
            case landing.Pending():
                return Undecided()

    def _start_clock(self) -> None:
        self._ends = self._clock() + self._policy.invocation
        self._rpc.start_waiting(self._policy.invocation)

    def _outcome(self, order: Order, submission: SignedTransaction, slot: int) -> Fate:
        """What a landed transaction did. As long as that can't be read the order waits: the swap may have happened."""
        signature = submission.signature
        try:
            transaction = self._rpc.get_transaction(signature, commitment=self._rpc.known_cluster().settled_at)
            if transaction is None:
                return Undecided()  # landed, but this node's history doesn't show it yet
            failure = self._errors.failure_of(transaction)
            if failure is not None:
                return LandedFailed(failure, network_fee=network_fee(transaction))
            wallet = self._wallet() if order.wallet is None else Pubkey.from_string(order.wallet)
            landed = _landed(order, submission, transaction, wallet, slot)
            note(Metric.WALLET_LAMPORTS, lamports_after(transaction, wallet))
            if landed.slot_delta is not None:
                note(Metric.SLOT_DELTA, landed.slot_delta)
            return landed
        except (RpcRefused, FillUnreadable) as error:
            logger.error("a landed transaction can't be read", tx_hash=signature, error=str(error))
            return Undecided()


def _landed(
    order: Order, submission: SignedTransaction, transaction: Mapping[str, Any], wallet: Pubkey, slot: int
) -> Landed:
    """Raises FillUnreadable."""
    mint_in, mint_out = mints_of(order)
    over = {Pubkey.from_string(leg.token_out.mint): leg.token_out for leg in order.route or ()}
    between, tip = [mint for mint in over if mint != mint_out], submission.tip_lamports or 0
    fill = read_fill(transaction, wallet, mint_in, mint_out, between, tip)
    leftover = tuple(Leftover(over[mint], amount) for mint, amount in fill.left_over)
    delta = None if submission.slot is None else max(0, slot - submission.slot)
    return Landed(fill.amount_out, leftover, network_fee=fill.fee_lamports + tip, slot_delta=delta)


def mints_of(order: Order) -> tuple[Pubkey, Pubkey]:
    """What the order pays with, and what it buys."""
    return Pubkey.from_string(order.token_in.mint), Pubkey.from_string(order.token_out.mint)
