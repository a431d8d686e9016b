"""Which of many registered pools a plan looks at: of each hop the deepest, as far as they are known. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError
from chalicelib.routing.depth import depth_of
from chalicelib.routing.router import PairPools
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.registry import RegisteredPool
from chalicelib.venues.venue import Pool

# How many pools of a pair, and of each hop over a third token, take part.
MAX_CANDIDATES = 24
# Of a pair with more, so many whose depth isn't known take the places of the least deep, and become known by it.
EXPLORED = 4
# How many pools' depths are worked out in one plan, and how long one is good for.
MEASURED_A_PLAN = 8
DEPTH_LIVES_MS = 600_000
# What a pool is thought to need that wasn't read yet: itself, two vaults, two mints, what its program keeps besides.
_USUAL_ACCOUNTS = 8
# The pair's own pools come first, up to this part of what is read, ...
_OWN_PART = 2
# ... and so many of each hop to the reference currency before all: without them an order has no value.
_VALUING = 2


@dataclass(frozen=True, slots=True)
class _Depth:
    """In base units of the pair's first mint, as it was at a time."""

    amount: int
    at_ms: int


class KnownDepths:
    """How deep pools were when they were last read."""

    def __init__(self) -> None:
        self._known: dict[Pubkey, _Depth] = {}

    def deepest(self, pools: Sequence[RegisteredPool], now_ms: int) -> tuple[RegisteredPool, ...]:
        """At most MAX_CANDIDATES of one pair's pools: those that operators added first, then the deeper first.

        Pools of which nothing is known come after the others, a few of them in any case where there are too many.
        """
        ranked = sorted(pools, key=lambda pool: (not pool.counts, -self._amount(pool.address)))
        if len(ranked) <= MAX_CANDIDATES:
            return tuple(ranked)
        unknown = [pool for pool in ranked if not self._is_fresh(pool.address, now_ms)]
        explored = unknown[:EXPLORED]
        known = [pool for pool in ranked if pool not in explored]
        return (*known[: MAX_CANDIDATES - len(explored)], *explored)

    def measure(self, pools: PairPools, now_ms: int) -> None:
        """Note the depths of some of the pools that were read, those first that are known least."""
        listed = [*pools.direct, *(pool for bridge in pools.bridges for pool in (*bridge.first, *bridge.second))]
        stale = [pool for pool in listed if not self._is_fresh(pool.address, now_ms)]
        for pool in sorted(stale, key=self._measured_at)[:MEASURED_A_PLAN]:
            self._known[pool.address] = _Depth(_depth(pool, pools.clock), now_ms)

    def _amount(self, pool: Pubkey) -> int:
        known = self._known.get(pool)
        return -1 if known is None else known.amount

    def _is_fresh(self, pool: Pubkey, now_ms: int) -> bool:
        known = self._known.get(pool)
        return known is not None and now_ms - known.at_ms <= DEPTH_LIVES_MS

    def _measured_at(self, pool: Pool) -> int:
        known = self._known.get(pool.address)
        return -1 if known is None else known.at_ms


def within_accounts(
    own: Sequence[Sequence[RegisteredPool]],
    hops: Sequence[Sequence[RegisteredPool]],
    valuing: Sequence[Sequence[RegisteredPool]],
    needed: Callable[[Pubkey], frozenset[Pubkey] | None],
    most_accounts: int,
) -> frozenset[Pubkey]:
    """The pools, of rows with the best first, that so many accounts hold: what values an order, its own pair, the rest.

    `needed` tells which accounts a pool needed last time, None where nobody knows.
    """
    held: set[Pubkey] = set()
    taken: dict[Pubkey, None] = {}
    unknown = 0

    def take(pools: Iterable[RegisteredPool], most: int) -> None:
        nonlocal unknown
        for pool in pools:
            if pool.address in taken:
                continue
            accounts = needed(pool.address)
            guessed = unknown + (_USUAL_ACCOUNTS if accounts is None else 0)
            together = held if accounts is None else held | accounts
            if len(together) + guessed <= most:
                taken[pool.address] = None
                held.update(accounts or ())
                unknown = guessed

    take((pool for row in valuing for pool in row[:_VALUING]), most_accounts)
    take(_by_turns(own), most_accounts // _OWN_PART)
    take(_by_turns((*own, *hops, *valuing)), most_accounts)
    return frozenset(taken)


def _by_turns(rows: Sequence[Sequence[RegisteredPool]]) -> Iterable[RegisteredPool]:
    """The first of each row, then the second of each, ..."""
    for rank in range(max(map(len, rows), default=0)):
        yield from (row[rank] for row in rows if rank < len(row))


def _depth(pool: Pool, clock: ChainClock) -> int:
    mint = min((side.mint for side in pool.sides), key=bytes)
    try:
        price = pool.mid_price(mint)
    except ExecutionError:
        return 0
    return depth_of(pool, mint, price, clock) if price > 0 else 0
