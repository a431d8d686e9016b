"""Divide one input over several pools so that together they pay most. Pure integers, no pool-specific formula.

A pool's output is concave in its input, but for rounding and for the cap of a token's transfer fee: the more goes in,
the worse the next unit is paid. At the best division the next unit is paid alike everywhere, and moving any amount from
one pool to another loses. Three stages find it, with the programs' exact outputs:

1. All divisions on a coarse grid are tried, so that no bend of an output can lead the search astray.
2. From the best one, amounts move from where the last units are paid worst to where the next ones are paid best, in
   steps that halve down to a single unit. Legs that don't gain what they cost are given up.
3. So close to the best, rounding makes little hills of its own: there all divisions nearby are tried.

For a small input the first stage is all, with cells of a single unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from operator import add

from chalicelib.routing.basin import Basin
from chalicelib.routing.outlet import IMPOSSIBLE, Outlet
from chalicelib.routing.water_filling import Level, level

# Up to this input the cells of the grid are single units.
EXHAUSTIVE_INPUT = 512
GRID_CELLS = 16
# So little output that rounding makes hills everywhere: the grid is finer there.
SMALL_OUTPUT = 256
FINE_GRID_CELLS = 128
# Where a step seemed to change nothing, so many halves of it to either side are tried in all combinations.
PLATEAU_STEPS = 4
# In the end, so many steps to either side are tried in all combinations, ...
NEAR_STEPS = 8
# ... so many of which buy an output unit, where it takes more than so many input units.
UNIT_STEPS = 8
# Steps of this part of the input tell which legs are worth their cost: a finer division hardly pays any more.
COARSE_PARTS = 1024
# From this input and output on rounding makes hills only where the next unit is paid alike everywhere.
LARGE = 1 << 16
# Up to this input both ways are tried.
SURELY_LARGE = 1 << 24
# How many outlets are searched for a smaller input: those that pay most for it, and for a part of it.
SMALL_SEARCH = 8
# So many amounts about its own each leg tries for what rounding gives and takes, and so many where an input unit is
# worth more than a few output units, so that rounding takes more.
ROUNDING_TRIES, DEAR_ROUNDING_TRIES = 16, 64
DEAR_PRICE = 2
# What a leg gains is known about: it isn't looked at where it seems to be so many times what it costs.
DOUBT = 4
# The golden ratio in 32 bits: its multiples spread evenly, however many they are.
_GOLDEN = 0x9E3779B9


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

    At most `max_legs` outlets are used, and one more only if it gains more than `leg_cost` output units. Up to
    EXHAUSTIVE_INPUT no division is better. Beyond, of outputs that are concave but for rounding, each leg but one may
    miss what rounding takes from a leg: a base unit for each fee of the input, and one for the output.
    """
    if amount <= EXHAUSTIVE_INPUT:
        return _best_of_all(outlets, amount, max_legs, leg_cost)
    found = []
    if amount >= LARGE:
        found.append(_divide_large(outlets, amount, max_legs, leg_cost))
    if amount < SURELY_LARGE or None in found:
        found.append(_divide_small(outlets, amount, max_legs, leg_cost))
    possible = [division for division in found if division is not None]
    return max(possible, key=lambda division: division.amount_out - leg_cost * division.legs, default=None)


def _divide_large(outlets: Sequence[Outlet], amount: int, max_legs: int, leg_cost: int) -> Division | None:
    """The best division where rounding is small beside what is paid; None where it isn't, or it can't be found so."""
    single = _best_single(outlets, amount)
    if single is not None and single.amount_out < LARGE:
        return None
    basins = [Basin(outlet, index, amount) for index, outlet in enumerate(outlets)]
    found = level(basins, amount, max_legs)
    spread = None if found is None else _rounded(outlets, found)
    if found is None or spread is None or spread.amount_out < LARGE:
        return None
    while fewer := _without_a_doubtful_leg(outlets, basins, found, leg_cost):
        found, division = fewer
        if division.amount_out + leg_cost < spread.amount_out:
            break
        spread = division
    if single is not None and single.amount_out >= spread.amount_out - leg_cost * (spread.legs - 1):
        return single
    return spread


def _without_a_doubtful_leg(
    outlets: Sequence[Outlet], basins: Sequence[Basin], found: Level, leg_cost: int
) -> tuple[Level, Division] | None:
    """The best division without the leg that gains least, where that may be no more than `leg_cost`.

    Where the others have no room for all without that one, it is the one that gains least of these.
    """
    amount = sum(leg.amount for leg in found.legs)
    for doubtful in reversed(found.legs):
        others = [leg for leg in found.legs if leg is not doubtful]
        if not others or doubtful.gain > DOUBT * (leg_cost + 1 + found.price):
            return None
        fewer = level([basins[leg.index] for leg in others], amount, len(others))
        division = None if fewer is None else _rounded(outlets, fewer)
        if fewer is not None and division is not None:
            return fewer, division
    return None


def _rounded(outlets: Sequence[Outlet], found: Level) -> Division | None:
    """The level's division, each leg moved by so little that only rounding tells to where that gives most.

    All legs but the two flattest take the best of some amounts about their own, up and down by turns so that these add
    up to little; the two flattest take the best of such amounts together. None where a leg would be paid nothing.
    """
    amounts = [0] * len(outlets)
    for leg in found.legs:
        amounts[leg.index] = leg.amount
    if any(outlets[leg.index].paid(leg.amount) < 0 for leg in found.legs):
        return None
    moved = _moved_for_rounding(outlets, found, amounts)
    if min(moved) >= 0:
        paid = _payments(outlets, moved)
        if min(paid) >= 0 and sum(paid) > sum(_payments(outlets, amounts)):
            amounts = moved
    return _division(outlets, amounts)


def _moved_for_rounding(outlets: Sequence[Outlet], found: Level, amounts: Sequence[int]) -> list[int]:
    """The amounts, each leg's moved once."""
    moved = list(amounts)
    reach = sorted(leg.plateau for leg in found.legs)[len(found.legs) // 2]
    flattest, *others = sorted(found.legs, key=lambda leg: _bend(outlets[leg.index], amounts[leg.index], reach))
    last, rest = outlets[flattest.index], amounts[flattest.index]
    left = rest
    for leg in reversed(others):
        outlet, here = outlets[leg.index], amounts[leg.index]
        steps = _roundings(here, min(leg.plateau, reach), found.price, downwards=rest > left)
        paid = outlet.paid(here)
        gained = [outlet.paid(here + step) - paid for step in steps]
        if leg is not others[0]:
            worth = [gain - found.price * step for gain, step in zip(gained, steps, strict=True)]
        else:
            worth = [gain + last.paid(max(left - step, 0)) for gain, step in zip(gained, steps, strict=True)]
        step = steps[worth.index(max(worth))]
        moved[leg.index] = here + step
        left -= step
    moved[flattest.index] = left
    return moved


def _bend(outlet: Outlet, amount: int, reach: int) -> int:
    """How much less is paid a little above and below than at an amount, twice."""
    reach = min(reach, amount - 1)
    return 2 * outlet.paid(amount) - outlet.paid(amount - reach) - outlet.paid(amount + reach)


def _roundings(amount: int, reach: int, price: float, *, downwards: bool) -> list[int]:
    """By how much a leg's amount may change, the least first."""
    tries = ROUNDING_TRIES if price < DEAR_PRICE else DEAR_ROUNDING_TRIES
    spread = {(number * _GOLDEN & 0xFFFFFFFF) * reach >> 32 for number in range(tries + 1)}
    return [-step if downwards else step for step in sorted(spread) if step < amount]


def _best_single(outlets: Sequence[Outlet], amount: int) -> Division | None:
    """All of it in one outlet, the first of the best."""
    paid = [outlet.paid(amount) for outlet in outlets]
    best = max(range(len(outlets)), key=lambda index: paid[index], default=None)
    if best is None or paid[best] <= 0:
        return None
    return Division(tuple(amount if index == best else 0 for index in range(len(outlets))), paid[best])


def _divide_small(outlets: Sequence[Outlet], amount: int, max_legs: int, leg_cost: int) -> Division | None:
    """The best division where rounding makes hills of its own everywhere, over few outlets."""
    chosen = _most_paying(outlets, amount)
    found = _search([outlets[index] for index in chosen], amount, max_legs, leg_cost)
    if found is None:
        return None
    parts = dict(zip(chosen, found.amounts, strict=True))
    return Division(tuple(parts.get(index, 0) for index in range(len(outlets))), found.amount_out)


def _most_paying(outlets: Sequence[Outlet], amount: int) -> list[int]:
    """The outlets that pay most for a part of the input, and those that take most of it, in their order."""
    rooms = [outlet.room(amount) for outlet in outlets]
    half = SMALL_SEARCH // 2
    usable = [index for index, room in enumerate(rooms) if room]
    roomy = sorted(usable, key=lambda index: (-rooms[index], -outlets[index].paid(rooms[index])))[:half]
    others = [index for index in usable if index not in roomy]
    part = max(amount // GRID_CELLS, 1)
    return sorted(roomy + sorted(others, key=lambda index: -outlets[index].paid(part))[: SMALL_SEARCH - half])


def _search(outlets: Sequence[Outlet], amount: int, max_legs: int, leg_cost: int) -> Division | None:
    single = _best_on_grid(outlets, amount, 1, 1, 0)
    spread = _climb(outlets, range(len(outlets)), amount)
    if spread is None or (single is not None and spread.amount_out - leg_cost <= single.amount_out):
        return single  # where all legs together don't gain the cost of one, no split does
    fewer = _give_up_legs(outlets, spread, amount, max_legs, leg_cost)
    found = [division for division in (single, fewer) if division is not None]
    return max(found, key=lambda division: division.amount_out - leg_cost * division.legs, default=None)


def _climb(outlets: Sequence[Outlet], used: Sequence[int], amount: int, *, coarse: bool = False) -> Division | None:
    """The best division over the outlets `used`, whatever its legs cost."""
    chosen = [outlets[index] for index in used]
    amounts = _start(chosen, amount)
    if amounts is None:
        return None
    plateau = 0
    for halvings in range((amount // GRID_CELLS).bit_length(), -1, -1):
        step = 1 << halvings  # whatever little a pool takes, one of them fits into it
        if coarse and step * COARSE_PARTS < amount:
            break
        while (gain := _move(chosen, amounts, step)) > 0:
            pass
        if not plateau and gain >= -_rounding(chosen, amounts):
            plateau = step
    if not coarse:
        _settle(chosen, amounts, plateau)
    parts = dict(zip(used, amounts, strict=True))
    return _division(outlets, [parts.get(index, 0) for index in range(len(outlets))])


def _start(outlets: Sequence[Outlet], amount: int) -> list[int] | None:
    """The best division on the coarse grid, or on a finer one; where neither has one, the outlets filled up."""
    amounts = _on_grid(outlets, amount, GRID_CELLS)
    if amounts is None or sum(_payments(outlets, amounts)) < SMALL_OUTPUT:
        amounts = _on_grid(outlets, amount, FINE_GRID_CELLS) or amounts
    return amounts or _filled_up(outlets, amount)


def _on_grid(outlets: Sequence[Outlet], amount: int, cells: int) -> list[int] | None:
    """The best division into so many equal cells; what is left over goes with the largest part that takes it."""
    rest = amount % cells
    division = _best_on_grid(outlets, amount - rest, cells, len(outlets), 0)
    if division is None:
        return None
    amounts = list(division.amounts)
    for index in sorted(range(len(outlets)), key=lambda index: -amounts[index]):
        if outlets[index].paid(amounts[index] + rest) > 0:
            amounts[index] += rest
            return amounts
    return None


def _filled_up(outlets: Sequence[Outlet], amount: int) -> list[int] | None:
    """As few outlets as can take it all, each with the least that it pays for, then filled up one after another.

    None where no outlets can: those together that pay for less than `amount` and take as much.
    """
    rooms = [outlet.room(amount) for outlet in outlets]
    leasts = [outlet.least(room) for outlet, room in zip(outlets, rooms, strict=True)]
    usable = sorted((index for index, room in enumerate(rooms) if room), key=lambda index: -rooms[index])
    for legs in range(1, len(usable) + 1):
        able = [
            chosen
            for chosen in combinations(usable, legs)
            if sum(leasts[index] for index in chosen) <= amount <= sum(rooms[index] for index in chosen)
        ]
        if able:
            orders = [order for chosen in able for order in (chosen, chosen[::-1])]
            found = (_poured(rooms, leasts, order, amount) for order in orders)
            return max(found, key=lambda amounts: sum(_payments(outlets, amounts)))
    return None


def _poured(rooms: Sequence[int], leasts: Sequence[int], order: Sequence[int], amount: int) -> list[int]:
    """All of `amount` over the outlets in `order`, which can take it: each its least, then each in turn its room."""
    amounts = [least if index in order else 0 for index, least in enumerate(leasts)]
    for index in order:
        amounts[index] += min(rooms[index] - amounts[index], amount - sum(amounts))
    return amounts


def _rounding(outlets: Sequence[Outlet], amounts: Sequence[int]) -> int:
    """How much of a gain or a loss may be rounding alone: two base units of each leg's input, and two of its output."""
    return sum(
        2 * -(-outlet.paid(amount) // amount) + 2 for outlet, amount in zip(outlets, amounts, strict=True) if amount
    )


def _move(outlets: Sequence[Outlet], amounts: list[int], step: int) -> int:
    """Move `step` from where it is paid worst to where it is paid best, if that gains; what it gains or would."""
    paid = _payments(outlets, amounts)
    losses = sorted(
        (paid[giver] - less, giver)
        for giver, outlet in enumerate(outlets)
        if amounts[giver] >= step and (less := outlet.paid(amounts[giver] - step)) >= 0
    )
    best_gain, best_giver, best_taker = IMPOSSIBLE, 0, 0
    for taker, outlet in enumerate(outlets):
        # the second where the first would give to itself
        for loss, giver in [each for each in losses[:2] if each[1] != taker][:1]:
            gain = outlet.paid(amounts[taker] + step) - paid[taker] - loss
            if gain > best_gain:
                best_gain, best_giver, best_taker = gain, giver, taker
    if best_gain > 0:
        amounts[best_giver] -= step
        amounts[best_taker] += step
    return best_gain


def _settle(outlets: Sequence[Outlet], amounts: list[int], plateau: int) -> None:
    """Try all divisions nearby, first in steps that lead over all of `plateau`, then in the finest that matter.

    On the plateau, moving so much either way seems to gain or lose no more than rounding does, and hides what it does.
    """
    legs = [index for index, amount in enumerate(amounts) if amount]
    finest = max(min(amounts[leg] // (UNIT_STEPS * outlets[leg].paid(amounts[leg])) for leg in legs), 1)
    if plateau // 2 > finest:
        _try_all_near(outlets, amounts, legs, plateau // 2, PLATEAU_STEPS)
    _try_all_near(outlets, amounts, legs, finest, NEAR_STEPS)


def _try_all_near(outlets: Sequence[Outlet], amounts: list[int], legs: Sequence[int], step: int, steps: int) -> None:
    """Make it the best of all divisions over the same legs whose parts differ by so many steps at most."""
    near = range(-steps, steps + 1)
    tables = []
    for leg in legs:
        parts = [amounts[leg] + count * step for count in near]
        tables.append([0, *(outlets[leg].paid(part) if part > 0 else IMPOSSIBLE for part in parts)])
    (positions,) = _best_sums(tables, len(legs) * (steps + 1), range(len(legs), len(legs) + 1))
    assert positions is not None, "the division as it is is one of them"
    for leg, position in zip(legs, positions, strict=True):
        amounts[leg] += near[position - 1] * step


def _give_up_legs(
    outlets: Sequence[Outlet], division: Division, amount: int, max_legs: int, leg_cost: int
) -> Division | None:
    """Give up leg after leg, as long as there are too many or one gains no more than it costs."""
    while division.legs > 1:
        legs = _legs(division)
        too_many = len(legs) > max_legs
        doubtful = legs if too_many else _doubtful_legs(outlets, division, amount, leg_cost)
        fewer = _without_one_of(outlets, legs, doubtful, amount)
        if fewer is None or not (too_many or fewer.amount_out + leg_cost >= division.amount_out):
            break
        division = fewer
    return division if division.legs <= max_legs else None


def _without_one_of(
    outlets: Sequence[Outlet], legs: Sequence[int], doubtful: Sequence[int], amount: int
) -> Division | None:
    """The best division over all `legs` but one of the doubtful; which one, is told by coarse steps."""
    remaining = ([leg for leg in legs if leg != given_up] for given_up in doubtful)
    found = [division for each in remaining if (division := _climb(outlets, each, amount, coarse=True))]
    if not found:
        return None
    return _climb(outlets, _legs(max(found, key=lambda division: division.amount_out)), amount)


def _doubtful_legs(outlets: Sequence[Outlet], division: Division, amount: int, leg_cost: int) -> list[int]:
    """The legs that may gain no more than `leg_cost`; no other is worth giving up.

    For what a leg takes in, the others pay no more than the marginal price: what it is paid beyond, it surely gains.
    """
    legs = _legs(division)
    margins = []
    for leg in legs:
        outlet, part = outlets[leg], division.amounts[leg]
        last = min(max(amount // COARSE_PARTS, 1), part)
        # at least the marginal price, and above zero where less is not paid at all
        margins.append(Fraction(outlet.paid(part) - max(outlet.paid(part - last), 0), last))
    price = min(margins)
    return [leg for leg in legs if outlets[leg].paid(division.amounts[leg]) <= price * division.amounts[leg] + leg_cost]


def _best_of_all(outlets: Sequence[Outlet], amount: int, max_legs: int, leg_cost: int) -> Division | None:
    """The best of all divisions there are; of equal ones, one with the fewest legs.

    As if there might be any number of legs, each at its cost, and only where those are too many, for each number.
    """
    finer = len(outlets) + 1
    tables = [
        [0, *((outlet.paid(part) - leg_cost) * finer - 1 for part in range(1, amount + 1))]
        for outlet in outlets
        if outlet.room(amount)
    ]
    sums = [[0] + [IMPOSSIBLE * finer] * amount]
    for table in tables:
        before, entries = sums[-1], table[1:]
        others = before[::-1]
        # others[-total:] goes from the sum for total - 1 down to the one for 0
        sums.append([0, *(max(before[t], max(map(add, entries, others[-t:]))) for t in range(1, amount + 1))])
    if sums[-1][amount] < IMPOSSIBLE // 2:
        return None
    parts, total = [], amount
    for table, before, after in zip(reversed(tables), reversed(sums[:-1]), reversed(sums), strict=False):
        part = 0
        if before[total] != after[total]:
            part = next(part for part in range(1, total + 1) if before[total - part] + table[part] == after[total])
        parts.append(part)
        total -= part
    found = iter(reversed(parts))
    amounts = [next(found) if outlet.room(amount) else 0 for outlet in outlets]
    if sum(1 for part in amounts if part) > max_legs:
        return _best_on_grid(outlets, amount, amount, max_legs, leg_cost)
    return _division(outlets, amounts)


def _best_on_grid(outlets: Sequence[Outlet], amount: int, cells: int, max_legs: int, leg_cost: int) -> Division | None:
    """The best of all divisions of `amount` into so many equal cells; of equal ones, one with the fewest legs."""
    cell = amount // cells
    tables = [[outlet.paid(cell * count) for count in range(cells + 1)] for outlet in outlets]
    candidates = [
        _division(outlets, [cell * count for count in counts])
        for counts in _best_sums(tables, cells, range(1, min(max_legs, len(outlets)) + 1))
        if counts is not None
    ]
    return max(candidates, key=lambda division: division.amount_out - leg_cost * division.legs, default=None)


def _best_sums(tables: Sequence[Sequence[int]], total: int, legs: range) -> list[tuple[int, ...] | None]:
    """For each number of legs, a position in each table, `total` in all, so that the entries there add up to most.

    A leg is a position above zero; position 0 is worth 0. None where all sums are impossible.
    """
    # sums[n][k][t]: the most that k legs in the first n tables are worth whose positions add up to t
    sums = [{0: [0] + [IMPOSSIBLE] * total}]
    for number, table in enumerate(tables, 1):
        left = len(tables) - number
        counts = range(max(legs.start - left, 0), min(legs.stop - 1, number) + 1)
        # after the last table only the total matters
        totals = range(total + 1) if left else range(total, total + 1)
        sums.append({count: _with_table(table, sums[-1], count, totals) for count in counts})
    return [_positions(tables, sums, count, total) if sums[-1][count][total] > 0 else None for count in legs]


def _with_table(table: Sequence[int], before: dict[int, list[int]], count: int, totals: range) -> list[int]:
    """The best sums of `count` legs once one more table may have one of them; right for `totals` only."""
    best = list(before[count]) if count in before else [IMPOSSIBLE] * totals.stop
    if count - 1 in before:
        entries, others = table[1:], before[count - 1][::-1]
        for total in totals:
            if total:
                # others[-total:] goes from the sum for total - 1 down to the one for 0
                best[total] = max(best[total], max(map(add, entries, others[-total:])))
    return best


def _positions(
    tables: Sequence[Sequence[int]], sums: Sequence[dict[int, list[int]]], count: int, total: int
) -> tuple[int, ...]:
    """The positions that make the best sum of `count` legs, found from the last table back to the first."""
    positions = []
    for number in range(len(tables), 0, -1):
        worth, table, before = sums[number][count][total], tables[number - 1], sums[number - 1]
        position = 0
        if count not in before or before[count][total] != worth:
            count -= 1
            position = next(
                position
                for position in range(1, min(total, len(table) - 1) + 1)
                if before[count][total - position] + table[position] == worth
            )
        positions.append(position)
        total -= position
    return tuple(reversed(positions))


def _payments(outlets: Sequence[Outlet], amounts: Sequence[int]) -> list[int]:
    return [outlet.paid(amount) for outlet, amount in zip(outlets, amounts, strict=True)]


def _legs(division: Division) -> list[int]:
    return [index for index, amount in enumerate(division.amounts) if amount]


def _division(outlets: Sequence[Outlet], amounts: Sequence[int]) -> Division:
    return Division(tuple(amounts), sum(_payments(outlets, amounts)))
