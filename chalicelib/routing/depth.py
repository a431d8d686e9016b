"""How deep a pool is, asked of the pool itself: what it trades either way near its mid price. Pure, exact.

Depth is the weight of a pool's word about a price, for it is what moving that price takes. Quotes tell it, so it means
the same for every venue: a constant product's reserves and the bins around the active one alike.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.venue import Pool

# How much less than the mid price what is traded may bring.
_WORSE_BY = Fraction(1, 10)
# The search starts with an amount of so many base units that brings as many: enough for rounding not to matter.
_FIRST = 1_000
# It steps up by this factor, and then closes in to within a 256th.
_STRIDE = 16
_PRECISION = 256
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

    def is_traded(amount: int) -> bool:
        return amount <= _U64_MAX and _keeps_to(price, pool, mint_in, amount, clock)

    low = max(_FIRST, ceil(_FIRST / price))
    if not is_traded(low):
        return 0
    high = low * _STRIDE
    while is_traded(high):
        low, high = high, high * _STRIDE
    while high - low > max(low // _PRECISION, 1):
        middle = (low + high) // 2
        low, high = (middle, high) if is_traded(middle) else (low, middle)
    return low


def _keeps_to(price: Fraction, pool: Pool, mint_in: Pubkey, amount: int, clock: ChainClock) -> bool:
    try:
        quote = pool.quote(mint_in, amount, clock)
    except ExecutionError:
        return False
    fee_in, fee_out = (quote.fee, 0) if quote.fee_mint == mint_in else (0, quote.fee)
    return quote.amount_out + fee_out >= (1 - _WORSE_BY) * price * (quote.amount_in - fee_in)
