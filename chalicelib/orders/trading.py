"""What an attempt does with the market and the chain: route, build, simulate, sign. What comes then: settling.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from solders.message import to_bytes_versioned
from solders.pubkey import Pubkey

from chalicelib.log import logger
from chalicelib.orders.execution import Fate, PlannedSwap
from chalicelib.orders.life import refuse_after_deadline
from chalicelib.orders.order import Order
from chalicelib.orders.route_legs import order_legs, order_offers
from chalicelib.orders.settling import Settler, mints_of
from chalicelib.problems import (
    ExecutionError,
    SigningRefused,
    SlippageExceeded,
    TransactionTooLarge,
    WalletUnavailable,
)
from chalicelib.risk.network_fees import FeeRange
from chalicelib.risk.reference_price import exposure_of
from chalicelib.routing.market import BRIDGE_MINTS, Market, PricedPair
from chalicelib.routing.router import Route
from chalicelib.routing.swap_plan import Trade, TransactionRoom, plan_swap, tokens_of, with_spare_accounts
from chalicelib.solana.accounts import AccountMap, AccountsRead
from chalicelib.solana.cluster import SHORTEST_BLOCKHASH_LIFE_MS
from chalicelib.solana.compute_budget import BASE_FEE_LAMPORTS, ComputeBudget, PriorityFeePolicy
from chalicelib.solana.program_errors import ErrorClassifier
from chalicelib.solana.rpc import Beside, LatestBlockhash, SolanaRpc
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.solana.signing import sign
from chalicelib.solana.signing_policy import ApprovedMessage, OrderTerms, SigningPolicy
from chalicelib.solana.simulation import Opened, Simulated, VersionRefused, simulate
from chalicelib.solana.tips import NO_TIPS, Tips
from chalicelib.solana.tokens import NATIVE_MINT, TOKEN_ACCOUNT_LENGTH
from chalicelib.solana.transaction import OrderMemo, SwapMessage, TransactionVersion
from chalicelib.solana.versions import Versions
from chalicelib.solana.wallet import Wallet
from chalicelib.solana.wallet_funds import funds_in, sol_needs, wallet_accounts
from chalicelib.solana.wallet_refusals import told_apart

# About what a swap burns; what a second leg costs is told by it.
LEG_COMPUTE_UNITS = 100_000


# A blockhash that has lived for this part of its life is not built on any more.
_OLD_AT_PART_OF_LIFE = 3


@dataclass(frozen=True, slots=True)
class _ReadAt:
    """What was read with the market, when the first of it, and for a transaction of which version."""

    opened: Opened
    version: TransactionVersion
    at_ms: int


class _OpeningReads:
    """The reads that an attempt begins with: the first brings along all else that the transaction needs."""

    def __init__(self, rpc: SolanaRpc, now_ms: Callable[[], int], *, asks_rent: bool) -> None:
        self.latest: LatestBlockhash | None = None
        self.recent_fees: tuple[int, ...] | None = None
        self.rent_lamports: int | None = None
        # when these were read: at a node's pace the reads after it may take half of a blockhash's life
        self.at_ms = 0
        self._rpc = rpc
        self._now_ms = now_ms
        self._asks_rent = asks_rent
        self._is_first = True

    def __call__(self, addresses: Sequence[Pubkey], *, pools: Sequence[Pubkey]) -> AccountsRead:
        if not self._is_first:
            return self._rpc.get_multiple_accounts(addresses)
        rent_of = TOKEN_ACCOUNT_LENGTH if self._asks_rent else None
        found = self._rpc.read_beside(addresses, Beside(blockhash=True, fees_of=tuple(pools), rent_of=rent_of))
        self._is_first = False
        self.at_ms = self._now_ms()
        self.latest, self.recent_fees, self.rent_lamports = found.latest, found.recent_fees or (), found.rent_lamports
        return found.read


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
        version: TransactionVersion = 1,
        tips: Tips = NO_TIPS,
    ) -> None:
        """`version` is that of the transactions, where the cluster takes it."""
        self._versions = Versions(version)
        self._tips = tips
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
        self._refuse_another_wallet(order)
        mint_in, mint_out = mints_of(order)
        version = self._versions.to_try(self._now_ms())
        reads = _OpeningReads(self._rpc, self._now_ms, asks_rent=self._rent_lamports is None)
        besides = wallet_accounts(self._wallet.address, {mint_out, *BRIDGE_MINTS} - {NATIVE_MINT})
        priced = self._market.price(
            mint_in,
            mint_out,
            order.amount,
            self.leg_lamports(),
            without=frozenset(Pubkey.from_string(refused.pool) for refused in order.refused_pools),
            floor=order.min_out or 0,
            besides=besides,
            version=version,
            read=reads,
        )
        self._rent_lamports = self._rent_lamports or reads.rent_lamports
        read_at = _ReadAt(Opened(reads.latest, reads.recent_fees), version, reads.at_ms)
        best, *others = _surest_first(order, (priced.route, *priced.other_routes))
        # a way over a third token opens one account more, whose rent the wallet may not have
        routes = (best, *others) if len(best.hops) > 1 else (best,)
        planned, *otherwise = (self._planned(order, replace(priced, route=route), read_at) for route in routes)
        return replace(planned, otherwise=tuple(otherwise))

    def _refuse_another_wallet(self, order: Order) -> None:
        """Raises WalletUnavailable where the order is for a wallet that is not ours: it is the order's for ever."""
        own = str(self._wallet.address)
        if order.wallet not in (None, own):
            raise WalletUnavailable(f"the order is for the wallet {order.wallet}, and this stage signs for {own}")

    def _planned(self, order: Order, priced: PricedPair, read_at: _ReadAt) -> PlannedSwap:
        """Whether the wallet can pay for it is looked at as it is built."""
        tip = self._tips.lamports
        route, fees = priced.route, FeeRange(BASE_FEE_LAMPORTS + tip, self._fees.most_lamports + tip)
        legs = order_legs(route, order.token_in, order.token_out)
        return PlannedSwap(
            legs,
            route.amount_out,
            lambda stored: self._build(stored, route, self._check_funds(stored, route, priced.besides), read_at),
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

    def watch_ms(self) -> int:
        """As Settler.watch_ms."""
        return self._settler.watch_ms()

    def _check_funds(self, order: Order, route: Route, accounts: AccountMap) -> Callable[[int], None]:
        """Raises InsufficientBalance where the wallet, as it was read, can't pay so many lamports of fees."""
        wallet, rent = self._wallet.address, self._token_account_rent()
        needs = sol_needs(tokens_of(route), order.amount, order.min_out or 0, accounts, wallet, rent)
        funds = funds_in(accounts, wallet, rent)
        return lambda fee: funds.check(needs, fee)

    def _build(
        self, order: Order, route: Route, check_wallet: Callable[[int], None], read_at: _ReadAt
    ) -> SignedTransaction:
        """Price, simulate and sign: what is signed is what was simulated, but for the limit and the fee (Simulated).

        Where the simulation refuses version 1, before anything is signed, it is tried as version 0: once it is stored a
        transaction's version never changes. Raises VersionRefused where version 0 has no room for the route.
        """
        version = self._versions.to_try(self._now_ms()) if read_at.version == 1 else read_at.version
        simulated = None
        if version == 1:
            try:
                simulated = self._simulate(order, route, check_wallet, read_at, version)
            except VersionRefused as refused:
                logger.warning("version 0 is built instead", reason=str(refused))
                self._versions.refused(self._now_ms())
        if simulated is None:
            try:
                simulated = self._simulate(order, route, check_wallet, read_at, version=0)
            except TransactionTooLarge as too_large:
                if read_at.version == 0:
                    raise
                raise VersionRefused(f"version 1 is not taken, and {too_large}") from too_large
        self._unit_price = simulated.budget.unit_price
        approved = self._approve(simulated.message, order)
        refuse_after_deadline(order, self._now_ms())  # simulating took its time
        slot = max(simulated.slot, self._rpc.newest_slot())
        return sign(approved, self._wallet, simulated.latest, slot, self._tips.lamports)

    def _simulate(
        self,
        order: Order,
        route: Route,
        check_wallet: Callable[[int], None],
        read_at: _ReadAt,
        version: TransactionVersion,
    ) -> Simulated:
        assert order.min_out is not None, "a stored route has its floor"
        tip = self._tips.tip_for(order.order_id)
        trade = Trade(
            self._wallet.address,
            OrderMemo(order.order_id, order.attempt),
            self._token_account_rent(),
            _nonce(order),
            tip,
        )
        fits = TransactionRoom(version, with_tip=tip is not None)
        plan = plan_swap(with_spare_accounts(route, fits), trade, order.min_out)
        opened = read_at.opened
        life_ms = self._rpc.known_cluster().blockhash_life_ms or SHORTEST_BLOCKHASH_LIFE_MS
        if self._now_ms() - read_at.at_ms > life_ms // _OLD_AT_PART_OF_LIFE:
            opened = replace(opened, latest=None)  # it would hardly have time to land
        try:
            return simulate(
                self._rpc, plan, version, self._fees, self._errors, _most_lamports(order), check_wallet, opened
            )
        except ExecutionError as error:
            better = told_apart(error, plan, order.amount, self._read_accounts)
            if better is error:
                raise
            raise better from error

    def _approve(self, message: SwapMessage, order: Order) -> ApprovedMessage:
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


def _surest_first(order: Order, routes: Sequence[Route]) -> list[Route]:
    """The routes, best first. Once the price moved between an order's two hops, ways of one hop that pay its floor are
    before all others: only these have all of its slippage to move in.
    """
    if all(refused.error_code != SlippageExceeded.code for refused in order.refused_pools):
        return list(routes)
    return sorted(routes, key=lambda route: len(route.hops) > 1 or route.amount_out < (order.min_out or 0))


def _nonce(order: Order) -> str:
    assert order.attempt_nonce is not None, "an attempt that has started has its nonce"
    return order.attempt_nonce


def _most_lamports(order: Order) -> int:
    assert order.fees_reserved is not None, "a stored route has its fees reserved"
    return order.fees_reserved.lamports
