"""Where the next unit is paid alike everywhere: a large input over many outlets, found with few quotes.

An output is concave in its input, but for rounding: the more goes in, the worse the next unit is paid. At a marginal
price each outlet has its own amount, so the best division is where these add up to the input ("water-filling": all
basins have one level). Of an outlet a few exact points are known, and by concavity they bound what lies between: no
higher than the chords on either side, drawn on. So it is known how much better than the best point known an amount
between two could be, and only where that is more than rounding another quote is asked for.

Where to look next is guessed, with floats: between three points every output is much like a constant product's
(out = R·t / (D + t)), and is one between two ticks. Nothing but where to look depends on a guess: all that is compared
and all that is returned are amounts and payments in base units.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt

from chalicelib.routing.outlet import Outlet

# The first points: an outlet's most, and such parts of it.
_FIRST_PARTS = (8, 64, 4_096)
# How often the input is made smaller by the first of these until an outlet takes it.
_SHRINKINGS = 14
# A point that tells too little lies at the edge between two others: the rounding of both hides it.
_EDGE = 64
# A leg's part has settled where it moved by no more than so many plateaus.
_SETTLED = 4
# In a round an outlet's most is looked for by so many halvings; by as many as an amount has bits where it is needed.
_HALVINGS, _ALL_HALVINGS = 16, 64
# At one price, so many answers in a row are followed to where a price bends.
_DOUBTS_AT_A_PRICE = 4
# Beside two points that are close, the next is so many times as far.
_FARTHER = 16
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


class Basin:
    """An outlet's curve as far as it is known: the concave hull of exact points, from nothing for nothing on."""

    __slots__ = ("_fits", "flat", "index", "ins", "outlet", "outs", "part", "refused", "shown", "slopes")

    def __init__(self, outlet: Outlet, index: int, amount: int) -> None:
        """Asks for the most, up to `amount`, or about as much as it takes, and for parts of it."""
        self.outlet = outlet
        self.index = index
        self.ins, self.outs = [0], [0]
        # of each chord what a unit is paid, negative, so that they rise
        self.slopes: list[float] = []
        # how much went in at the last level
        self.part = 0.0
        # about which part it was looked whether one beside it is better
        self.shown = 0.0
        # the least that is known to be too much
        self.refused = amount + 1
        # chords that are known to be the curve itself
        self.flat: set[tuple[int, int]] = set()
        self._fits: dict[int, tuple[float, float, float, float]] = {}
        for _ in range(_SHRINKINGS):
            self.ask(amount)
            if self.slopes or not amount:
                break
            amount //= _FIRST_PARTS[0]
        for part in _FIRST_PARTS:
            self.ask(self.most // part)

    @property
    def most(self) -> int:
        return self.ins[-1]

    def ask(self, amount: int) -> float:
        """Learn what is paid for `amount`, if that is something new; how far off what was expected was."""
        ins, outs = self.ins, self.outs
        if not 0 < amount < self.refused:
            return 0.0
        place = bisect_left(ins, amount)
        if place < len(ins) and (ins[place] == amount or (ins[place - 1], ins[place]) in self.flat):
            return 0.0
        paid = self.outlet.paid(amount)
        if paid <= 0:
            if not self.outlet.takes(amount):
                self.refused = amount
            return inf
        miss = abs(self._value(amount) - paid) if len(ins) > 2 else inf
        if place < len(ins):
            start, end = ins[place - 1], ins[place]
            if (paid - outs[place - 1]) * (end - start) <= (outs[place] - outs[place - 1]) * (amount - start):
                # on the chord or below it: near its middle, that tells that there is nothing above it
                if min(amount - start, end - amount) * _EDGE >= end - start:
                    self.flat.add((start, end))
                    self._fits.clear()
                return miss
        ins.insert(place, amount)
        outs.insert(place, paid)
        self._keep_concave(place)
        return miss

    @property
    def known(self) -> int:
        """Grows with everything that is learned."""
        return self.outlet.asked + len(self.flat)

    def is_off(self, part: float, price: float, rounding: float) -> bool:
        """Whether a chord beside the part tells that at this price another part gains more than rounding."""
        place = bisect_left(self.ins, part)
        before = self._gain(place - 1, price) if place else 0.0
        if place < len(self.ins) and part < self.ins[place]:
            return abs(before) > 2 * rounding
        after = self._gain(place, price) if place < len(self.slopes) else 0.0
        return max(-before, after) > 2 * rounding

    def _gain(self, chord: int, price: float) -> float:
        """What the end of a chord is paid more than its start, beyond `price` for each unit."""
        ins, outs = self.ins, self.outs
        return outs[chord + 1] - outs[chord] - price * (ins[chord + 1] - ins[chord])

    def ask_about(self, amount: int) -> None:
        """Learn about the chord on which `amount` is: its middle tells whether it is the curve itself."""
        place = bisect_left(self.ins, amount)
        if 0 < place < len(self.ins):
            self.ask((self.ins[place - 1] + self.ins[place]) // 2)

    def ask_most(self, halvings: int) -> None:
        """Learn more nearly what is the most that the outlet takes."""
        taken, self.refused = self.outlet.room_between(self.most, self.refused, halvings)
        self.ask(taken)

    def _keep_concave(self, place: int) -> None:
        """Drop the points beside the new one that lie below the hull with it."""
        ins, outs = self.ins, self.outs
        while place > 1 and _is_below(ins, outs, place - 1):
            place -= 1
            del ins[place], outs[place]
        while place + 2 < len(ins) and _is_below(ins, outs, place + 1):
            del ins[place + 1], outs[place + 1]
        self.slopes = [
            (out - next_out) / (next_in - at)
            for at, next_in, out, next_out in zip(ins, ins[1:], outs, outs[1:], strict=False)
        ]
        self._fits.clear()

    def at(self, price: float, root: float) -> tuple[float, float]:
        """How much goes in at this marginal price, and by how much more for each unit of `root`, 1 / √price."""
        vertex = bisect_left(self.slopes, -price)
        pull, offset, low, high = self._fits.get(vertex) or self._fit_at(vertex)
        amount = offset + pull * root
        if amount <= low:
            return low, 0.0
        if amount >= high:
            return high, 0.0
        return amount, pull

    def surplus(self, amount: float, price: float) -> float:
        """What `amount` is paid more than at `price` for each of its units."""
        return self._value(amount) - price * amount

    def plateau(self, amount: float, rounding: float) -> int:
        """So far from `amount` the curve has bent by `rounding` output units, as far as can be told; 0 where it can't.

        At a constant product's curve the price falls by 2·R·D / (D + t)³ a unit.
        """
        fit = self._through(min(bisect_left(self.ins, amount), len(self.ins) - 1))
        if fit is None:
            return 0
        product, depth, first = fit
        return int(sqrt(rounding * (depth + amount - self.ins[first]) ** 3 / (product * depth)))

    def gives(self, amount: float, price: float) -> float:
        """How much more than `amount` goes in for each unit by which the price falls from `price`.

        A constant product's: (D + t) / (2 · price). It is no less than if the outlet had held nothing before.
        """
        fit = self._through(min(bisect_left(self.ins, amount), len(self.ins) - 1))
        reached = amount if fit is None else max(amount, fit[1] + amount - self.ins[fit[2]])
        return reached / (2 * price)

    def doubts(self, price: float, rounding: float) -> list[int]:
        """Where there may be more to gain at this price than twice `rounding` output units."""
        slopes, ins = self.slopes, self.ins
        vertex = bisect_left(slopes, -price)
        found = []
        for steps in (range(vertex - 1, -1, -1), range(vertex, len(slopes))):
            downwards = steps.step < 0
            for chord in steps:
                where, gain = self._hidden(chord, price, rounding)
                if gain > 2 * rounding:
                    if self._hidden(chord, price, 0.0)[1] <= 2 * rounding:
                        where = self._farther(chord, downwards)  # it is but the rounding of a short chord beside it
                    found.append(where)
                unsure = rounding / (ins[chord + 1] - ins[chord])
                if (-slopes[chord] - unsure > price) if downwards else (unsure - slopes[chord] < price):
                    break
        return found

    def _farther(self, chord: int, downwards: bool) -> int:
        """A point on a chord, so many times as far from the one before as that is long, seen from the vertex."""
        ins = self.ins
        start, end = ins[chord], ins[chord + 1]
        middle = (start + end) // 2
        if downwards:
            beside = ins[chord + 2] - end if chord + 2 < len(ins) else end - start
            return max(end - _FARTHER * beside, middle)
        return min(start + _FARTHER * (start - ins[chord - 1]), middle)

    def _hidden(self, chord: int, price: float, rounding: float) -> tuple[int, float]:
        """How much more than its ends a point on this chord may gain at most, and where.

        It is no higher than where the chords on both sides, drawn on, meet.
        """
        ins, outs = self.ins, self.outs
        start, width = ins[chord], ins[chord + 1] - ins[chord]
        if width < 2 or (start, start + width) in self.flat:
            return 0, 0.0
        if chord == 0:
            return width // 2, inf
        rise = outs[chord + 1] - outs[chord]
        before = -self.slopes[chord - 1] + rounding / (start - ins[chord - 1])
        last = chord + 2 == len(ins)
        after = 0.0 if last else -self.slopes[chord + 1] - rounding / (ins[chord + 2] - ins[chord + 1])
        if before <= after:
            return 0, 0.0
        meet = min(max((rise - after * width) / (before - after), 0.0), width)
        height = min(before * meet, rise - after * (width - meet))
        edge = max(width // _EDGE, 1)
        return start + min(max(int(meet), edge), width - edge), height - price * meet - max(0.0, rise - price * width)

    def _fit_at(self, vertex: int) -> tuple[float, float, float, float]:
        """For prices between the slopes at a point: pull and offset, with which the amount is offset + pull · root.

        And the least and the most that it can be.
        """
        ins = self.ins
        here = float(ins[vertex])
        low = high = here
        if vertex and (ins[vertex - 1], ins[vertex]) not in self.flat:
            low = self._meeting(vertex - 1, ins[vertex - 1])
        if vertex + 1 < len(ins) and (ins[vertex], ins[vertex + 1]) not in self.flat:
            high = self._meeting(vertex, ins[vertex + 1])
        fit = self._through(vertex)
        if fit is None:
            found = (0.0, here, low, high)
        else:
            product, depth, first = fit
            found = (sqrt(product * depth), ins[first] - depth, low, high)
        self._fits[vertex] = found
        return found

    def _meeting(self, chord: int, otherwise: int) -> float:
        """Where the chords on both sides of this one, drawn on, meet; `otherwise` where there are none."""
        ins, outs, slopes = self.ins, self.outs, self.slopes
        if not 0 < chord < len(slopes) - 1:
            return float(otherwise)
        before, after = -slopes[chord - 1], -slopes[chord + 1]
        if before <= after:  # as floats
            return float(otherwise)
        width = ins[chord + 1] - ins[chord]
        meet = (outs[chord + 1] - outs[chord] - after * width) / (before - after)
        return ins[chord] + min(max(meet, 0.0), float(width))

    def _through(self, vertex: int) -> tuple[float, float, int] | None:
        """Product and depth of the constant product through three points about this one, and the first of them."""
        ins, outs = self.ins, self.outs
        if len(ins) < 3:
            return None
        first = min(max(vertex - 1, 0), len(ins) - 3)
        start, out = ins[first], outs[first]
        near, far = ins[first + 1] - start, ins[first + 2] - start
        near_price, far_price = (outs[first + 1] - out) / near, (outs[first + 2] - out) / far
        if not 0 < far_price < near_price:
            return None
        bend = 1 / far_price - 1 / near_price
        if bend <= 0:  # as floats
            return None
        product = (far - near) / bend
        depth = product / near_price - near
        return (product, depth, first) if depth > 0 else None

    def _value(self, amount: float) -> float:
        """What is paid for `amount`, as far as can be told."""
        ins, outs = self.ins, self.outs
        place = bisect_left(ins, amount)
        if place == len(ins):
            return float(outs[-1])
        if ins[place] == amount:
            return float(outs[place])
        fit = self._through(place)
        if fit is None or (ins[place - 1], ins[place]) in self.flat:
            return outs[place - 1] - self.slopes[place - 1] * (amount - ins[place - 1])
        product, depth, first = fit
        reached = amount - ins[first]
        return outs[first] + product * reached / (depth + reached)


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


def _is_below(ins: Sequence[int], outs: Sequence[int], place: int) -> bool:
    """Whether a point lies on the chord between its neighbours, or below."""
    before, after = ins[place] - ins[place - 1], ins[place + 1] - ins[place]
    return (outs[place] - outs[place - 1]) * after <= (outs[place + 1] - outs[place]) * before


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
    jump = 1 / sqrt(-basin.slopes[max(chord, 0)])
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
