"""What an order is worth, and how far its route's pools are from what other pools say. Pure, exact.

Prices are pools' mid prices: marginal, before fees, so that neither fees nor the order's own size are taken for a moved
market. Each has the weight of its depth, so that whoever moves a pool moves no more than that pool's word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from solders.pubkey import Pubkey

from chalicelib.amounts import PPM
from chalicelib.problems import AmountTooSmall, ExecutionError
from chalicelib.risk.limits import Exposure, PoolDeviation
from chalicelib.routing.depth import depth_of
from chalicelib.routing.market import PricedPair, Worth
from chalicelib.routing.quote import price_impact
from chalicelib.routing.router import Bridge, Hop, PairPools, Route
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.venue import Pool

# An order is valued and judged by pools of at least so large a part of what it trades.
_SAMPLE_PART = 100
_ONE_SOL = 1_000_000_000
# A pool is judged by others that together are at least so large a part of its own depth: thinner ones are moved for
# less than what moving it would cost, and would tell of themselves only.
_LEAST_PART_OF_DEPTH = 5
# A pool's own word has at most so large a part of the others' weight: where they agree they always outweigh it, and
# where they don't it takes the majority of the depth to be believed.
_MOST_OF_OTHERS = Fraction(1, 2)
# What stands for the deviation of a pool that no operator added and no other pool confirms: more than any limit allows.
_UNKNOWN = Fraction(10)


@dataclass(frozen=True, slots=True)
class PriceSource:
    """A price, in base units of the output per base unit of the input, and its weight: depth in units of the input."""

    price: Fraction
    depth: Fraction


def exposure_of(priced: PricedPair) -> Exposure:
    """What the priced route risks; fractions in millionths, rounded up."""
    route = priced.route
    deviations = pool_deviations(route, priced.pools)
    worst = _worst(deviations)
    return Exposure(
        value=value_of(priced),
        price_impact_ppm=_ppm(price_impact(route.ideal_out, route.amount_out)),
        deviation_ppm=None if worst is None else _ppm(worst),
        pools=tuple(
            PoolDeviation(str(pool), None if deviation is None else _ppm(deviation))
            for pool, deviation in deviations.items()
        ),
        lamport_value=lamport_value_of(priced),
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
    amount = route.amount_in if worth.mint == route.legs[0].quote.mint_in else route.amount_out
    return value_of_amount(worth, amount, priced.pools.clock)


def value_of_amount(worth: Worth, amount: int, clock: ChainClock) -> int | None:
    """`amount` base units of a token in those of the reference currency, rounded up; None where no pool tells.

    By the dearer half of each hop's pools.
    """
    value = Fraction(amount)
    for mint, pools in worth.hops:
        prices = _spot_prices(pools, mint, ceil(value), clock)
        if not prices:
            return None
        value *= sorted(prices)[len(prices) // 2]
    return ceil(value)


def lamport_value_of(priced: PricedPair) -> Fraction | None:
    """A lamport's value in reference base units, by the dearer half of SOL's pools; None where no pool tells."""
    if priced.sol_worth is None:
        return None
    value = Fraction(1)
    for mint, pools in priced.sol_worth.hops:
        prices = _spot_prices(pools, mint, ceil(value * _ONE_SOL), priced.pools.clock)
        if not prices:
            return None
        value *= sorted(prices)[len(prices) // 2]
    return value


def price_deviation(route: Route, pools: PairPools) -> Fraction | None:
    """How far the most deviant of the route's pools is from its reference, as a part of the lower of the two prices.

    None where no pool of the route has a reference. See `pool_deviations`.
    """
    return _worst(pool_deviations(route, pools))


def pool_deviations(route: Route, pools: PairPools) -> dict[Pubkey, Fraction | None]:
    """Of each of the route's pools how far its mid price is from its reference; None where it has none.

    The reference is the median, weighted by depth, of what the pair's other pools say, of the prices over SOL, USDC and
    USDT, and, with a limited weight, of the pool itself. There is none where all the others are too thin to be
    believed. Of a route over a third token each hop is judged so by the hop's other pools; a pool without any, by what
    the whole route's price is against the pair's own pools and the prices over other third tokens. Pools that no
    operator added say nothing, not even of themselves, and one that no other pool confirms is as far off as can be.
    """
    if len(route.hops) == 1:
        return _hop_deviations(route.hops[0], pools.direct, _cross_prices(route, pools), pools)
    own = next(bridge for bridge in pools.bridges if bridge.mint == route.hops[1].legs[0].quote.mint_in)
    found: dict[Pubkey, Fraction | None] = {}
    for hop, others in zip(route.hops, (own.first, own.second), strict=True):
        found |= _hop_deviations(hop, others, (), pools)
    if None in found.values():
        whole = _route_deviation(route, pools)
        found = {pool: whole if deviation is None else deviation for pool, deviation in found.items()}
    return found


def weighted_median(sources: Sequence[PriceSource]) -> Fraction:
    """The price below and above which at most half of the depth lies; in the middle where two prices are such.

    Whatever its price, a source of less than half of the whole depth can't take it out of the range of the others.
    """
    ordered = sorted(sources, key=lambda source: source.price)
    half = sum((source.depth for source in ordered), Fraction(0)) / 2
    passed = Fraction(0)
    for index, source in enumerate(ordered):
        passed += source.depth
        if passed > half:
            return source.price
        if passed == half:
            return (source.price + ordered[index + 1].price) / 2
    raise ValueError("a median needs a source with some depth")


def _hop_deviations(
    hop: Hop, others_of_hop: Iterable[Pool], crosses: Sequence[PriceSource], pools: PairPools
) -> dict[Pubkey, Fraction | None]:
    sources = _sources(_counted(others_of_hop, pools), hop.legs[0].quote.mint_in, pools.clock)
    found: dict[Pubkey, Fraction | None] = {}
    for leg in hop.legs:
        mint, amount = leg.quote.mint_in, leg.quote.amount_in
        judged = sources.get(leg.pool.address) or PriceSource(leg.pool.mid_price(mint), Fraction(0))
        others = [source for pool, source in sources.items() if pool != leg.pool.address]
        deviation = _deviation(judged, (*others, *crosses), amount)
        if deviation is None and leg.pool.address in pools.uncounted:
            deviation = _UNKNOWN  # nobody stands for it: it trades only where others confirm its price
        found[leg.pool.address] = deviation
    return found


def _route_deviation(route: Route, pools: PairPools) -> Fraction | None:
    """Of a route over a third token, as if it were one pool, as deep as its thinner hop."""
    depths: list[Fraction] = []
    reached = Fraction(1)
    for hop in route.hops:
        sources = _sources((leg.pool for leg in hop.legs), hop.legs[0].quote.mint_in, pools.clock)
        depths.append(_total_depth(sources.values()) / reached)
        reached *= hop.ideal_out / hop.amount_in
    direct = _sources(_counted(pools.direct, pools), pools.mint_in, pools.clock)
    others = (*direct.values(), *_cross_prices(route, pools))
    return _deviation(PriceSource(reached, min(depths)), others, route.amount_in)


def _deviation(judged: PriceSource, others: Sequence[PriceSource], amount: int) -> Fraction | None:
    total = _total_depth(others)
    if not total or total * _LEAST_PART_OF_DEPTH < judged.depth or total * _SAMPLE_PART < amount:
        return None
    own_word = PriceSource(judged.price, min(judged.depth, total * _MOST_OF_OTHERS))
    said = (*others, own_word) if own_word.depth else others
    return _apart(judged.price, weighted_median(said))


def _cross_prices(route: Route, pools: PairPools) -> tuple[PriceSource, ...]:
    """The pair's prices over third tokens by pools that the route doesn't use, each as deep as its thinner half."""
    used = {leg.pool.address for leg in route.legs}
    crosses = (
        _cross_price(bridge, pools)
        for bridge in pools.bridges
        if not used & {pool.address for pool in (*bridge.first, *bridge.second)}
    )
    return tuple(cross for cross in crosses if cross is not None)


def _cross_price(bridge: Bridge, pools: PairPools) -> PriceSource | None:
    first = tuple(_sources(_counted(bridge.first, pools), pools.mint_in, pools.clock).values())
    second = tuple(_sources(_counted(bridge.second, pools), bridge.mint, pools.clock).values())
    if not first or not second:
        return None
    between = weighted_median(first)
    depth = min(_total_depth(first), _total_depth(second) / between)
    return PriceSource(between * weighted_median(second), depth)


def _counted(among: Iterable[Pool], pools: PairPools) -> Iterable[Pool]:
    """Those whose word counts."""
    return (pool for pool in among if pool.address not in pools.uncounted)


def _sources(pools: Iterable[Pool], mint_in: Pubkey, clock: ChainClock) -> Mapping[Pubkey, PriceSource]:
    """What each pool says, by its address; one that doesn't trade both ways now says nothing."""
    found: dict[Pubkey, PriceSource] = {}
    for pool in pools:
        try:
            price = pool.mid_price(mint_in)
        except ExecutionError:
            continue
        depth = depth_of(pool, mint_in, price, clock) if price > 0 else 0
        if depth:
            found[pool.address] = PriceSource(price, Fraction(depth))
    return found


def _total_depth(sources: Iterable[PriceSource]) -> Fraction:
    return sum((source.depth for source in sources), Fraction(0))


def _worst(deviations: Mapping[Pubkey, Fraction | None]) -> Fraction | None:
    return max((deviation for deviation in deviations.values() if deviation is not None), default=None)


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


def _ppm(fraction: Fraction) -> int:
    return ceil(fraction * PPM)
