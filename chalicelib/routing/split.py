"""Divide one input over several pools so that together they pay most. Pure integers, no pool-specific formula.

Every pool's output is concave in its input but for rounding: the more goes in, the worse the next unit is paid. At the
best division the next unit is paid alike everywhere, and moving any amount from one pool to another loses. The search
moves amounts from where the last ones are paid worst to where the next ones are paid best, in steps that halve from
the whole input down to a single unit, with the programs' exact outputs at every step. Small inputs, where rounding
rules, are searched completely.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

# Up to this input all divisions are tried: beyond, the search's error is below the rounding of the outputs.
EXHAUSTIVE_INPUT = 1024
SETTLED_UNITS = 32
_IMPOSSIBLE = -1


@dataclass(slots=True)
class Outlet:
    """A pool as the search sees it: base units out for base units in, None where the pool can't take that much.

    A leg that would be paid nothing counts as impossible, for the program refuses it.
    """

    pay: Callable[[int], int | None]
    _paid: dict[int, int] = field(default_factory=lambda: {0: 0})

    def paid(self, amount: int) -> int:
        """Output for `amount`, or _IMPOSSIBLE."""
        known = self._paid.get(amount)
        if known is None:
            known = self._paid[amount] = self.pay(amount) or _IMPOSSIBLE
        return known

    def capacity(self, limit: int) -> int:
        """The most, up to `limit`, that the pool takes."""
        if self.paid(limit) > 0:
            return limit
        low, high = 0, limit
        while high - low > 1:
            middle = (low + high) // 2
            too_much = self.paid(middle) == _IMPOSSIBLE and self.pay(middle) is None
            low, high = (low, middle) if too_much else (middle, high)
        return low if self.paid(low) > 0 else 0


@dataclass(frozen=True, slots=True)
class Division:
    """How much goes into each outlet, in the outlets' order, and what comes out of all."""

    amounts: tuple[int, ...]
    amount_out: int

    @property
    def legs(self) -> int:
        return sum(1 for amount in self.amounts if amount)


def divide(outlets: Sequence[Outlet], amount: int, max_legs: int, leg_cost: int) -> Division | None:
    """The division of exactly `amount` base units that pays most; None where the outlets can't take it all.

    At most `max_legs` outlets are used, and one more only if it gains more than `leg_cost` output units.
    """
    if amount <= EXHAUSTIVE_INPUT:
        return _try_all(outlets, amount, max_legs, leg_cost)
    used = list(range(len(outlets)))
    best = _climb(outlets, used, amount)
    while best is not None and best.legs > 1:
        fewer = _without_one_leg(outlets, best, amount)
        if fewer is None or (best.legs <= max_legs and fewer.amount_out + leg_cost < best.amount_out):
            break
        best = fewer
    return best if best is not None and best.legs <= max_legs else None


def _without_one_leg(outlets: Sequence[Outlet], division: Division, amount: int) -> Division | None:
    """The best division after giving up one of its legs."""
    legs = [index for index, part in enumerate(division.amounts) if part]
    candidates = [_climb(outlets, [leg for leg in legs if leg != given_up], amount) for given_up in legs]
    return max(
        (candidate for candidate in candidates if candidate is not None),
        key=lambda candidate: candidate.amount_out,
        default=None,
    )


def _climb(outlets: Sequence[Outlet], used: Sequence[int], amount: int) -> Division | None:
    """Hill climbing with halving steps over the outlets `used`."""
    amounts = _start(outlets, used, amount)
    if amounts is None:
        return None
    step = amount // 2
    while step:
        while _move(outlets, used, amounts, step):
            pass
        step //= 2
    _settle(outlets, used, amounts)
    return Division(tuple(amounts), sum(outlet.paid(part) for outlet, part in zip(outlets, amounts, strict=True)))


def _start(outlets: Sequence[Outlet], used: Sequence[int], amount: int) -> list[int] | None:
    """All into the outlet that pays most for all; where none takes it all, fill the roomiest first."""
    amounts = [0] * len(outlets)
    whole = max(used, key=lambda index: outlets[index].paid(amount))
    if outlets[whole].paid(amount) > 0:
        amounts[whole] = amount
        return amounts
    left = amount
    rooms = {index: outlets[index].capacity(amount) for index in used}
    for index in sorted(used, key=lambda index: -rooms[index]):
        part = min(rooms[index], left)
        if part and outlets[index].paid(part) > 0:
            amounts[index] = part
            left -= part
    return None if left else amounts


def _move(outlets: Sequence[Outlet], used: Sequence[int], amounts: list[int], step: int) -> bool:
    """Move `step` from where it is paid worst to where it is paid best, if that gains; says whether it did."""
    best_gain = 0
    best_move: tuple[int, int] | None = None
    costs = {}
    for giver in used:
        if amounts[giver] >= step:
            outlet = outlets[giver]
            left = outlet.paid(amounts[giver] - step)
            if left != _IMPOSSIBLE:
                costs[giver] = outlet.paid(amounts[giver]) - left
    if not costs:
        return False
    cheapest = sorted(costs, key=lambda giver: costs[giver])[:2]
    for taker in used:
        more = outlets[taker].paid(amounts[taker] + step)
        if more == _IMPOSSIBLE:
            continue
        givers = [giver for giver in cheapest if giver != taker]
        if not givers:
            continue
        giver = givers[0]
        gain = more - outlets[taker].paid(amounts[taker]) - costs[giver]
        if gain > best_gain:
            best_gain, best_move = gain, (giver, taker)
    if best_move is None:
        return False
    giver, taker = best_move
    amounts[giver] -= step
    amounts[taker] += step
    return True


def _settle(outlets: Sequence[Outlet], used: Sequence[int], amounts: list[int]) -> None:
    """Try the near neighbours, unit by unit: that close to the best, rounding makes little hills of its own."""
    for giver in used:
        for taker in used:
            if giver == taker or not amounts[giver] or not amounts[taker]:
                continue
            together = [
                (outlets[giver].paid(amounts[giver] - shift), outlets[taker].paid(amounts[taker] + shift), shift)
                for shift in range(min(SETTLED_UNITS, amounts[giver]))
            ]
            gains = [(left + more, -shift) for left, more, shift in together if left > 0 and more > 0]
            shift = -max(gains)[1] if gains else 0
            amounts[giver] -= shift
            amounts[taker] += shift


def _try_all(outlets: Sequence[Outlet], amount: int, max_legs: int, leg_cost: int) -> Division | None:
    """The best of all divisions, by dynamic programming over the outlets; each leg is charged `leg_cost`.

    Of equally good ones, the one with the fewest legs.
    """
    # best[legs][taken] is the most that `taken` is worth over the outlets so far, with the parts that make it
    best: list[dict[int, tuple[int, tuple[int, ...]]]] = [{} for _ in range(max_legs + 1)]
    best[0][0] = (0, ())
    for outlet in outlets:
        payments = [(part, outlet.paid(part)) for part in range(1, amount + 1)]
        payments = [(part, paid - leg_cost) for part, paid in payments if paid > 0]
        following = [{taken: (worth, (*parts, 0)) for taken, (worth, parts) in level.items()} for level in best]
        for legs, level in enumerate(best[:max_legs]):
            target = following[legs + 1]
            for taken, (worth, parts) in level.items():
                room = amount - taken
                for part, gain in payments:
                    if part > room:
                        break
                    known = target.get(taken + part)
                    if known is None or worth + gain > known[0]:
                        target[taken + part] = (worth + gain, (*parts, part))
        best = following
    found = [level[amount] for level in best if amount in level]
    if not found:
        return None
    _, parts = max(found, key=lambda entry: entry[0])
    return Division(parts, sum(outlet.paid(part) for outlet, part in zip(outlets, parts, strict=True)))
