"""Where the next unit is paid alike everywhere: a large input over many outlets, found with few quotes.

The more goes into an outlet, the worse the next unit is paid. At a marginal price each outlet has its own amount, so
the best division is where these add up to the input ("water-filling": all basins have one level). Only where more than
rounding could be gained beside what is known of a basin, another quote is asked for.

The level is found with floats. They decide only where to look: what is compared in the end and returned are amounts and
payments in base units.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt

from chalicelib.routing.basin import Basin

# A leg's part has settled where it moved by no more than so many plateaus.
_SETTLED = 4
# An outlet's most is looked for by so many halvings at first, by so many in a round, and by as many as an amount has
# bits where all of it is needed.
_FIRST_HALVINGS, _HALVINGS, _ALL_HALVINGS = 4, 16, 64
# At one price, so many answers in a row are followed to where a price bends.
_DOUBTS_AT_A_PRICE = 4
# So many rounds at most, each of which asks of each leg what it doesn't know yet.
_ROUNDS = 40
# In the first of them every outlet is asked, and till then nothing is known exactly.
_ROUNDS_OF_ALL = 2
# How exactly the level is found for a first look, as a part of it.
_ROUGHLY = 1e-6
# By so much a search for a price goes too far, so that soon the price is known from both sides.
_OVERSHOT = 1.0001
# How often other legs are tried instead of some, and how many ways to choose them are looked at each time.
_EXCHANGES, _CHOICES = 6, 32
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


# A basin and how much goes into it; and with what would be lost without it.
_Filled = tuple[Basin, float]
_Part = tuple[float, float, Basin]


def level(basins: Sequence[Basin], amount: int, max_legs: int) -> Level | None:
    """How `amount` base units, over at most `max_legs` of the basins, are paid most, to within what rounding hides.

    None where the basins can't take it all.
    """
    able = [basin for basin in basins if basin.slopes]
    if not able:
        return None
    for basin in able:
        if basin.refused > 2 * basin.most:
            basin.ask_most(_FIRST_HALVINGS)
    best_price = max(-basin.slopes[0] for basin in able)
    rounding, root = 1.0 + best_price, 1 / sqrt(best_price)
    used, choosing = able, len(able) > max_legs
    found, best_worth, tried = None, 0.0, list[list[Basin]]()
    for turn in range(_ROUNDS):
        if choosing:
            chosen, root = _chosen(able, amount, max_legs, root)
            choosing = turn < _ROUNDS_OF_ALL or chosen != used
            used = chosen
        if not _have_room(used, amount):
            return found
        root, filled = _leveled(used, amount, root, _ROUGHLY if choosing else LEVEL)
        price = 1 / (root * root)
        exactness = max(rounding, price * amount * _ROUGHLY) if choosing else rounding
        learned = [_learn(part, basin, price, exactness, turn) for basin, part in filled]
        if choosing and not turn:
            for basin in able:
                if basin not in used:
                    basin.learn(round(basin.at(price, root)[0]))
        if any(learned) or choosing:
            continue
        worth = _worth(filled)
        if found is None or worth > best_worth:
            best_worth, found = worth, _as_level(_parts(filled, root), amount, price, rounding)
        if len(able) <= max_legs or len(tried) == _EXCHANGES:
            break
        tried.append(used)
        exchanged = _exchanged(able, tried, amount, max_legs, price, rounding, best_worth + 2 * rounding)
        if exchanged is None:
            break
        used = exchanged
    if found is None:
        found = _as_level(_parts(filled, root), amount, price, rounding)
    return found


def _have_room(basins: Sequence[Basin], amount: int) -> bool:
    """Whether all together take so much."""
    if _most_of(basins) < amount:
        for basin in basins:
            basin.ask_most(_ALL_HALVINGS)
    return _most_of(basins) >= amount


def _most_of(basins: Sequence[Basin]) -> int:
    """What all together take at most, as far as it is known."""
    return sum([basin.most for basin in basins])


def _leveled(basins: Sequence[Basin], amount: int, root: float, exactness: float) -> tuple[float, list[_Filled]]:
    """The root at which the basins' amounts add up to `amount`, beginning the search at `root`; those that get some.

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
            # as Basin.at, which is called too often for a call
            first, last, its_pull, offset, least, most = basin.piece
            if not first <= price < last:
                _, _, its_pull, offset, least, most = basin.piece_at(price)
            part = offset + its_pull * root
            if part <= least:
                part = least
            elif part >= most:
                part = most
            else:
                pull += its_pull
            found.append(part)
            total += part
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
    return root, [(basin, part) for basin, part in zip(basins, amounts, strict=True) if part >= 1]


def _parts(filled: Sequence[_Filled], root: float) -> list[_Part]:
    """The basins by what would be lost without each, about: the most first.

    That is what it is paid beyond the marginal price, and what the others would be paid less for taking its part, for
    the price falls with what they take.
    """
    price = 1 / (root * root)
    yields = [basin.gives(part, price) for basin, part in filled]
    total = sum(yields)
    parts = [
        (basin.surplus(part, price) + (part * part / (2 * (total - own)) if total > own else inf), part, basin)
        for (basin, part), own in zip(filled, yields, strict=True)
    ]
    return sorted(parts, key=lambda part: -part[0])


def _chosen(basins: Sequence[Basin], amount: int, max_legs: int, root: float) -> tuple[list[Basin], float]:
    """At most so many basins that are worth most together, and about their root; the search begins at `root`.

    At any price, what is paid for `amount` is at most that price for all of it, and what each leg is paid beyond it.
    So where the legs that are paid most beyond a price take just `amount` at it, no others are worth more. Where there
    is no such price, because others come in as it changes, the better are taken of those above and below.
    """
    low_root = high_root = 0.0
    low: list[Basin] = []
    high: list[Basin] = []
    for step in range(_STEPS_TO_LEVEL):
        best = _most_paid(basins, max_legs, root)
        chosen = [basin for _, _, _, basin in best]
        lacking = amount - sum([part for _, part, _, _ in best])
        pull = sum([its_pull for _, _, its_pull, _ in best])
        if lacking > 0:
            low_root, low = root, chosen
        else:
            high_root, high = root, chosen
        has_both = low_root > 0 and high_root > 0
        if abs(lacking) <= amount * _ROUGHLY or (has_both and high_root - low_root <= low_root * _ROUGHLY):
            break
        if has_both and set(low) == set(high):
            break
        guess = root + lacking / pull if pull else 0.0
        if not has_both:
            guess *= _OVERSHOT if lacking > 0 else 1 / _OVERSHOT
            root = guess if root / 4 < guess < root * 4 else root * (1.25 if lacking > 0 else 0.8)
        elif step % 2 and low_root < guess < high_root:
            root = guess
        else:
            root = (low_root + high_root) / 2
    able = [each for each in (low, high) if _most_of(each) >= amount]
    if not able:
        return sorted(basins, key=lambda basin: -basin.most)[:max_legs], root
    return max(able, key=lambda each: _worth(_leveled(each, amount, root, _ROUGHLY)[1])), root


def _most_paid(basins: Sequence[Basin], max_legs: int, root: float) -> list[tuple[float, float, float, Basin]]:
    """Those that are paid most beyond the price: each with how much that is, what goes into it, and its pull."""
    price, found = 1 / (root * root), []
    for basin in basins:
        part, pull = basin.at(price, root)
        if part >= 1:
            found.append((basin.surplus(part, price), part, pull, basin))
    return sorted(found, key=lambda each: -each[0])[:max_legs]


def _exchanged(
    basins: Sequence[Basin],
    tried: Sequence[Sequence[Basin]],
    amount: int,
    max_legs: int,
    price: float,
    rounding: float,
    worth: float,
) -> list[Basin] | None:
    """The legs that are worth most together, as far as can be told, if that is more than `worth`.

    `tried` were tried before, the last of them are leveled at `price`. By what is paid at most beyond a price it is
    told of most of the others all at once that they are worth no more, and only of a few choices by leveling them.
    """
    used = tried[-1]
    for _ in range(_ROUNDS):
        rivals = _rivals(basins, used, max_legs, price)
        if not rivals:
            return None
        learned = [_look_at(rival, price, rounding) for rival in rivals]
        if not any(learned):
            break
    _, root = _chosen(basins, amount, max_legs, 1 / sqrt(price))
    price = 1 / (root * root)
    for basin in (*used, *_rivals(basins, used, max_legs, price)):
        _look_at(basin, price, rounding)
    ranked = sorted([(basin.most_beyond(price), basin) for basin in basins], key=lambda each: -each[0])
    best = None
    for choice in _choices(ranked, max_legs, worth - amount * price):
        if _most_of(choice) < amount or any(set(choice) == set(each) for each in tried):
            continue
        found = _promise(choice, amount, root, worth, rounding)
        if found > worth:
            best, worth = choice, found
    return best


def _promise(choice: Sequence[Basin], amount: int, root: float, worth: float, rounding: float) -> float:
    """What these are paid together, as far as can be told: more nearly where that may be more than `worth`."""
    found = 0.0
    for _ in range(_DOUBTS_AT_A_PRICE):
        root, filled = _leveled(choice, amount, root, LEVEL)
        price, found = 1 / (root * root), _worth(filled)
        if amount * price + sum([basin.most_beyond(price) for basin in choice]) <= worth:
            break
        learned = [_look_at(basin, price, rounding) for basin in choice]
        if not any(learned):
            break
    return found


def _look_at(basin: Basin, price: float, rounding: float) -> bool:
    """Learn what it may be paid beyond this price; whether there was anything new."""
    known = basin.known
    if -basin.slopes[-1] > price and basin.refused > basin.most + 1:
        basin.ask_most(_HALVINGS)
    basin.learn(round(basin.at(price, 1 / sqrt(price))[0]))
    basin.look_into(basin.doubts(price, rounding), price, rounding, 1)
    return basin.known > known


def _rivals(basins: Sequence[Basin], used: Sequence[Basin], max_legs: int, price: float) -> list[Basin]:
    """Those that may be paid more beyond the price than the least of those that are used."""
    least = min([basin.most_beyond(price) for basin in used]) if len(used) >= max_legs else 0.0
    return [basin for basin in basins if basin not in used and basin.most_beyond(price) > least]


def _choices(ranked: Sequence[tuple[float, Basin]], max_legs: int, least: float) -> Iterator[list[Basin]]:
    """Choices of so many that may be paid more than `least` together beyond the price, the most first, but only a few.

    `ranked` are all, each with what it may be paid, the most first.
    """
    most, left = min(max_legs, len(ranked)), _CHOICES
    # place in the row, what is chosen of those before, and what it may be paid
    begun: list[tuple[int, list[Basin], float]] = [(0, [], 0.0)]
    while begun and left:
        place, choice, paid = begun.pop()
        missing = most - len(choice)
        if not missing:
            left -= 1
            yield choice
        elif (
            place + missing <= len(ranked)
            and paid + sum(beyond for beyond, _ in ranked[place : place + missing]) > least
        ):
            beyond, basin = ranked[place]
            begun += [(place + 1, choice, paid), (place + 1, [*choice, basin], paid + beyond)]


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
    if not turn and basin.known > known:
        return True
    was_right = 0 < plateau < here and miss <= 8 * rounding
    if was_right and not settled:
        return True  # but the price still moves
    doubts = basin.doubts(price, rounding)
    if not doubts:
        return basin.known > known and basin.is_off(part, price, rounding)
    if was_right and abs(part - basin.shown) > plateau:
        # what is left to do is to show that nothing beside it is better
        basin.learn(here - plateau)
        basin.learn(here + plateau)
        basin.shown = part
        return True
    return basin.look_into(doubts, price, rounding, _DOUBTS_AT_A_PRICE)


def _worth(filled: Sequence[_Filled]) -> float:
    """What they are paid together, as far as can be told."""
    return sum(basin.surplus(part, 0.0) for basin, part in filled)


def _as_level(parts: Sequence[_Part], amount: int, price: float, rounding: float) -> Level:
    """In whole base units, all of them: what rounding leaves goes with the leg where it matters least."""
    legs = [
        FilledLeg(basin.index, round(part), min(basin.plateau(part, rounding / 2), int(part) // 4), gain)
        for gain, part, basin in parts
    ]
    rest = amount - sum(leg.amount for leg in legs)
    takes = [0 < leg.amount + rest <= basin.most for leg, (_, _, basin) in zip(legs, parts, strict=True)]
    widest = max(range(len(legs)), key=lambda number: (takes[number], legs[number].plateau))
    legs[widest] = replace(legs[widest], amount=legs[widest].amount + rest)
    return Level(tuple(legs), price)
