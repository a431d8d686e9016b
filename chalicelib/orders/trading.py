"""What an attempt does with the market and the chain: route, build, simulate, sign. What comes then: settling.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey

from chalicelib.log import logger
from chalicelib.orders.execution import Fate, PlannedSwap
from chalicelib.orders.order import Order, refuse_after_deadline
from chalicelib.orders.route_legs import order_legs, order_offers
from chalicelib.orders.settling import Settler, mints_of
from chalicelib.problems import ExecutionError, InsufficientBalance, SigningRefused
from chalicelib.risk.network_fees import FeeRange
from chalicelib.risk.reference_price import exposure_of
from chalicelib.routing.market import BRIDGE_MINTS, Market, PricedPair
from chalicelib.routing.router import Route
from chalicelib.routing.swap_plan import Trade, plan_swap, tokens_of
from chalicelib.solana.accounts import AccountMap
from chalicelib.solana.compute_budget import BASE_FEE_LAMPORTS, ComputeBudget, PriorityFeePolicy
from chalicelib.solana.program_errors import ErrorClassifier
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.solana.signing import sign
from chalicelib.solana.signing_policy import ApprovedMessage, OrderTerms, SigningPolicy
from chalicelib.solana.simulation import simulate
from chalicelib.solana.tokens import NATIVE_MINT, TOKEN_ACCOUNT_LENGTH
from chalicelib.solana.transaction import OrderMemo
from chalicelib.solana.wallet import Wallet
from chalicelib.solana.wallet_funds import funds_in, sol_needs, wallet_accounts
from chalicelib.solana.wallet_refusals import told_apart

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
        now_ms: Callable[[], int],
    ) -> None:
        self._rpc = rpc
        self._market = market
        self._wallet = wallet
        self._signing_policy = signing_policy
        self._errors = errors
        self._fees = fees
        self._settler = settler
        self._now_ms = now_ms
        self._rent_lamports: int | None = None
        self._unit_price = fees.floor

    def plan(self, order: Order) -> PlannedSwap:
        """Read every pool of the pair at one slot and choose the best route that fits. Raises ExecutionError."""
        self._settler.start_invocation(order)
        mint_in, mint_out = mints_of(order)
        besides = wallet_accounts(self._wallet.address, {mint_out, *BRIDGE_MINTS} - {NATIVE_MINT})
        priced = self._market.price(
            mint_in,
            mint_out,
            order.amount,
            self.leg_lamports(),
            without=frozenset(Pubkey.from_string(refused.pool) for refused in order.refused_pools),
            floor=order.min_out or 0,
            besides=besides,
        )
        # a way over a third token opens one account more, whose rent the wallet may not have
        others = priced.other_routes if len(priced.route.hops) > 1 else ()
        planned: list[PlannedSwap] = []
        too_dear: InsufficientBalance | None = None
        for route in (priced.route, *others):
            try:
                planned.append(self._planned(order, replace(priced, route=route)))
            except InsufficientBalance as error:
                too_dear = too_dear or error
        if not planned:
            assert too_dear is not None, "a route that isn't planned was too dear"
            raise too_dear
        return replace(planned[0], otherwise=tuple(planned[1:]))

    def _planned(self, order: Order, priced: PricedPair) -> PlannedSwap:
        """Raises InsufficientBalance."""
        route, fees = priced.route, FeeRange(BASE_FEE_LAMPORTS, self._fees.most_lamports)
        legs = order_legs(route, order.token_in, order.token_out)
        return PlannedSwap(
            legs,
            route.amount_out,
            lambda stored: self._build(stored, route, self._check_funds(stored, route, priced.besides)),
            exposure_of(priced),
            fees,
            order_offers(priced, order.token_in),
        )

    def leg_lamports(self) -> int:
        """What one more leg costs at the price that was last paid for compute units."""
        return ComputeBudget(LEG_COMPUTE_UNITS, self._unit_price).priority_fee_lamports

    def settle(self, order: Order, submission: SignedTransaction) -> Fate:
        """As Settler.settle."""
        return self._settler.settle(order, submission)

    def _check_funds(self, order: Order, route: Route, accounts: AccountMap) -> Callable[[int], None]:
        """Raises InsufficientBalance where the wallet, as it was read, can't pay so many lamports of fees."""
        wallet, rent = self._wallet.address, self._token_account_rent()
        needs = sol_needs(tokens_of(route), order.amount, order.min_out or 0, accounts, wallet, rent)
        funds = funds_in(accounts, wallet, rent)
        return lambda fee: funds.check(needs, fee)

    def _build(self, order: Order, route: Route, check_wallet: Callable[[int], None]) -> SignedTransaction:
        """Price, simulate and sign: what is signed is what was simulated, but for a lower compute-unit limit."""
        assert order.min_out is not None, "a stored route has its floor"
        memo = OrderMemo(order.order_id, order.attempt)
        trade = Trade(self._wallet.address, memo, self._token_account_rent(), _nonce(order))
        plan = plan_swap(route, trade, order.min_out)
        try:
            simulated = simulate(self._rpc, plan, self._fees, self._errors, _most_lamports(order), check_wallet)
        except ExecutionError as error:
            better = told_apart(error, plan, order.amount, self._read_accounts)
            if better is error:
                raise
            raise better from error
        self._unit_price = simulated.budget.unit_price
        approved = self._approve(simulated.message, order)
        refuse_after_deadline(order, self._now_ms())  # simulating took its time
        return sign(approved, self._wallet, simulated.latest)

    def _approve(self, message: MessageV0, order: Order) -> ApprovedMessage:
        """Let the policy read the final bytes, on its own. A refusal is a fault of ours, or an attack: it is loud."""
        mint_in, mint_out = mints_of(order)
        terms = OrderTerms(
            wallet=self._wallet.address,
            order_id=order.order_id,
            attempt=order.attempt,
            nonce=_nonce(order),
            mint_in=mint_in,
            mint_out=mint_out,
            amount_in=order.amount,
            min_out=order.min_out or 0,
            rent_lamports=self._token_account_rent(),
            most_lamports=_most_lamports(order),
        )
        try:
            return self._signing_policy.approve(bytes(to_bytes_versioned(message)), terms)
        except SigningRefused as refusal:
            logger.critical("the signing policy refused a transaction", reason=str(refusal), attempt=order.attempt)
            raise

    def _read_accounts(self, addresses: Sequence[Pubkey]) -> AccountMap:
        return self._rpc.get_multiple_accounts(addresses).accounts

    def _token_account_rent(self) -> int:
        if self._rent_lamports is None:
            self._rent_lamports = self._rpc.get_minimum_balance_for_rent_exemption(TOKEN_ACCOUNT_LENGTH)
        return self._rent_lamports


def _nonce(order: Order) -> str:
    assert order.attempt_nonce is not None, "an attempt that has started has its nonce"
    return order.attempt_nonce


def _most_lamports(order: Order) -> int:
    assert order.fees_reserved is not None, "a stored route has its fees reserved"
    return order.fees_reserved.lamports
