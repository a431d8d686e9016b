"""What an attempt does with the market and the chain: route, build, simulate, sign; then land and read the fill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey

from chalicelib.metrics import Metric, note
from chalicelib.orders.execution import Fate, Landed, LandedFailed, NeverLands, PlannedSwap, Undecided
from chalicelib.orders.order import Leftover, Order, Submission
from chalicelib.orders.quoting import order_legs
from chalicelib.problems import SigningRefused, TransactionExpired
from chalicelib.risk.reference_price import exposure_of
from chalicelib.routing.market import Market
from chalicelib.routing.quote import floor_of
from chalicelib.routing.router import Route
from chalicelib.routing.swap_plan import Trade, plan_swap
from chalicelib.solana import landing
from chalicelib.solana.compute_budget import (
    ComputeBudget,
    PriorityFeePolicy,
)
from chalicelib.solana.fill import FillUnreadable, lamports_after, read_fill
from chalicelib.solana.program_errors import failure_of
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.rpc_errors import RpcRefused
from chalicelib.solana.signing import sign
from chalicelib.solana.signing_policy import ApprovedMessage, OrderTerms, SigningPolicy
from chalicelib.solana.simulation import measure
from chalicelib.solana.tokens import TOKEN_ACCOUNT_LENGTH
from chalicelib.solana.transaction import (
    OrderMemo,
    SignedTransaction,
    build_message,
)
from chalicelib.solana.wallet import Wallet
from chalicelib.telemetry import logger

# About what a swap burns; what a second leg costs is told by it.
LEG_COMPUTE_UNITS = 100_000


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """How long one invocation watches a transaction, and how often it asks and sends, in seconds.

    `invocation` is how long it may run in all: neither the watch nor a wait for a node's limits goes beyond that.
    """

    watch: float
    poll_every: float
    rebroadcast_every: float
    invocation: float = 17.0


class ChainTrader:
    """The Trader of `execution.py` on Solana. `clock` is monotonic seconds, `sleep` waits so many."""

    def __init__(
        self,
        rpc: SolanaRpc,
        market: Market,
        wallet: Wallet,
        signing_policy: SigningPolicy,
        fees: PriorityFeePolicy,
        patience: WatchPolicy,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._rpc = rpc
        self._market = market
        self._wallet = wallet
        self._signing_policy = signing_policy
        self._fees = fees
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._rent_lamports: int | None = None
        self._unit_price = fees.floor
        # when this invocation must be over, and the order's attempt that it has begun itself
        self._ends = 0.0
        self._begun: tuple[str, int] | None = None

    def plan(self, order: Order) -> PlannedSwap:
        """Read every pool of the pair at one slot and choose the best route that fits. Raises ExecutionError."""
        self._start_invocation()
        self._begun = (order.order_id, order.attempt)
        mint_in, mint_out = _mints(order)
        priced = self._market.price(mint_in, mint_out, order.amount, self.leg_lamports())
        route = priced.route
        min_out = floor_of(route.amount_out, order.slippage_ppm)
        legs = order_legs(route, order.token_in, order.token_out)
        return PlannedSwap(
            legs, route.amount_out, min_out, lambda: self._build(order, route, min_out), exposure_of(priced)
        )

    def leg_lamports(self) -> int:
        """What one more leg costs at the price that was last paid for compute units."""
        return ComputeBudget(LEG_COMPUTE_UNITS, self._unit_price).priority_fee_lamports

    def settle(self, order: Order, submission: Submission) -> Fate:
        """Send the stored bytes and watch them. Raises RpcUnavailable where a landed fill can't be read yet."""
        sent_before = self._begun != (order.order_id, order.attempt)
        if sent_before:
            self._start_invocation()
        fate = landing.land(
            self._rpc.one_node(),
            SignedTransaction(
                submission.signature, submission.wire, submission.blockhash, submission.last_valid_block_height
            ),
            clock=self._clock,
            sleep=self._sleep,
            deadline=min(self._clock() + self._patience.watch, self._ends),
            poll_every=self._patience.poll_every,
            rebroadcast_every=self._patience.rebroadcast_every,
            sent_before=sent_before,
        )
        self._begun = None
        match fate:
            case landing.Landed():
                return self._outcome(order, submission.signature)
            case landing.Expired(block_height):
                return NeverLands(TransactionExpired(f"the transaction never landed and expired at {block_height}"))
            case landing.Pending():
                return Undecided()

    def _start_invocation(self) -> None:
        self._ends = self._clock() + self._patience.invocation
        self._rpc.start_waiting(self._patience.invocation)

    def _outcome(self, order: Order, signature: str) -> Fate:
        """What a landed transaction did. As long as that can't be read the order waits: the swap may have happened."""
        try:
            transaction = self._rpc.get_transaction(signature)
            if transaction is None:
                return Undecided()  # landed, but this node's history doesn't show it yet
            failure = failure_of(transaction)
            if failure is not None:
                return LandedFailed(failure)
            landed = _landed(order, transaction, self._wallet.address)
            note(Metric.WALLET_LAMPORTS, lamports_after(transaction, self._wallet.address))
            return landed
        except (RpcRefused, FillUnreadable) as error:
            logger.error("a landed transaction can't be read", tx_hash=signature, error=str(error))
            return Undecided()

    def _build(self, order: Order, route: Route, min_out: int) -> Submission:
        """Price, simulate and sign; the blockhash is read last, so that the transaction lives as long as it can."""
        memo = OrderMemo(order.order_id, order.attempt)
        plan = plan_swap(route, Trade(self._wallet.address, memo, self._token_account_rent()), min_out)
        measured = measure(self._rpc, plan, self._fees)
        self._unit_price = measured.budget.unit_price
        latest = measured.blockhash or self._rpc.get_latest_blockhash()
        approved = self._approve(build_message(plan, measured.budget, latest.blockhash), order, route)
        signed = sign(approved, self._wallet, latest)
        return Submission(signed.signature, signed.wire, signed.blockhash, signed.last_valid_block_height)

    def _approve(self, message: MessageV0, order: Order, route: Route) -> ApprovedMessage:
        """Let the policy read the final bytes, on its own. A refusal is a fault of ours, or an attack: it is loud."""
        mint_in, mint_out = _mints(order)
        terms = OrderTerms(
            wallet=self._wallet.address,
            order_id=order.order_id,
            attempt=order.attempt,
            mint_in=mint_in,
            mint_out=mint_out,
            amount_in=order.amount,
            quoted_out=route.amount_out,
            slippage_ppm=order.slippage_ppm,
            rent_lamports=self._token_account_rent(),
        )
        try:
            return self._signing_policy.approve(bytes(to_bytes_versioned(message)), terms)
        except SigningRefused as refusal:
            logger.critical("the signing policy refused a transaction", reason=str(refusal), attempt=order.attempt)
            raise

    def _token_account_rent(self) -> int:
        if self._rent_lamports is None:
            self._rent_lamports = self._rpc.get_minimum_balance_for_rent_exemption(TOKEN_ACCOUNT_LENGTH)
        return self._rent_lamports


def _landed(order: Order, transaction: Mapping[str, Any], wallet: Pubkey) -> Landed:
    """Raises FillUnreadable."""
    mint_in, mint_out = _mints(order)
    over = {Pubkey.from_string(leg.token_out.mint): leg.token_out for leg in order.route or ()}
    fill = read_fill(transaction, wallet, mint_in, mint_out, [mint for mint in over if mint != mint_out])
    return Landed(fill.amount_out, tuple(Leftover(over[mint], amount) for mint, amount in fill.left_over))


def _mints(order: Order) -> tuple[Pubkey, Pubkey]:
    return Pubkey.from_string(order.token_in.mint), Pubkey.from_string(order.token_out.mint)
