"""What many amounts would be paid in one direction of a pair, all from one read, with as few routes as can be. Pure.

A route for each amount takes milliseconds. Bounds tell most of what those who wait for a price want to know:

- **At least** the best single pool's payment is paid, for the route is never worth less than the best that it was
  chosen from, and a single pool is among these and costs no second leg.
- **At most** the largest is paid of what the pair's own pools pay together, and, for each third token, what the pools
  to it and then those from it do. A pool pays less for a unit as more is sold, but for rounding (`Pool.rounding`).
  Take the best division of an amount a over some pools, and a smaller amount x: its parts, scaled down by x / a, are
  together paid at least x / a of what a is, less each pool's rounding and a unit of the input that each part may lose.
  The best division of x pays no less. So a is paid at most a / x of what x is paid, with that rounding.

tests/unit/test_many_amounts.py compares both with the route of every amount, at pools of all venues.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from math import ceil

from solders.pubkey import Pubkey

from chalicelib.problems import AccountsMissing, ExecutionError
from chalicelib.routing.outlet import Outlet
from chalicelib.routing.quote import PoolPayment, ask_pools
from chalicelib.routing.router import Bridge, PairPools, Route, RouteLimits, best_routes
from chalicelib.routing.split import divide
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.venue import Pool

# A sample serves amounts up to this part above it: what each unit more is paid hardly differs so near.
_PARTS = 50
# Amounts are u64.
_MORE_THAN_ANY = 1 << 128


class ManyAmounts:
    """One direction's answers. `limits_of` gives the limits of a route for an amount; `largest` is the most asked for.

    Amounts are base units. Raises AccountsMissing where quotes of the largest amount need more than was read.
    """

    def __init__(self, pools: PairPools, limits_of: Callable[[int], RouteLimits], largest: int) -> None:
        self._pools = pools
        self._limits_of = limits_of
        self._routes: dict[int, Route | None] = {}
        leg = limits_of(largest).leg
        self._direct = [PoolPayment(pool, pools.mint_in, pools.clock, leg) for pool in pools.direct]
        ask_pools(pools.direct, pools.mint_in, largest, pools.clock)
        self._together = _Together(pools.direct, pools.mint_in, largest, pools.clock)
        self._over = [self._hops(bridge, largest) for bridge in pools.bridges]

    def _hops(self, bridge: Bridge, largest: int) -> tuple[_Together, _Together]:
        """The pools to the third token, and those from it for the most that can reach it. Raises AccountsMissing."""
        pools = self._pools
        offers = ask_pools(bridge.first, pools.mint_in, largest, pools.clock)
        first = _Together(bridge.first, pools.mint_in, largest, pools.clock)
        first.sample(largest)
        most = first.at_most(largest)
        if most is None:
            most = sum(offer.quote.amount_out for offer in offers if offer.quote is not None)
        if most:
            ask_pools(bridge.second, bridge.mint, most, pools.clock)
        return first, _Together(bridge.second, bridge.mint, most, pools.clock)

    def route(self, amount: int) -> Route | None:
        """The best route as `best_routes` finds it; None where none pays. Raises AccountsMissing."""
        if amount not in self._routes:
            try:
                self._routes[amount] = best_routes(self._pools, amount, self._limits_of(amount))[0]
            except AccountsMissing:
                raise
            except ExecutionError:
                self._routes[amount] = None
        return self._routes[amount]

    def paid(self, amount: int) -> int | None:
        """What the best route pays; None where there is none. Raises AccountsMissing."""
        route = self.route(amount)
        return None if route is None else route.amount_out

    @property
    def routes_found(self) -> int:
        """How many amounts a route was looked for."""
        return len(self._routes)

    def at_least(self, amount: int) -> int:
        """What the route pays at least, if there is one; 0 where only finding it tells."""
        return max((pay(amount) or 0 for pay in self._direct), default=0)

    def may_pay(self, amount: int, least: int) -> bool:
        """Whether the route may pay `least` or more; False is certain."""
        return self._together.may_pay(amount, least) or any(
            _may_pay_over(first, second, amount, least) for first, second in self._over
        )


class _Together:
    """What some pools of a direction pay together at most, for amounts up to `largest`."""

    def __init__(self, pools: Sequence[Pool], mint_in: Pubkey, largest: int, clock: ChainClock) -> None:
        self._pays = [PoolPayment(pool, mint_in, clock) for pool in pools]
        self._slack = _rounding_of_all(pools, mint_in, largest, clock)
        self.largest = largest
        # By amount, in their order: the most that is paid for it.
        self._sampled: list[tuple[int, int]] = []

    def may_pay(self, amount: int, least: int) -> bool:
        """Whether `least` or more may be paid; False is certain."""
        if not self._pays:
            return False
        most = self.at_most(amount)
        if most is not None and most < least:
            return False
        most = self.at_most(amount) if self.sample(amount) else most
        return most is None or most >= least

    def at_most(self, amount: int) -> int | None:
        """What is paid at most, as far as the samples tell; None where they tell nothing."""
        place = bisect_right(self._sampled, (amount, _MORE_THAN_ANY))
        if self._slack is None or not place or amount > self.largest:
            return None
        sampled, paid = self._sampled[place - 1]
        return -(-(paid + self._slack) * amount // sampled)

    def sample(self, amount: int) -> bool:
        """Divide `amount` over the pools, unless there is a sample that is as good; whether one came."""
        if self._slack is None or not self._pays or not 0 < amount <= self.largest:
            return False
        place = bisect_right(self._sampled, (amount, _MORE_THAN_ANY))
        if place and amount * _PARTS <= self._sampled[place - 1][0] * (_PARTS + 1):
            return False
        division = divide([Outlet(pay) for pay in self._pays], amount, len(self._pays), 0)
        if division is None:
            return False
        # what the search itself may miss is no more than rounding
        insort(self._sampled, (amount, division.amount_out + self._slack))
        return True


def _may_pay_over(first: _Together, second: _Together, amount: int, least: int) -> bool:
    """Whether `least` may be paid by the second pools for what the first pay."""
    between = first.at_most(amount)
    if between is not None:
        most = second.at_most(min(between, second.largest))
        if most is not None and most < least:
            return False
    if first.sample(amount):
        between = first.at_most(amount)
    return between is None or second.may_pay(min(between, second.largest), least)


def _rounding_of_all(pools: Sequence[Pool], mint_in: Pubkey, largest: int, clock: ChainClock) -> int | None:
    """The roundings of all these pools, and of each a unit of the input more; None: no bound holds."""
    total = 0
    for pool in pools:
        try:
            rounding = pool.rounding(mint_in, largest, clock)
            unit = ceil(pool.mid_price(mint_in))
        except AccountsMissing:
            return None
        except ExecutionError:
            continue  # it takes no swap at all
        if rounding is None:
            return None
        total += rounding + unit
    return total
