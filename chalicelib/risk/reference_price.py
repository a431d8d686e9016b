"""What an order is worth, and how far its route's prices are from those of pools that it doesn't use. Pure, exact.

Prices are pools' mid prices: marginal, before fees, so that neither fees nor the order's own size are taken for a moved
market. A pool counts only if it would take a hundredth of the amount now: an empty one has a mid price too, and it may
be anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import ceil

from solders.pubkey import Pubkey

from chalicelib.amounts import PPM
from chalicelib.problems import AmountTooSmall, ExecutionError
from chalicelib.risk.limits import Exposure
from chalicelib.routing.market import PricedPair
from chalicelib.routing.quote import price_impact
from chalicelib.routing.router import Hop, PairPools, Route
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.venue import Pool

# An order is judged by pools of at least so large a part of what it trades.
_SAMPLE_PART = 100


def exposure_of(priced: PricedPair) -> Exposure:
    """What the priced route risks; fractions in millionths, rounded up."""
    route = priced.route
    deviation = price_deviation(route, priced.pools)
    return Exposure(
        value=value_of(priced),
        price_impact_ppm=_ppm(price_impact(route.ideal_out, route.amount_out)),
        deviation_ppm=None if deviation is None else _ppm(deviation),
    )


def value_of(priced: PricedPair) -> int | None:
    """The order's value in base units of the reference currency, rounded up; None where no pool tells.

    It is what leaves the wallet, or what comes in where only that can be valued. Where pools disagree the dearer half
    counts: one pool that was moved can't make an order look smaller than two others say.
    """
    worth = priced.worth
    if worth is None:
        return None
    route = priced.route
    value = Fraction(route.amount_in if worth.mint == route.legs[0].quote.mint_in else route.amount_out)
    for mint, pools in worth.hops:
        prices = _spot_prices(pools, mint, ceil(value), priced.pools.clock)
        if not prices:
            return None
        value *= sorted(prices)[len(prices) // 2]
    return ceil(value)


def price_deviation(route: Route, pools: PairPools) -> Fraction | None:
    """How far the most deviant of the route's pools is from its reference, as a part of the lower of the two prices.

    The reference of a pool is the median of its pair's other pools; where it is the pair's only one, the price over
    third tokens, or, for a route over a third token, the pair's own pools. None where there is no reference.
    """
    if len(route.hops) == 1:
        return _worst(_deviations(route.hops[0], pools.direct, pools.clock), _cross_price(route, pools))
    own = next(bridge for bridge in pools.bridges if bridge.mint == route.hops[1].legs[0].quote.mint_in)
    hops = zip(route.hops, (own.first, own.second), strict=True)
    deviations = [_worst(_deviations(hop, others, pools.clock), None) for hop, others in hops]
    known = [deviation for deviation in deviations if deviation is not None]
    if len(known) == len(deviations):
        return max(known)
    direct = _spot_prices(pools.direct, pools.mint_in, route.amount_in, pools.clock)
    reference = _median(direct) if direct else _cross_price(route, pools)
    return None if reference is None else _apart(route.ideal_out / route.amount_in, reference)


def _deviations(hop: Hop, pools: Sequence[Pool], clock: ChainClock) -> list[tuple[Fraction, Fraction | None]]:
    """Of each of the hop's legs its pool's mid price, and how far that is from the pair's other pools."""
    found: list[tuple[Fraction, Fraction | None]] = []
    for leg in hop.legs:
        mint, mid = leg.quote.mint_in, leg.pool.mid_price(leg.quote.mint_in)
        others = [pool for pool in pools if pool.address != leg.pool.address]
        prices = _spot_prices(others, mint, leg.quote.amount_in, clock)
        reference = _median(prices) if prices else None
        found.append((mid, None if reference is None else _apart(mid, reference)))
    return found


def _worst(deviations: Iterable[tuple[Fraction, Fraction | None]], fallback: Fraction | None) -> Fraction | None:
    """The largest deviation; a pool without others is held to the `fallback` price, if there is one."""
    known: list[Fraction] = []
    for mid, deviation in deviations:
        if deviation is None:
            if fallback is None:
                return None
            deviation = _apart(mid, fallback)
        known.append(deviation)
    return max(known)


def _cross_price(route: Route, pools: PairPools) -> Fraction | None:
    """The pair's price over third tokens that the route doesn't go over: the median of those there are."""
    used = {leg.pool.address for leg in route.legs}
    crosses: list[Fraction] = []
    for bridge in pools.bridges:
        if used & {pool.address for pool in (*bridge.first, *bridge.second)}:
            continue
        first = _spot_prices(bridge.first, pools.mint_in, route.amount_in, pools.clock)
        if not first:
            continue
        between = _median(first)
        second = _spot_prices(bridge.second, bridge.mint, ceil(between * route.amount_in), pools.clock)
        if second:
            crosses.append(between * _median(second))
    return _median(crosses) if crosses else None


def _apart(price: Fraction, reference: Fraction) -> Fraction:
    """Alike both ways: half the price and twice the price are both one whole apart."""
    return max(price, reference) / min(price, reference) - 1


def _spot_prices(pools: Iterable[Pool], mint_in: Pubkey, amount: int, clock: ChainClock) -> list[Fraction]:
    """The mid prices of the pools that would take a hundredth of `amount` now."""
    sample = max(amount // _SAMPLE_PART, 1)
    prices: list[Fraction] = []
    for pool in pools:
        try:
            pool.quote(mint_in, sample, clock)
        except AmountTooSmall:
            pass  # too little to be paid for is no lack of depth
        except ExecutionError:
            continue
        try:
            price = pool.mid_price(mint_in)
        except ExecutionError:
            continue
        if price > 0:
            prices.append(price)
    return prices


def _median(prices: Sequence[Fraction]) -> Fraction:
    ordered, middle = sorted(prices), len(prices) // 2
    return ordered[middle] if len(prices) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _ppm(fraction: Fraction) -> int:
    return ceil(fraction * PPM)
