"""How far rounding may take a pool's payments from falling per unit as more is sold. Pure.

What a pool pays is concave in what it is paid, but for two things: every division rounds, and a transfer fee that has
come to its maximum takes no more of what goes beyond. The second is no rounding: nothing is promised of such a pool.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from chalicelib.solana.tokens import Mint


def rounding_between(
    mints: tuple[Mint, Mint], price: Fraction, amount_in: int, epoch: int, roundings: int
) -> int | None:
    """What so many `roundings`, each of a unit of the input and one of the output, take: base units of the output.

    `mints` are what is sold and what is bought, `price` is the pool's best, base units of the second for one of the
    first. None where a transfer fee may come to its maximum within `amount_in` base units.
    """
    sold, bought = mints
    if _may_be_capped(sold, amount_in, epoch) or _may_be_capped(bought, ceil(price * amount_in), epoch):
        return None
    return roundings * (ceil(price) + 1)


def _may_be_capped(mint: Mint, amount: int, epoch: int) -> bool:
    if mint.transfer_fee is None:
        return False
    fee = mint.transfer_fee.at(epoch)
    return fee.basis_points > 0 and fee.fee(amount) >= fee.maximum_fee
