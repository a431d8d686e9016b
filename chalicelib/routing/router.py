"""The best way through the pools: one pool, several at once, or two in a row. Pure: pools in, a route out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from solders.pubkey import Pubkey

from chalicelib.amounts import PPM, ceil_div
from chalicelib.problems import (
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    NoPool,
    PermanentError,
    TransientError,
)
from chalicelib.routing.quote import (
    MAX_SWAP_COMPUTE_UNITS,
    WHOLE_TRANSACTION,
    LegLimits,
    PoolPayment,
    ask_pools,
    quote_pool,
)
from chalicelib.routing.split import Outlet, divide
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.venue import Pool, PoolQuote


@dataclass(frozen=True, slots=True)
class RouteLeg:
    """One pool's part in the route. `share_ppm`: its part of its hop's input, in millionths."""

    pool: Pool
    quote: PoolQuote
    share_ppm: int


@dataclass(frozen=True, slots=True)
class Hop:
    """Legs that together turn all of one token into another."""

    legs: tuple[RouteLeg, ...]

    @property
    def amount_in(self) -> int:
        return sum(leg.quote.amount_in for leg in self.legs)

    @property
    def amount_out(self) -> int:
        return sum(leg.quote.amount_out for leg in self.legs)

    @property
    def ideal_out(self) -> Fraction:
        """What the legs' inputs would bring at their pools' mid prices."""
        return sum((leg.pool.mid_price(leg.quote.mint_in) * leg.quote.amount_in for leg in self.legs), Fraction(0))


@dataclass(frozen=True, slots=True)
class Route:
    """One hop, or two of which the second takes in exactly what the first pays out; all in one transaction."""

    hops: tuple[Hop, ...]

    @property
    def legs(self) -> tuple[RouteLeg, ...]:
        return tuple(leg for hop in self.hops for leg in hop.legs)

    @property
    def amount_in(self) -> int:
        return self.hops[0].amount_in

    @property
    def amount_out(self) -> int:
        return self.hops[-1].amount_out

    @property
    def ideal_out(self) -> Fraction:
        """The output at mid prices all the way."""
        ideal = Fraction(self.amount_in)
        for hop in self.hops:
            ideal *= hop.ideal_out / hop.amount_in
        return ideal

    def floors(self, min_out: int) -> tuple[int, ...]:
        """Each leg's own floor, in the legs' order, so that all legs together guarantee `min_out`.

        The first of two hops must pay what it quoted, for the second spends just that: a unit less and the whole
        transaction fails, a unit more stays in the wallet.
        """
        floors = [leg.quote.amount_out for hop in self.hops[:-1] for leg in hop.legs]
        last, promised = self.hops[-1], 0
        for leg in last.legs:
            # rounded up, so that what is left for the last leg is no more than its share
            share = min(ceil_div(min_out * leg.quote.amount_out, last.amount_out), min_out - promised)
            floors.append(max(share, 1))
            promised += share
        return tuple(floors)


@dataclass(frozen=True, slots=True)
class Bridge:
    """The pools of a way over a third token."""

    mint: Pubkey
    first: tuple[Pool, ...]
    second: tuple[Pool, ...]


@dataclass(frozen=True, slots=True)
class PairPools:
    """All pools that can serve one pair, read at one slot."""

    mint_in: Pubkey
    mint_out: Pubkey
    direct: tuple[Pool, ...]
    bridges: tuple[Bridge, ...]
    clock: ChainClock


@dataclass(frozen=True, slots=True)
class RouteLimits:
    """`max_legs` at most; `leg_cost`: what one more leg must gain, in base units of the output.

    `fits` tells whether one transaction can carry a route.
    """

    max_legs: int
    leg_cost: int
    fits: Callable[[Route], bool]

    def worth(self, route: Route) -> int:
        """What the route pays, less what its legs but one cost."""
        return route.amount_out - self.leg_cost * (len(route.legs) - 1)


def best_routes(pools: PairPools, amount: int, limits: RouteLimits) -> tuple[Route, ...]:
    """The best route of each way, at least one, the best of all first: over the pair's own pools, over a third token.

    Each pays what it can for exactly `amount` base units, after the cost of its legs.

    Raises:
        NoPool: no pool of the pair, nor of a way over a third token.
        TransientError: none quotes now, but one may soon (closed, not open yet); AccountsMissing among them.
        AmountTooSmall, InsufficientLiquidity: none can, and waiting won't help.
    """
    found = [_direct(pools, amount, limits), *(_over(bridge, pools, amount, limits) for bridge in pools.bridges)]
    routes = [route for route in found if route is not None]
    if not routes:
        raise _why_none(pools, amount)
    # of equal ones the first, so that every worker chooses alike: the direct one before those over a third token
    return tuple(sorted(routes, key=limits.worth, reverse=True))


def _direct(pools: PairPools, amount: int, limits: RouteLimits) -> Route | None:
    """Over the pair's own pools.

    Where one transaction can't carry that, the longest legs are cut, so that more goes to others, or there are fewer.
    """
    found: list[Route] = []
    while limits.max_legs:
        leg_limits = WHOLE_TRANSACTION
        whole = hop = _split_hop(pools, amount, limits, leg_limits)
        while hop is not None and not _is_carried(Route((hop,)), limits):
            leg_limits = _tightened(leg_limits, hop)
            hop = _split_hop(pools, amount, limits, leg_limits)
        if hop is not None:
            found.append(Route((hop,)))
        if whole is None or hop is whole:
            break
        limits = replace(limits, max_legs=len(whole.legs) - 1)
    return max(found, key=limits.worth, default=None)


def _is_carried(route: Route, limits: RouteLimits) -> bool:
    return sum(leg.quote.compute_units for leg in route.legs) <= MAX_SWAP_COMPUTE_UNITS and limits.fits(route)


def _tightened(limits: LegLimits, hop: Hop) -> LegLimits:
    """Limits that the longest of the hop's legs don't keep: they will be shorter, or not be."""
    units = [leg.quote.compute_units for leg in hop.legs]
    if sum(units) > MAX_SWAP_COMPUTE_UNITS:
        return replace(limits, compute_units=_level(units, MAX_SWAP_COMPUTE_UNITS))
    return replace(limits, remaining_accounts=max(len(leg.quote.remaining_accounts) for leg in hop.legs) - 1)


def _level(heights: Sequence[int], total: int) -> int:
    """To what all that is higher must come down for the sum to come down to `total`."""
    left = total
    for number, height in enumerate(sorted(heights)):
        share = left // (len(heights) - number)
        if height > share:
            return share
        left -= height
    return max(heights)


def _split_hop(pools: PairPools, amount: int, limits: RouteLimits, leg_limits: LegLimits) -> Hop | None:
    """All of `amount` over some of the direct pools, in order of their addresses; None where they can't take it."""
    if leg_limits.remaining_accounts < 0 or not pools.direct:
        return None
    ordered = sorted(pools.direct, key=lambda pool: bytes(pool.address))
    outlets = [Outlet(PoolPayment(pool, pools.mint_in, pools.clock, leg_limits)) for pool in ordered]
    division = divide(outlets, amount, limits.max_legs, limits.leg_cost)
    if division is None:
        return None
    parts = [(pool, part) for pool, part in zip(ordered, division.amounts, strict=True) if part]
    return _hop(parts, pools.mint_in, pools.clock)


def _over(bridge: Bridge, pools: PairPools, amount: int, limits: RouteLimits) -> Route | None:
    """Over a third token, by the pair of pools that pays most and fits."""
    if limits.max_legs < 2:
        return None
    routes = [
        Route((_hop([(first.pool, amount)], pools.mint_in, pools.clock), second_hop))
        for first in ask_pools(bridge.first, pools.mint_in, amount, pools.clock)
        if first.quote is not None
        for second_hop in _single_hops(bridge.second, bridge.mint, first.quote.amount_out, pools.clock)
    ]
    routes.sort(key=lambda route: (-route.amount_out, [bytes(leg.pool.address) for leg in route.legs]))
    return next((route for route in routes if _is_carried(route, limits)), None)


def _single_hops(pools: Sequence[Pool], mint_in: Pubkey, amount: int, clock: ChainClock) -> list[Hop]:
    offers = ask_pools(pools, mint_in, amount, clock)
    return [_hop([(offer.pool, amount)], mint_in, clock) for offer in offers if offer.quote is not None]


def _hop(parts: Sequence[tuple[Pool, int]], mint_in: Pubkey, clock: ChainClock) -> Hop:
    total, taken, shared, legs = sum(part for _, part in parts), 0, 0, []
    for pool, part in parts:
        taken += part
        share = taken * PPM // total - shared
        shared += share
        legs.append(RouteLeg(pool, quote_pool(pool, mint_in, part, clock), share))
    return Hop(tuple(legs))


def _why_none(pools: PairPools, amount: int) -> ExecutionError:
    """The most telling refusal: one that may pass first, then too little liquidity, then too small."""
    offers = ask_pools(pools.direct, pools.mint_in, amount, pools.clock)
    for bridge in pools.bridges:
        first_offers = ask_pools(bridge.first, pools.mint_in, amount, pools.clock)
        paid = [offer.quote.amount_out for offer in first_offers if offer.quote is not None]
        offers += first_offers
        if paid:
            offers += ask_pools(bridge.second, bridge.mint, max(paid), pools.clock)
    refusals = [offer.refusal for offer in offers if offer.refusal is not None]
    for kind in (TransientError, InsufficientLiquidity, AmountTooSmall, PermanentError):
        for refusal in refusals:
            if isinstance(refusal, kind):
                return refusal
    if offers:
        return InsufficientLiquidity("the pools would pay, but by no way that one transaction can carry")
    return NoPool("no pool trades this pair")
