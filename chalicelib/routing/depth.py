"""How deep a pool is, asked of the pool itself: what it trades either way near its mid price. Pure, exact.

Depth is the weight of a pool's word about a price, for it is what moving that price takes. Quotes tell it, so it means
the same for every venue: a constant product's reserves and the bins around the active one alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, isqrt

from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.venue import Pool

# What is traded brings so many parts of what the mid price says.
_KEEPS = Fraction(9, 10)
# The search starts with an amount of so many base units that brings as many: enough for rounding not to matter.
_FIRST = 1_000
# It steps up by this factor where nothing tells more, and then closes in to within a 256th.
_STRIDE = 256
_PRECISION = 256
# Where a pool's prices fall evenly the amount is known from one quote, and one on its other side ends the search.
_BESIDE = 600
# A quote tells how evenly they fall if so many of its base units are missing: fewer may be rounding's.
_TELLS = 64
# In so many quotes it closes in as they tell; then by halves, whatever they tell.
_GUESSES = 8
_U64_MAX = (1 << 64) - 1


def depth_of(pool: Pool, mint_in: Pubkey, price: Fraction, clock: ChainClock) -> int:
    """What the pool trades at most a tenth off its mid price before its own fees, in base units of `mint_in`.

    `price` is its mid price for them, above zero. The smaller of both directions counts: offers at an absurd price cost
    their owner nothing as long as nobody would take them, and the side that somebody would take is gone at once. 0
    where the pool trades only one way, or not now. Amounts for which more accounts must be read count as not traded,
    and what a token's transfer fee takes counts as not paid.
    """
    mint_out = next(side.mint for side in pool.sides if side.mint != mint_in)
    sold = _traded(pool, mint_in, price, clock)
    return min(sold, int(_traded(pool, mint_out, 1 / price, clock) / price)) if sold else 0


def _traded(pool: Pool, mint_in: Pubkey, price: Fraction, clock: ChainClock) -> int:
    """The largest input, to within a 256th, that brings no less than nine tenths of the mid price.

    It is compared with the mid price and not with what the first units bring, so that a few units of dust at a price
    of somebody's choice are not taken for the pool's.
    """
    low = max(_FIRST, ceil(_FIRST / price))
    at_low = _missing(pool, mint_in, price, low, clock)
    if at_low is None or at_low.is_too_much:
        return 0
    high, told, guesses = 0, at_low, 0
    while not high or high - low > max(low // _PRECISION, 1):
        amount = _next(low, high, told.reaches if guesses < _GUESSES else None)
        guesses += 1
        missing = _missing(pool, mint_in, price, amount, clock)
        if missing is not None and missing.reaches is not None:
            told = missing
        if missing is None or missing.is_too_much:
            high = amount
        else:
            low = amount
    return low


@dataclass(frozen=True, slots=True)
class _Missing:
    """What an amount's quote lacks of the mid price.

    `reaches`: the amount that would lack a tenth, if what lacks grows evenly, as it does in a constant product; None
    where it is too little to tell.
    """

    is_too_much: bool
    reaches: int | None


def _missing(pool: Pool, mint_in: Pubkey, price: Fraction, amount: int, clock: ChainClock) -> _Missing | None:
    """None where the pool doesn't trade the amount."""
    if amount > _U64_MAX:
        return None
    try:
        quote = pool.quote(mint_in, amount, clock)
    except ExecutionError:
        return None
    fee_in, fee_out = (quote.fee, 0) if quote.fee_mint == mint_in else (0, quote.fee)
    # both in parts of a base unit of the output as small as the price's
    fair, paid = (quote.amount_in - fee_in) * price.numerator, (quote.amount_out + fee_out) * price.denominator
    missing = fair - paid
    reaches = None
    if missing > _TELLS * price.denominator:
        # fair / paid - 1 grows evenly with the amount, and is a ninth where nine tenths are paid
        reaches = amount * paid * (_KEEPS.denominator - _KEEPS.numerator) // (missing * _KEEPS.numerator)
    return _Missing(paid * _KEEPS.denominator < fair * _KEEPS.numerator, reaches)


def _next(low: int, high: int, reaches: int | None) -> int:
    """The amount to be asked for next, between the two or, without `high`, above: beside what a quote has told, on the
    side that is open still, or in the middle.
    """
    if reaches is not None:
        step = reaches // _BESIDE + 1
        below, above = reaches - step, reaches + step
        if low + step < below and (not high or below < high):
            return below
        if low < above and (not high or above < high):
            return above
    if not high:
        return low * _STRIDE
    return isqrt(low * high) if high > 4 * low else (low + high) // 2
