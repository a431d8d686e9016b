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
from itertools import pairwise
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

# The constant product through three points: product and depth, and what had gone in at the first of them.
_Product = tuple[float, float, int]
# Of a curve at the prices from one to another: pull and offset, with which the amount is offset + pull · root, and the
# least and the most that it can be.
Piece = tuple[float, float, float, float, float, float]
_NOWHERE: Piece = (inf, 0.0, 0.0, 0.0, 0.0, 0.0)
_UNTRIED: _Product = (0.0, 0.0, 0)


class Basin:
    """An outlet's curve as far as it is known: the concave hull of exact points, from nothing for nothing on."""

    __slots__ = (
        "_pieces",
        "_products",
        "flat",
        "index",
        "ins",
        "outlet",
        "outs",
        "part",
        "piece",
        "refused",
        "shown",
        "slopes",
    )

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
        # by the first of three points, the constant product through them
        self._products: dict[int, _Product | None] = {}
        # by vertex, and the one that was last looked at
        self._pieces: dict[int, Piece] = {}
        self.piece = _NOWHERE
        self._recall(amount)
        for _ in range(_SHRINKINGS):
            self.learn(amount)
            if self.slopes or not amount:
                break
            amount //= _FIRST_PARTS[0]
        for part in _FIRST_PARTS:
            self.learn(self.most // part)

    def _recall(self, most: int) -> None:
        """Begin with what the outlet was asked before, up to `most`."""
        ins, outs = self.ins, self.outs
        answers = self.outlet.answers(most)
        for amount, paid in answers:
            if paid is None:
                self.refused = amount
                break
            if not paid:
                continue
            while len(ins) > 1 and _is_below(ins[-2], outs[-2], ins[-1], outs[-1], amount, paid):
                del ins[-1], outs[-1]
            ins.append(amount)
            outs.append(paid)
        self.slopes = [(a - b) / (d - c) for (c, d), (a, b) in zip(pairwise(ins), pairwise(outs), strict=True)]
        for amount, paid in answers:
            place = bisect_left(ins, amount)
            if paid and 0 < place < len(ins) and ins[place] != amount:
                self._note_flat(place, amount)

    @property
    def most(self) -> int:
        return self.ins[-1]

    def ask(self, amount: int) -> float:
        """Learn what is paid for `amount`, if that is something new; how far off what was expected was."""
        expected = self._value(amount) if len(self.ins) > 2 else inf
        paid = self.learn(amount)
        return abs(expected - paid) if paid > 0 else -float(paid)

    def learn(self, amount: int) -> float:
        """What is paid for `amount`; 0 where that is nothing new, and less than any number where nothing is paid."""
        ins, outs = self.ins, self.outs
        if not 0 < amount < self.refused:
            return 0
        place = bisect_left(ins, amount)
        if place < len(ins) and (ins[place] == amount or (ins[place - 1], ins[place]) in self.flat):
            return 0
        paid = self.outlet.paid(amount)
        if paid <= 0:
            if not self.outlet.takes(amount):
                self.refused = amount
            return -inf
        if place < len(ins):
            before = place - 1
            if _is_below(ins[before], outs[before], amount, paid, ins[place], outs[place]):
                if self._note_flat(place, amount):
                    self._forget()
                return paid
        self._insert(place, amount, paid)
        return paid

    def _note_flat(self, place: int, amount: int) -> bool:
        """Whether a point on the chord to a place, or below it, tells that the chord is the curve: near its middle."""
        start, end = self.ins[place - 1], self.ins[place]
        if min(amount - start, end - amount) * _EDGE < end - start:
            return False
        self.flat.add((start, end))
        return True

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
            self.learn((self.ins[place - 1] + self.ins[place]) // 2)

    def ask_most(self, halvings: int) -> None:
        """Learn more nearly what is the most that the outlet takes."""
        taken, self.refused = self.outlet.room_between(self.most, self.refused, halvings)
        self.learn(taken)

    def _insert(self, place: int, amount: int, paid: int) -> None:
        """Put a point in its place, and drop those beside it that lie below the hull with it."""
        ins, outs, slopes = self.ins, self.outs, self.slopes
        before, after, last = place - 1, place, len(ins) - 1
        while before and _is_below(ins[before - 1], outs[before - 1], ins[before], outs[before], amount, paid):
            before -= 1
        while after < last and _is_below(amount, paid, ins[after], outs[after], ins[after + 1], outs[after + 1]):
            after += 1
        chords = [(outs[before] - paid) / (amount - ins[before])]
        if after <= last:
            chords.append((paid - outs[after]) / (ins[after] - amount))
        slopes[before:after] = chords
        ins[before + 1 : after] = (amount,)
        outs[before + 1 : after] = (paid,)
        self._forget()

    def _forget(self) -> None:
        """What followed from the points known before."""
        self._products.clear()
        self._pieces.clear()
        self.piece = _NOWHERE

    def at(self, price: float, root: float) -> tuple[float, float]:
        """How much goes in at this marginal price, and by how much more for each unit of `root`, 1 / √price."""
        _, _, pull, offset, low, high = self.piece_at(price)
        amount = offset + pull * root
        if amount <= low:
            return low, 0.0
        if amount >= high:
            return high, 0.0
        return amount, pull

    def piece_at(self, price: float) -> Piece:
        """What is thought of the curve at this marginal price."""
        slopes = self.slopes
        vertex = bisect_left(slopes, -price)
        piece = self._pieces.get(vertex)
        if piece is None:
            piece = self._pieces[vertex] = self._piece(vertex)
        self.piece = piece
        return piece

    def surplus(self, amount: float, price: float) -> float:
        """What `amount` is paid more than at `price` for each of its units."""
        return self._value(amount) - price * amount

    def most_beyond(self, price: float) -> float:
        """What it may be paid at most beyond this price for each unit, by what is known: no part of it is paid more."""
        ins, slopes = self.ins, self.slopes
        vertex = bisect_left(slopes, -price)
        paid = self.outs[vertex] - price * ins[vertex]
        if vertex == len(slopes):
            return paid + max((-slopes[-1] - price) * (self.refused - 1 - ins[-1]), self._hidden_at(vertex - 1, price))
        return paid + max(self._hidden_at(vertex - 1, price), self._hidden_at(vertex, price))

    def _hidden_at(self, chord: int, price: float) -> float:
        """How much more than its ends a point on this chord may gain; of the first, as far as can be told."""
        if chord < 0:
            return 0.0
        if chord:
            return max(self._hidden(chord, price, 0.0)[1], 0.0)
        ins, outs = self.ins, self.outs
        part, _ = self.at(price, 1 / sqrt(price))
        return max(self.surplus(part, price) - max(outs[1] - price * ins[1], 0.0), 0.0) if part < ins[1] else 0.0

    def look_into(self, doubts: Sequence[int], price: float, rounding: float, times: int) -> bool:
        """Ask for what is in doubt at this price, and so often for what is then; whether there was anything new."""
        before = self.known
        for time in range(times):
            if time:
                doubts = self.doubts(price, rounding)
            known = self.known
            for amount in doubts:
                self.learn(amount)
            if self.known == known:
                # asked before, when it was on another chord: of one that may be the curve itself the middle tells
                for amount in doubts:
                    self.ask_about(amount)
            if self.known == known:
                break
        return self.known > before

    def plateau(self, amount: float, rounding: float) -> int:
        """So far from `amount` the curve has bent by `rounding` output units, as far as can be told; 0 where it can't.

        At a constant product's curve the price falls by 2·R·D / (D + t)³ a unit.
        """
        fit = self._through(min(bisect_left(self.ins, amount), len(self.ins) - 1))
        if fit is None:
            return 0
        product, depth, first = fit
        return int(sqrt(rounding * (depth + amount - first) ** 3 / (product * depth)))

    def gives(self, amount: float, price: float) -> float:
        """How much more than `amount` goes in for each unit by which the price falls from `price`.

        A constant product's: (D + t) / (2 · price). It is no less than if the outlet had held nothing before.
        """
        fit = self._through(min(bisect_left(self.ins, amount), len(self.ins) - 1))
        reached = amount if fit is None else max(amount, fit[1] + amount - fit[2])
        return reached / (2 * price)

    def doubts(self, price: float, rounding: float) -> list[int]:
        """Where there may be more to gain at this price than twice `rounding` output units."""
        slopes, ins = self.slopes, self.ins
        vertex = bisect_left(slopes, -price)
        found = []
        for chord in range(vertex - 1, -1, -1):
            where, gain = self._hidden(chord, price, rounding)
            if gain > 2 * rounding:
                found.append(self._in_doubt(chord, price, rounding, where, downwards=True))
            if -slopes[chord] - rounding / (ins[chord + 1] - ins[chord]) > price:
                break
        for chord in range(vertex, len(slopes)):
            where, gain = self._hidden(chord, price, rounding)
            if gain > 2 * rounding:
                found.append(self._in_doubt(chord, price, rounding, where, downwards=False))
            if rounding / (ins[chord + 1] - ins[chord]) - slopes[chord] < price:
                break
        return found

    def _in_doubt(self, chord: int, price: float, rounding: float, where: int, *, downwards: bool) -> int:
        """Where to look on a chord; further off where it is but the rounding of a short chord beside it."""
        if self._hidden(chord, price, 0.0)[1] > 2 * rounding:
            return where
        return self._farther(chord, downwards)

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
        ins, slopes = self.ins, self.slopes
        start, end = ins[chord], ins[chord + 1]
        width = end - start
        if width < 2 or (start, end) in self.flat:
            return 0, 0.0
        if chord == 0:
            return width // 2, inf
        rise = self.outs[chord + 1] - self.outs[chord]
        before = rounding / (start - ins[chord - 1]) - slopes[chord - 1]
        after = 0.0
        if chord + 1 < len(slopes):
            after = -slopes[chord + 1] - rounding / (ins[chord + 2] - end)
        if before <= after:
            return 0, 0.0
        meet = (rise - after * width) / (before - after)
        if meet < 0:
            meet, height = 0.0, rise - after * width
        elif meet > width:
            meet, height = float(width), before * width
        else:
            height = before * meet
        where, edge = int(meet), width // _EDGE or 1
        if where < edge:
            where = edge
        elif where > width - edge:
            where = width - edge
        better_end = rise - price * width
        return start + where, height - price * meet - (better_end if better_end > 0 else 0.0)

    def _piece(self, vertex: int) -> Piece:
        """For prices between the slopes at a point."""
        ins, slopes = self.ins, self.slopes
        low = high = float(ins[vertex])
        first, last = 0.0, inf
        if vertex:
            last = -slopes[vertex - 1]
            if (ins[vertex - 1], ins[vertex]) not in self.flat:
                low = self._meeting(vertex - 1, ins[vertex - 1])
        if vertex < len(slopes):
            first = -slopes[vertex]
            if (ins[vertex], ins[vertex + 1]) not in self.flat:
                high = self._meeting(vertex, ins[vertex + 1])
        fit = self._through(vertex)
        if fit is None:
            return first, last, 0.0, float(ins[vertex]), low, high
        product, depth, start = fit
        return first, last, sqrt(product * depth), start - depth, low, high

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

    def _through(self, vertex: int) -> _Product | None:
        """The constant product through three points about this one."""
        first = min(max(vertex - 1, 0), len(self.ins) - 3)
        product = self._products.get(first, _UNTRIED)
        if product is _UNTRIED:
            product = self._products[first] = self._product(first)
        return product

    def _product(self, first: int) -> _Product | None:
        ins, outs = self.ins, self.outs
        if first < 0:
            return None
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
        return (product, depth, start) if depth > 0 else None

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
        product, depth, start = fit
        reached = amount - start
        return outs[min(max(place - 1, 0), len(ins) - 3)] + product * reached / (depth + reached)


def _is_below(start: int, start_out: int, amount: int, out: int, end: int, end_out: int) -> bool:
    """Whether what is paid for an amount lies on the chord from `start` to `end`, or below it."""
    return (out - start_out) * (end - amount) <= (end_out - out) * (amount - start)
