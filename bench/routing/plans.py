"""How long a plan takes: 24 candidates of all six programs, from decoded accounts to the plan of a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from statistics import median
from time import thread_time_ns

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError
from chalicelib.routing.market import MAX_LEGS
from chalicelib.routing.quote import MAX_REMAINING_ACCOUNTS, LegLimits, ask_pools
from chalicelib.routing.router import PairPools, Route, RouteLimits, best_routes
from chalicelib.routing.swap_plan import Trade, TransactionRoom, plan_swap
from chalicelib.solana.accounts import ChainClock
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint
from chalicelib.solana.transaction import OrderMemo
from chalicelib.venues.venue import Pool, PoolQuote
from infra.localnet.market.tokens import TOKENS
from testing.candidate_pools import CLOCK, CandidatePool, candidate_pools

SOLD = next(token.mint for token in TOKENS if token.symbol == "JUP")
BOUGHT = Mint(Pubkey(bytes([90] * 32)), TOKEN_PROGRAM, 6)
# What the deepest pool holds, in base units, and the parts of it that orders have.
DEPTH = 10**13
PARTS = (1_000, 100, 10, 1)
_LEG_COST = 10
_TRADE = Trade(Pubkey(bytes([5] * 32)), OrderMemo("00000000-0000-0000-0000-000000000000", 1), 2_039_280, "0")


@dataclass(frozen=True, slots=True)
class PlanTime:
    """An order of a part of the deepest pool: its legs, the quotes that it took, and milliseconds."""

    part: int
    legs: int
    quotes: int
    fastest: float
    usual: float
    quoting: float


def plan_times(rounds: int) -> list[PlanTime]:
    """Each size so many times, on pools that were never quoted before."""
    candidates = candidate_pools(SOLD, BOUGHT, DEPTH, Fraction(1, 5))
    return [_timed(candidates, part, rounds) for part in PARTS]


def _timed(candidates: list[CandidatePool], part: int, rounds: int) -> PlanTime:
    amount, times, quoting = DEPTH // part, list[float](), list[float]()
    noted = [_Noting(candidate.decoded()) for candidate in candidates]
    route = _planned(noted, amount)
    for _ in range(rounds):
        pools = [candidate.decoded() for candidate in candidates]
        begun = thread_time_ns()
        _planned(pools, amount)
        times.append((thread_time_ns() - begun) / 1e6)
        # the same quotes without the search, on pools that were never quoted either
        asked = [(candidate.decoded(), pool.asked) for candidate, pool in zip(candidates, noted, strict=True)]
        begun = thread_time_ns()
        for pool, amounts in asked:
            for each in amounts:
                with suppress(ExecutionError):
                    pool.quote(SOLD.address, each, CLOCK)
        quoting.append((thread_time_ns() - begun) / 1e6)
    quotes = sum(len(pool.asked) for pool in noted)
    return PlanTime(part, len(route.legs), quotes, min(times), median(times), min(quoting))


def _planned(pools: Sequence[Pool], amount: int) -> Route:
    """As the market and the trader do it: every pool's offer, the best route that fits, and its plan."""
    limits = RouteLimits(MAX_LEGS[1], _LEG_COST, TransactionRoom(1), LegLimits(MAX_REMAINING_ACCOUNTS[1]))
    ask_pools(pools, SOLD.address, amount, CLOCK)
    pair = PairPools(SOLD.address, BOUGHT.address, tuple(pools), (), CLOCK)
    route = best_routes(pair, amount, limits)[0]
    plan_swap(route, _TRADE, route.amount_out)
    return route


class _Noting:
    """A pool that notes which amounts it was asked about."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.program, self.dex, self.address, self.sides = pool.program, pool.dex, pool.address, pool.sides
        self.asked: list[int] = []

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        return self._pool.mid_price(mint_in)

    def rounding(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> int | None:
        return self._pool.rounding(mint_in, amount_in, clock)

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        self.asked.append(amount_in)
        return self._pool.quote(mint_in, amount_in, clock)

    def swap_instruction(
        self, quote: PoolQuote, *, trader: Pubkey, source: Pubkey, destination: Pubkey, minimum_out: int
    ) -> Instruction:
        return self._pool.swap_instruction(
            quote, trader=trader, source=source, destination=destination, minimum_out=minimum_out
        )
