"""What becomes of an order's signed transaction: send it, watch it, read its fill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from solders.pubkey import Pubkey

from chalicelib.log import logger
from chalicelib.metrics import Metric, note
from chalicelib.orders.execution import Fate, Landed, LandedFailed, NeverLands, Undecided
from chalicelib.orders.order import Leftover, Order
from chalicelib.problems import RpcRefused, TransactionExpired
from chalicelib.solana import landing
from chalicelib.solana.fill import FillUnreadable, lamports_after, network_fee, read_fill
from chalicelib.solana.program_errors import ErrorClassifier
from chalicelib.solana.signed_transaction import SignedTransaction


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """How long one invocation watches a transaction, and how often it asks and sends, in seconds."""

    watch: float
    poll_every: float
    rebroadcast_every: float


class SettlingRpc(Protocol):
    """What settling asks of a node, or of several behind one address (see SolanaRpc)."""

    def one_node(self) -> landing.LandingRpc: ...

    def get_transaction(self, signature: str) -> dict[str, Any] | None: ...


class Settler:
    """`wallet` tells whose fills are read. `clock` is monotonic seconds, `sleep` waits so many."""

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

    def settle(self, order: Order, submission: SignedTransaction) -> Fate:
        """Send the stored bytes and watch them. Raises RpcUnavailable where a landed fill can't be read yet."""
        fate = landing.land(
            self._rpc.one_node(),
            submission,
            clock=self._clock,
            sleep=self._sleep,
            deadline=self._clock() + self._policy.watch,
            poll_every=self._policy.poll_every,
            rebroadcast_every=self._policy.rebroadcast_every,
        )
        match fate:
            case landing.InBlock():
                return self._outcome(order, submission.signature)
            case landing.Expired(block_height):
                return NeverLands(TransactionExpired(f"the transaction never landed and expired at {block_height}"))
            case landing.Pending():
                return Undecided()

    def _outcome(self, order: Order, signature: str) -> Fate:
        """What a landed transaction did. As long as that can't be read the order waits: the swap may have happened."""
        try:
            transaction = self._rpc.get_transaction(signature)
            if transaction is None:
                return Undecided()  # landed, but this node's history doesn't show it yet
            failure = self._errors.failure_of(transaction)
            if failure is not None:
                return LandedFailed(failure, network_fee=network_fee(transaction))
            landed = _landed(order, transaction, self._wallet())
            note(Metric.WALLET_LAMPORTS, lamports_after(transaction, self._wallet()))
            return landed
        except (RpcRefused, FillUnreadable) as error:
            logger.error("a landed transaction can't be read", tx_hash=signature, error=str(error))
            return Undecided()


def _landed(order: Order, transaction: Mapping[str, Any], wallet: Pubkey) -> Landed:
    """Raises FillUnreadable."""
    mint_in, mint_out = mints_of(order)
    over = {Pubkey.from_string(leg.token_out.mint): leg.token_out for leg in order.route or ()}
    fill = read_fill(transaction, wallet, mint_in, mint_out, [mint for mint in over if mint != mint_out])
    leftover = tuple(Leftover(over[mint], amount) for mint, amount in fill.left_over)
    return Landed(fill.amount_out, leftover, network_fee=fill.fee_lamports)


def mints_of(order: Order) -> tuple[Pubkey, Pubkey]:
    """What the order pays with, and what it buys."""
    return Pubkey.from_string(order.token_in.mint), Pubkey.from_string(order.token_out.mint)
