"""What is known of an outlet's curve from a few exact quotes, and where the next quote would tell most.

An output is concave in its input, but for rounding. Of an outlet a few exact points are known, and by concavity they
bound what lies between: no higher than the chords on either side, drawn on. So it is known how much better than the
best point known an amount between two could be.

Where to look next is guessed, with floats: between three points every output is much like a constant product's
(out = R·t / (D + t)), and is one between two ticks. Nothing but where to look depends on a guess: the points are
amounts and payments in base units.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import inf, sqrt

from chalicelib.routing.outlet import Outlet

# The first points: an outlet's most, and such parts of it.
_FIRST_PARTS = (8, 64, 4_096)
# How often the input is made smaller by the first of these until an outlet takes it.
_SHRINKINGS = 14
# A point that tells too little lies at the edge between two others: the rounding of both hides it.
_EDGE = 64
# Beside two points that are close, the next is so many times as far.
_FARTHER = 16


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


def _is_below(ins: Sequence[int], outs: Sequence[int], place: int) -> bool:
    """Whether a point lies on the chord between its neighbours, or below."""
    before, after = ins[place] - ins[place - 1], ins[place + 1] - ins[place]
    return (outs[place] - outs[place - 1]) * after <= (outs[place + 1] - outs[place]) * before
