"""What an attempt does with the market and the chain: route, build, simulate, sign. What comes then: settling.py."""

from __future__ import annotations

from solders.message import MessageV0, to_bytes_versioned

from chalicelib.log import logger
from chalicelib.orders.execution import Fate, PlannedSwap
from chalicelib.orders.order import Order
from chalicelib.orders.route_legs import order_legs
from chalicelib.orders.settling import Settler, mints_of
from chalicelib.problems import SigningRefused
from chalicelib.risk.reference_price import exposure_of
from chalicelib.routing.market import Market
from chalicelib.routing.quote import floor_of
from chalicelib.routing.router import Route
from chalicelib.routing.swap_plan import Trade, plan_swap
from chalicelib.solana.compute_budget import (
    ComputeBudget,
    PriorityFeePolicy,
)
from chalicelib.solana.program_errors import ErrorClassifier
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.solana.signing import sign
from chalicelib.solana.signing_policy import ApprovedMessage, OrderTerms, SigningPolicy
from chalicelib.solana.simulation import measure
from chalicelib.solana.tokens import TOKEN_ACCOUNT_LENGTH
from chalicelib.solana.transaction import (
    OrderMemo,
    build_message,
)
from chalicelib.solana.wallet import Wallet

# About what a swap burns; what a second leg costs is told by it.
LEG_COMPUTE_UNITS = 100_000


class ChainTrader:
    """The Trader of `execution.py` on Solana."""

    def __init__(
        self,
        rpc: SolanaRpc,
        market: Market,
        wallet: Wallet,
        signing_policy: SigningPolicy,
        errors: ErrorClassifier,
        fees: PriorityFeePolicy,
        settler: Settler,
    ) -> None:
        self._rpc = rpc
        self._market = market
        self._wallet = wallet
        self._signing_policy = signing_policy
        self._errors = errors
        self._fees = fees
        self._settler = settler
        self._rent_lamports: int | None = None
        self._unit_price = fees.floor

    def plan(self, order: Order) -> PlannedSwap:
        """Read every pool of the pair at one slot and choose the best route that fits. Raises ExecutionError."""
        self._settler.start_invocation(order)
        mint_in, mint_out = mints_of(order)
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

    def settle(self, order: Order, submission: SignedTransaction) -> Fate:
        """As Settler.settle."""
        return self._settler.settle(order, submission)

    def _build(self, order: Order, route: Route, min_out: int) -> SignedTransaction:
        """Price, simulate and sign; the blockhash is read last, so that the transaction lives as long as it can."""
        memo = OrderMemo(order.order_id, order.attempt)
        plan = plan_swap(route, Trade(self._wallet.address, memo, self._token_account_rent()), min_out)
        measured = measure(self._rpc, plan, self._fees, self._errors)
        self._unit_price = measured.budget.unit_price
        latest = measured.blockhash or self._rpc.get_latest_blockhash()
        approved = self._approve(build_message(plan, measured.budget, latest.blockhash), order, route)
        return sign(approved, self._wallet, latest)

    def _approve(self, message: MessageV0, order: Order, route: Route) -> ApprovedMessage:
        """Let the policy read the final bytes, on its own. A refusal is a fault of ours, or an attack: it is loud."""
        mint_in, mint_out = mints_of(order)
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
