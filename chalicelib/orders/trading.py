"""What an attempt does with the market and the chain: route, build, simulate, sign; then land and read the fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from solders.hash import Hash
from solders.message import MessageV0
from solders.pubkey import Pubkey

from chalicelib.orders.execution import Fate, Landed, LandedFailed, NeverLands, PlannedSwap, Undecided
from chalicelib.orders.order import Leg, Order, Submission
from chalicelib.problems import ExecutionError, TransactionExpired, TransactionRejected
from chalicelib.routing.market import Market
from chalicelib.routing.quote import floor_of
from chalicelib.routing.quoting import shares_ppm
from chalicelib.routing.router import Route, best_route
from chalicelib.solana import landing
from chalicelib.solana.compute_budget import (
    MAX_COMPUTE_UNITS,
    ComputeBudget,
    PriorityFeePolicy,
    compute_unit_limit,
    priority_fee,
)
from chalicelib.solana.fill import read_fill
from chalicelib.solana.program_errors import classify, failure_of
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.token_accounts import Token, destination_account, source_account
from chalicelib.solana.tokens import TOKEN_ACCOUNT_LENGTH
from chalicelib.solana.transaction import (
    OrderMemo,
    SignedTransaction,
    SwapPlan,
    build_message,
    sign,
    unsigned_wire,
    writable_accounts,
)
from chalicelib.solana.wallet import Wallet


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one invocation watches a transaction, and how often it asks and sends, in seconds."""

    watch: float
    poll_every: float
    rebroadcast_every: float


class ChainTrader:
    """The Trader of `execution.py` on Solana. `clock` is monotonic seconds, `sleep` waits so many."""

    def __init__(
        self,
        rpc: SolanaRpc,
        market: Market,
        wallet: Wallet,
        fees: PriorityFeePolicy,
        patience: Patience,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._rpc = rpc
        self._market = market
        self._wallet = wallet
        self._fees = fees
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._rent_lamports: int | None = None

    def plan(self, order: Order) -> PlannedSwap:
        """Read every pool of the pair at one slot and choose the best route. Raises ExecutionError."""
        mint_in, mint_out = _mints(order)
        route = best_route(self._market.offers(mint_in, mint_out, order.amount).offers)
        legs = tuple(
            Leg(leg.quote.venue, str(leg.pool.address), share, leg.quote.amount_in, leg.quote.amount_out)
            for leg, share in zip(route.legs, shares_ppm(route), strict=True)
        )
        min_out = floor_of(route.amount_out, order.slippage_ppm)
        return PlannedSwap(legs, min_out, lambda: self._build(order, route, min_out))

    def settle(self, order: Order, submission: Submission) -> Fate:
        """Send the stored bytes and watch them. Raises RpcUnavailable where a landed fill can't be read yet."""
        fate = landing.land(
            self._rpc,
            SignedTransaction(
                submission.signature, submission.wire, submission.blockhash, submission.last_valid_block_height
            ),
            clock=self._clock,
            sleep=self._sleep,
            deadline=self._clock() + self._patience.watch,
            poll_every=self._patience.poll_every,
            rebroadcast_every=self._patience.rebroadcast_every,
        )
        match fate:
            case landing.Landed():
                return self._outcome(order, submission.signature)
            case landing.Expired(block_height):
                return NeverLands(TransactionExpired(f"the transaction never landed and expired at {block_height}"))
            case landing.Pending():
                return Undecided()

    def _outcome(self, order: Order, signature: str) -> Fate:
        transaction = self._rpc.get_transaction(signature)
        if transaction is None:
            return Undecided()  # landed, but this node's history doesn't show it yet
        failure = failure_of(transaction)
        if failure is not None:
            return LandedFailed(failure)
        mint_in, mint_out = _mints(order)
        return Landed(read_fill(transaction, self._wallet.address, mint_in, mint_out).amount_out)

    def _build(self, order: Order, route: Route, min_out: int) -> Submission:
        """Simulate, price and sign; the blockhash is read last, so that the transaction lives as long as it can."""
        plan = self._swap_plan(order, route, min_out)
        trial = build_message(plan, ComputeBudget(MAX_COMPUTE_UNITS, 0), Hash.default())
        units = self._simulate(trial)
        fees = self._rpc.get_recent_prioritization_fees(writable_accounts(trial))
        budget = ComputeBudget(compute_unit_limit(units), priority_fee(fees, self._fees))
        latest = self._rpc.get_latest_blockhash()
        signed = sign(build_message(plan, budget, latest.blockhash), self._wallet, latest)
        return Submission(signed.signature, signed.wire, signed.blockhash, signed.last_valid_block_height)

    def _swap_plan(self, order: Order, route: Route, min_out: int) -> SwapPlan:
        token_in, token_out = _tokens(order, route)
        wallet, rent = self._wallet.address, self._token_account_rent()
        source = source_account(
            wallet, token_in, order.amount, order_id=order.order_id, attempt=order.attempt, rent_lamports=rent
        )
        destination = destination_account(
            wallet, token_out, order_id=order.order_id, attempt=order.attempt, rent_lamports=rent
        )
        (leg,) = route.legs
        swap = leg.pool.swap_instruction(
            leg.quote, trader=wallet, source=source.address, destination=destination.address, minimum_out=min_out
        )
        memo = OrderMemo(order.order_id, order.attempt)
        return SwapPlan(payer=wallet, memo=memo, source=source, destination=destination, swaps=(swap,))

    def _simulate(self, message: MessageV0) -> int:
        """The compute units that it burns. Raises ExecutionError where it would fail."""
        simulation = self._rpc.simulate_transaction(unsigned_wire(message))
        if simulation.err is None:
            return simulation.units_consumed
        programs = [message.account_keys[instruction.program_id_index] for instruction in message.instructions]
        failure: ExecutionError | None = classify(simulation.err, programs, simulation.logs)
        raise failure or TransactionRejected("the simulation takes the transaction for a processed one")

    def _token_account_rent(self) -> int:
        if self._rent_lamports is None:
            self._rent_lamports = self._rpc.get_minimum_balance_for_rent_exemption(TOKEN_ACCOUNT_LENGTH)
        return self._rent_lamports


def _mints(order: Order) -> tuple[Pubkey, Pubkey]:
    return Pubkey.from_string(order.token_in.mint), Pubkey.from_string(order.token_out.mint)


def _tokens(order: Order, route: Route) -> tuple[Token, Token]:
    """Both tokens with their programs, which the route's pools know."""
    programs = {side.mint: side.token_program for leg in route.legs for side in leg.pool.sides}
    mint_in, mint_out = _mints(order)
    return Token(mint_in, programs[mint_in]), Token(mint_out, programs[mint_out])
