"""Where the next unit is paid alike everywhere: a large input over many outlets, found with few quotes.

The more goes into an outlet, the worse the next unit is paid. At a marginal price each outlet has its own amount, so
the best division is where these add up to the input ("water-filling": all basins have one level). Only where more than
rounding could be gained beside what is known of a basin, another quote is asked for.

The level is found with floats. They decide only where to look: what is compared in the end and returned are amounts and
payments in base units.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt

from chalicelib.routing.basin import Basin

# A leg's part has settled where it moved by no more than so many plateaus.
_SETTLED = 4
# In a round an outlet's most is looked for by so many halvings; by as many as an amount has bits where it is needed.
_HALVINGS, _ALL_HALVINGS = 16, 64
# At one price, so many answers in a row are followed to where a price bends.
_DOUBTS_AT_A_PRICE = 4
# So many rounds at most, each of which asks of each leg what it doesn't know yet.
_ROUNDS = 40
# From the second on outlets are given up; the first tells of each what it is good for.
_ROUNDS_OF_ALL = 2
# Outlets whose first unit is paid so much less than the marginal price are left aside until the price comes near.
_DRY = 0.003
# How exactly the outputs of too many legs are known, as a part of all that is paid.
_ROUGHLY = 1e-6
# How often outlets that were given up come back in place of a worse one.
_SWAPS, _TRIED_SWAPS = 6, 3
_STEPS_TO_LEVEL = 60
# How exactly the level is found, as a part of it.
LEVEL = 1e-11


@dataclass(frozen=True, slots=True)
class FilledLeg:
    """An outlet's part: base units in, and how far about it what rounding takes matters more than the price.

    `gain` is about what all together would be paid less without it, in output units.
    """

    index: int
    amount: int
    plateau: int
    gain: float


@dataclass(frozen=True, slots=True)
class Level:
    """The legs by what they gain, the most first, and what a base unit of input is paid at the margin of each."""

    legs: tuple[FilledLeg, ...]
    price: float


_Part = tuple[float, float, Basin]


def level(basins: Sequence[Basin], amount: int, max_legs: int) -> Level | None:
    """How `amount` base units, over at most `max_legs` of the basins, are paid most, to within what rounding hides.

    None where the basins can't take it all.
    """
    used = [basin for basin in basins if basin.slopes]
    if not used:
        return None
    best_price = max(-basin.slopes[0] for basin in used)
    rounding, root = 1.0 + best_price, 1 / sqrt(best_price)
    others, dry = list[Basin](), list[Basin]()
    swaps, best_worth, found = _SWAPS, 0.0, None
    for turn in range(_ROUNDS):
        if not _have_room(used, amount):
            return None
        root, parts = _leveled(used, amount, root, LEVEL if turn >= _ROUNDS_OF_ALL else _ROUGHLY)
        if turn >= _ROUNDS_OF_ALL:
            kept = _kept(parts, max_legs)
            if kept < len(parts):
                others += [basin for _, _, basin in parts[kept:]]
                used = [basin for _, _, basin in parts[:kept]]
                if not _have_room(used, amount):
                    return None
                root, parts = _leveled(used, amount, root, LEVEL)
        price = 1 / (root * root)
        if turn == _ROUNDS_OF_ALL:
            # none of these would get anything unless the price fell much further
            dry = [basin for basin in used if -basin.slopes[0] < price * (1 - _DRY)]
            used = [basin for basin in used if basin not in dry]
        # of those of which some will go less is enough
        exactness = rounding if len(parts) <= max_legs else max(rounding, price * amount * _ROUGHLY)
        learned = [_learn(part, basin, price, exactness, turn) for _, part, basin in parts]
        if any(learned) or turn < _ROUNDS_OF_ALL:
            continue
        if len(parts) > max_legs:
            continue
        if wet := [basin for basin in dry if -basin.slopes[0] > price]:
            used, dry = used + wet, [basin for basin in dry if basin not in wet]
            continue
        worth = _worth(parts)
        if found is None or worth > best_worth:
            best_worth, found = worth, _as_level(parts, amount, price, rounding)
        elif swaps < _SWAPS:
            break  # the exchange was no gain after all
        if not (swaps and others and _swap(used, others, parts, amount, root, rounding)):
            break
        swaps -= 1
    if found is None and len(parts) <= max_legs:
        found = _as_level(parts, amount, price, rounding)
    return found


def _have_room(basins: Sequence[Basin], amount: int) -> bool:
    """Whether all together take so much."""
    if sum(basin.most for basin in basins) < amount:
        for basin in basins:
            basin.ask_most(_ALL_HALVINGS)
    return sum(basin.most for basin in basins) >= amount


def _leveled(basins: Sequence[Basin], amount: int, root: float, exactness: float) -> tuple[float, list[_Part]]:
    """The root at which the basins' amounts add up to `amount`, beginning the search at `root`; and their parts.

    `exactness`: how far off the root and the sum may be, as a part of them.

    Where an amount jumps, at a price that a long stretch of an output has, it is what makes up the sum.
    """
    low_root = high_root = 0.0
    low: list[float] = []
    high: list[float] = []
    for step in range(_STEPS_TO_LEVEL):
        price, total, pull = 1 / (root * root), 0.0, 0.0
        found = []
        for basin in basins:
            part, its_pull = basin.at(price, root)
            found.append(part)
            total += part
            pull += its_pull
        lacking = amount - total
        if lacking > 0:
            low_root, low = root, found
        else:
            high_root, high = root, found
        if abs(lacking) <= amount * exactness or (low and high and high_root - low_root <= low_root * exactness):
            break
        guess = root + lacking / pull if pull else 0.0
        if not (low and high):
            root = guess if root / 4 < guess < root * 4 else root * (1.25 if lacking > 0 else 0.8)
        elif step % 2 and low_root < guess < high_root:
            root = guess
        else:
            root = _beside_the_jump(basins, low, high, (low_root, high_root), exactness)
    amounts = low or high
    if low and high and sum(high) > sum(low):
        share = (amount - sum(low)) / (sum(high) - sum(low))
        amounts = [a_little + (more - a_little) * share for a_little, more in zip(low, high, strict=True)]
        root = low_root
    return root, _parts(basins, amounts, root)


def _parts(basins: Sequence[Basin], amounts: Sequence[float], root: float) -> list[_Part]:
    """The basins that get something, by what would be lost without each, about: the most first.

    That is what it is paid beyond the marginal price, and what the others would be paid less for taking its part, for
    the price falls with what they take.
    """
    price = 1 / (root * root)
    used = [(basin, part) for basin, part in zip(basins, amounts, strict=True) if part >= 1]
    yields = [basin.gives(part, price) for basin, part in used]
    total = sum(yields)
    parts = [
        (basin.surplus(part, price) + (part * part / (2 * (total - own)) if total > own else inf), part, basin)
        for (basin, part), own in zip(used, yields, strict=True)
    ]
    return sorted(parts, key=lambda part: -part[0])


def _beside_the_jump(
    basins: Sequence[Basin], low: Sequence[float], high: Sequence[float], roots: tuple[float, float], exactness: float
) -> float:
    """A root between these two, at an edge of the largest jump between them, so that soon it alone is between them."""
    jumping = max(range(len(basins)), key=lambda number: high[number] - low[number])
    basin = basins[jumping]
    chord = min(bisect_left(basin.ins, (low[jumping] + high[jumping]) / 2), len(basin.slopes)) - 1
    price = -basin.slopes[max(chord, 0)]
    if price:  # no price is so low that it is taken for a chord on which nothing more is paid
        jump = 1 / sqrt(price)
        for root in (jump * (1 - exactness / 4), jump * (1 + exactness / 4)):
            if roots[0] < root < roots[1]:
                return root
    return sum(roots) / 2


def _kept(parts: Sequence[_Part], max_legs: int) -> int:
    """How many of the best are kept for now: of too many half of those beyond go."""
    return min(len(parts), max(max_legs, len(parts) - max(1, (len(parts) - max_legs) // 2)))


def _learn(part: float, basin: Basin, price: float, rounding: float, turn: int) -> bool:
    """Ask for what isn't known about this part; whether there was anything to doubt."""
    here, asked, known = round(part), basin.outlet.asked, basin.known
    if turn and here >= basin.most and basin.refused > basin.most + 1:
        basin.ask_most(_HALVINGS)
        return basin.outlet.asked > asked
    miss = basin.ask(here)
    plateau = basin.plateau(part, rounding / 2)
    settled = abs(part - basin.part) <= _SETTLED * plateau
    basin.part = part
    doubts = basin.doubts(price, rounding) if turn else ()
    if not doubts:
        return basin.known > known and basin.is_off(part, price, rounding)
    known = basin.known
    if 0 < plateau < here and miss <= 8 * rounding:
        if not settled:
            return True  # the guess was right, but the price still moves
        if abs(part - basin.shown) > plateau:
            # what is left to do is to show that nothing beside it is better
            basin.ask(here - plateau)
            basin.ask(here + plateau)
            basin.shown = part
            return True
    for _ in range(_DOUBTS_AT_A_PRICE):
        before = basin.known
        for amount in doubts:
            basin.ask(amount)
        if basin.known == before and basin.flat:
            # asked before, when it was on another chord: of one that may be the curve itself the middle tells
            for amount in doubts:
                basin.ask_about(amount)
        if basin.known == before:
            break
        doubts = basin.doubts(price, rounding)
    return basin.known > known


def _swap(
    used: list[Basin], others: list[Basin], parts: Sequence[_Part], amount: int, root: float, rounding: float
) -> bool:
    """Give one of the worst legs up for one of the best that were given up before, if all together gain by it."""
    price = 1 / (root * root)
    for basin in others:
        basin.ask(round(basin.at(price, root)[0]))
    best = sorted(others, key=lambda basin: -basin.surplus(basin.at(price, root)[0], price))[:_TRIED_SWAPS]
    worth, exchange = _worth(parts) + 2 * rounding, None
    for _, _, worst in parts[-_TRIED_SWAPS:]:
        for other in best:
            tried = [other if basin is worst else basin for basin in used]
            if sum(basin.most for basin in tried) < amount:
                continue
            found = _worth(_leveled(tried, amount, root, LEVEL)[1])
            if found > worth:
                worth, exchange = found, (worst, other)
    if exchange is None:
        return False
    worst, other = exchange
    used[used.index(worst)] = other
    others[others.index(other)] = worst
    return True


def _worth(parts: Sequence[_Part]) -> float:
    """What the parts are paid together, as far as can be told."""
    return sum(basin.surplus(part, 0.0) for _, part, basin in parts)


def _as_level(parts: Sequence[_Part], amount: int, price: float, rounding: float) -> Level:
    """In whole base units, all of them: what rounding leaves goes with the leg where it matters least."""
    legs = [
        FilledLeg(basin.index, round(part), min(basin.plateau(part, rounding / 2), int(part) // 4), gain)
        for gain, part, basin in parts
    ]
    rest = amount - sum(leg.amount for leg in legs)
    widest = max(range(len(legs)), key=lambda number: (legs[number].amount + rest > 0, legs[number].plateau))
    legs[widest] = replace(legs[widest], amount=legs[widest].amount + rest)
    return Level(tuple(legs), price)
