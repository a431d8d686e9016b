"""The best way through the pools: one pool, several at once, or two in a row. Pure: pools in, a route out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

from solders.pubkey import Pubkey

from chalicelib.amounts import PPM, ceil_div
from chalicelib.problems import (
    AccountsMissing,
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    NoPool,
    PermanentError,
    TransientError,
)
from chalicelib.routing.outlet import Outlet
from chalicelib.routing.quote import (
    MAX_SWAP_COMPUTE_UNITS,
    WHOLE_TRANSACTION,
    LegLimits,
    PoolOffer,
    PoolPayment,
    ask_pools,
    quote_pool,
)
from chalicelib.routing.split import divide
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.venue import Pool, PoolQuote

# Up to so many legs are few: every way to share them is tried, and each is cut before one is given up.
FEW_LEGS = 4
# What such a part of a leg is paid tells its marginal price.
_LAST_PART = 64
# In such steps of halvings an amount is sought that some pool takes.
_QUICKLY = 3


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
    # Those that may be traded, and say nothing of what a token is worth.
    uncounted: frozenset[Pubkey] = frozenset()


@dataclass(frozen=True, slots=True)
class RouteLimits:
    """`max_legs` at most; `leg_cost`: what one more leg must gain, in base units of the output.

    `fits` tells whether one transaction can carry a route; `leg` is what a single leg may use of one.
    """

    max_legs: int
    leg_cost: int
    fits: Callable[[Route], bool]
    leg: LegLimits = WHOLE_TRANSACTION

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
    direct = _Outlets(pools.direct, pools.mint_in, pools.clock)
    over = [
        (_Outlets(bridge.first, pools.mint_in, pools.clock), _Outlets(bridge.second, bridge.mint, pools.clock))
        for bridge in pools.bridges
    ]
    _check_read(over, amount, limits.leg)
    found = [_direct(direct, amount, limits), *(_over(first, second, amount, limits) for first, second in over)]
    routes = [route for route in found if route is not None]
    if not routes:
        raise _why_none(pools, amount, limits.leg)
    # of equal ones the first, so that every worker chooses alike: the direct one before those over a third token
    return tuple(sorted(routes, key=limits.worth, reverse=True))


class _Way(Protocol):
    """Builds the best route of one way: at most so many legs, each within its limits, over these pools alone, or all.

    None where there is none.
    """

    def __call__(self, max_legs: int, leg: LegLimits, among: frozenset[Pubkey] | None) -> Route | None: ...


def _best_carried(way: _Way, limits: RouteLimits, clock: ChainClock) -> Route | None:
    """The best route of the way that one transaction can carry.

    Where that isn't the best of all, of many legs those go that gain least for the room that they take. Of few the
    longest are cut, so that more goes to others, or there are fewer. Where hardly any stay of many, few of all pools
    are tried besides: the few that have room together may not take it all, or not for as much.
    """

    def tried(max_legs: int, leg: LegLimits, among: frozenset[Pubkey] | None) -> tuple[Route | None, bool]:
        """The way's best route, and whether one transaction can carry it: that takes long to tell."""
        route = way(max_legs, leg, among)
        return route, route is not None and _is_carried(route, limits)

    def shortened(route: Route | None, carried: bool, among: frozenset[Pubkey] | None) -> list[Route]:
        """The best that can be carried of as many legs as the route has, and of each number below until one fits."""
        found: list[Route] = []
        while route is not None:
            whole, leg_limits = route, limits.leg
            while route is not None and not carried:
                leg_limits = _tightened(leg_limits, route)
                if leg_limits.remaining_accounts < 0:
                    route = None
                else:
                    route, carried = tried(len(whole.legs), leg_limits, among)
            if route is not None:
                found.append(route)
            if route is whole or len(whole.legs) == 1:
                break
            route, carried = tried(len(whole.legs) - 1, limits.leg, among)
        return found

    among = None
    route, carried = tried(limits.max_legs, limits.leg, among)
    while route is not None and not carried and len(route.legs) > FEW_LEGS:
        among = _with_room(route, limits, clock)
        route, carried = tried(len(among), limits.leg, among)
    found = shortened(route, carried, among)
    if among is not None and (len(among) < FEW_LEGS or not found):
        found += shortened(*tried(FEW_LEGS, limits.leg, None), None)
    return max(found, key=limits.worth, default=None)


def _with_room(route: Route, limits: RouteLimits, clock: ChainClock) -> frozenset[Pubkey]:
    """The pools of the route's legs that one transaction can carry together, at least one fewer than all.

    Of each hop the leg that pays most goes in first, and then those that gain most of their hop's output; whatever
    there is no more room for stays out.
    """
    chosen = [[max(hop.legs, key=lambda leg: leg.quote.amount_out)] for hop in route.hops]
    gains = [
        (_gain(leg, clock) / hop.amount_out, number, leg)
        for number, hop in enumerate(route.hops)
        for leg in hop.legs
        if leg is not chosen[number][0]
    ]
    others = [(number, leg) for _, number, leg in sorted(gains, key=lambda gain: -gain[0])]

    def with_some(some: Sequence[tuple[int, RouteLeg]]) -> list[list[RouteLeg]]:
        return [[*legs, *(leg for of, leg in some if of == number)] for number, legs in enumerate(chosen)]

    def have_room(some: Sequence[tuple[int, RouteLeg]]) -> bool:
        return _is_carried(Route(tuple(Hop(tuple(legs)) for legs in with_some(some))), limits)

    # of the most there is no room for one more, so fewer tries find how many there is room for
    most = len(others) - 1
    first = bisect_left(range(1, most + 1), True, key=lambda count: not have_room(others[:count]))
    some = others[:first]
    for other in others[first + 1 :]:
        if have_room([*some, other]):
            some.append(other)
    return frozenset(leg.pool.address for legs in with_some(some) for leg in legs)


def _gain(leg: RouteLeg, clock: ChainClock) -> Fraction:
    """What the leg is paid more than if all of it were paid as its last units are."""
    quote = leg.quote
    last = max(quote.amount_in // _LAST_PART, 1)
    try:
        before = quote_pool(leg.pool, quote.mint_in, quote.amount_in - last, clock).amount_out
    except (AmountTooSmall, ValueError):
        return Fraction(quote.amount_out)
    return quote.amount_out - Fraction((quote.amount_out - before) * quote.amount_in, last)


def _direct(outlets: _Outlets, amount: int, limits: RouteLimits) -> Route | None:
    """Over the pair's own pools."""

    def way(max_legs: int, leg: LegLimits, among: frozenset[Pubkey] | None) -> Route | None:
        hop = outlets.hop(amount, max_legs, limits.leg_cost, leg, among)
        return None if hop is None else Route((hop,))

    return _best_carried(way, limits, outlets.clock) if limits.max_legs else None


def _over(first: _Outlets, second: _Outlets, amount: int, limits: RouteLimits) -> Route | None:
    """Over a third token, each hop split over its pools."""

    def with_legs(legs: int, others: int, leg: LegLimits, among: frozenset[Pubkey] | None) -> Route | None:
        """With at most so many legs in the first hop, and so many in the second."""
        between = first.about(amount, leg, among)
        bought = second.about(between, leg, among)
        if not bought:
            return None
        # what a leg costs, in the token between
        first_hop = first.hop(amount, legs, ceil_div(limits.leg_cost * between, bought), leg, among)
        second_hop = first_hop and second.hop(first_hop.amount_out, others, limits.leg_cost, leg, among)
        return None if first_hop is None or second_hop is None else Route((first_hop, second_hop))

    def way(max_legs: int, leg: LegLimits, among: frozenset[Pubkey] | None) -> Route | None:
        if max_legs < len((first, second)):
            return None
        free = with_legs(max_legs - 1, max_legs - 1, leg, among)
        if free is None or len(free.legs) <= max_legs:
            return free
        wanted = len(free.hops[0].legs)
        share = min(max(max_legs * wanted // len(free.legs), 1), max_legs - 1)
        shares = range(1, max_legs) if max_legs <= FEW_LEGS else (share,)
        found = (with_legs(legs, max_legs - legs, leg, among) for legs in shares)
        return max((route for route in found if route is not None), key=limits.worth, default=None)

    return _best_carried(way, limits, first.clock)


class _Outlets:
    """A hop's pools as the search for a split sees them, in order of their addresses; each amount is quoted once."""

    def __init__(self, pools: Sequence[Pool], mint_in: Pubkey, clock: ChainClock) -> None:
        self._pools = sorted(pools, key=lambda pool: bytes(pool.address))
        self._mint_in = mint_in
        self.clock = clock
        self._of_limits: dict[LegLimits, list[Outlet]] = {}

    def about(self, amount: int, leg: LegLimits, among: frozenset[Pubkey] | None) -> int:
        """About what the best pays for `amount`, by what one pays for that or for a part of it; 0 where none pays."""
        for halvings in range(0, amount.bit_length(), _QUICKLY):
            part = amount >> halvings
            if (paid := max((outlet.paid(part) for _, outlet in self._chosen(leg, among)), default=0)) > 0:
                return paid * amount // part
        return 0

    def hop(
        self, amount: int, max_legs: int, leg_cost: int, leg: LegLimits, among: frozenset[Pubkey] | None
    ) -> Hop | None:
        """All of `amount` over some of them; None where they can't take it."""
        chosen = self._chosen(leg, among)
        if not chosen:
            return None
        division = divide([outlet for _, outlet in chosen], amount, max_legs, leg_cost)
        if division is None:
            return None
        parts = [(pool, part) for (pool, _), part in zip(chosen, division.amounts, strict=True) if part]
        return _hop(parts, self._mint_in, self.clock)

    def best(self, amount: int, leg: LegLimits) -> int:
        """What the best pays for all of it, 0 where none does. Raises AccountsMissing with all that they still need."""
        paid, missing = 0, list[str]()
        for _, outlet in self._chosen(leg, None):
            try:
                paid = max(paid, outlet.paid(amount))
            except AccountsMissing as error:
                missing += error.addresses
        if missing:
            raise AccountsMissing(missing)
        return paid

    def _chosen(self, leg: LegLimits, among: frozenset[Pubkey] | None) -> list[tuple[Pool, Outlet]]:
        if leg not in self._of_limits:
            self._of_limits[leg] = [Outlet(PoolPayment(pool, self._mint_in, self.clock, leg)) for pool in self._pools]
        pairs = zip(self._pools, self._of_limits[leg], strict=True)
        return [(pool, outlet) for pool, outlet in pairs if among is None or pool.address in among]


def _is_carried(route: Route, limits: RouteLimits) -> bool:
    return sum(leg.quote.compute_units for leg in route.legs) <= MAX_SWAP_COMPUTE_UNITS and limits.fits(route)


def _tightened(limits: LegLimits, route: Route) -> LegLimits:
    """Limits that the longest of the route's legs don't keep: they will be shorter, or not be."""
    units = [leg.quote.compute_units for leg in route.legs]
    if sum(units) > MAX_SWAP_COMPUTE_UNITS:
        return replace(limits, compute_units=_level(units, MAX_SWAP_COMPUTE_UNITS))
    return replace(limits, remaining_accounts=max(len(leg.quote.remaining_accounts) for leg in route.legs) - 1)


def _level(heights: Sequence[int], total: int) -> int:
    """To what all that is higher must come down for the sum to come down to `total`."""
    left = total
    for number, height in enumerate(sorted(heights)):
        share = left // (len(heights) - number)
        if height > share:
            return share
        left -= height
    return max(heights)


def _hop(parts: Sequence[tuple[Pool, int]], mint_in: Pubkey, clock: ChainClock) -> Hop:
    total, taken, shared, legs = sum(part for _, part in parts), 0, 0, []
    for pool, part in parts:
        taken += part
        share = taken * PPM // total - shared
        shared += share
        legs.append(RouteLeg(pool, quote_pool(pool, mint_in, part, clock), share))
    return Hop(tuple(legs))


def _check_read(over: Sequence[tuple[_Outlets, _Outlets]], amount: int, leg: LegLimits) -> None:
    """Ask the pools of the ways over a third token for all that the best of a first hop pays.

    Raises AccountsMissing with all that they still need, so that one read brings it.
    """
    missing: list[str] = []
    for first, second in over:
        try:
            if paid := first.best(amount, leg):
                second.best(paid, leg)
        except AccountsMissing as error:
            missing += error.addresses
    if missing:
        raise AccountsMissing(missing)


def _ask_over(pools: PairPools, amount: int, limits: LegLimits) -> tuple[PoolOffer, ...]:
    """What the pools of the ways over a third token offer, for all that the best of a first hop pays."""
    offers: list[PoolOffer] = []
    for bridge in pools.bridges:
        first = ask_pools(bridge.first, pools.mint_in, amount, pools.clock, limits)
        offers += first
        if paid := max((offer.quote.amount_out for offer in first if offer.quote is not None), default=0):
            offers += ask_pools(bridge.second, bridge.mint, paid, pools.clock, limits)
    return tuple(offers)


def _why_none(pools: PairPools, amount: int, limits: LegLimits) -> ExecutionError:
    """The most telling refusal: one that may pass first, then too little liquidity, then too small."""
    offers = ask_pools(pools.direct, pools.mint_in, amount, pools.clock, limits) + _ask_over(pools, amount, limits)
    refusals = [offer.refusal for offer in offers if offer.refusal is not None]
    for kind in (TransientError, InsufficientLiquidity, AmountTooSmall, PermanentError):
        for refusal in refusals:
            if isinstance(refusal, kind):
                return refusal
    if offers:
        return InsufficientLiquidity("the pools would pay, but by no way that one transaction can carry")
    return NoPool("no pool trades this pair")
