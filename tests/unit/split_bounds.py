"""What no split can be worth more than, whatever it is: told by prices, without any split. It knows nothing of routing.

At any price of the input, a split is paid at most that price for all of it, and what each leg is paid beyond that; and
no leg is paid more beyond it than its pool pays where that is most. The best of such bounds is the least.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from chalicelib.routing.outlet import Outlet

# Prices are in parts of this.
_ONE = 1 << 96
# Bits to which the best price is looked for.
_PRECISION = 50
# Outputs are concave but for rounding, which may lead a search so many units of the input astray.
_ASTRAY = 1 << 12


def most_of_any_split(outlets: Sequence[Outlet], amount: int, max_legs: int, leg_cost: int) -> int:
    """Base units of output less `leg_cost` for each leg but one, to within what rounding takes of each leg."""
    # how much goes in at a price that is too high, and at one that is too low
    least, most = [0] * len(outlets), [outlet.room(amount) for outlet in outlets]
    low, high = 0, max(_first_price(outlet, room) for outlet, room in zip(outlets, most, strict=True))
    bounds = []
    while high - low > max(low >> _PRECISION, 1):
        price = (low + high) // 2
        parts = [_best_part(*each, price) for each in zip(outlets, least, most, strict=True)]
        beyond = [_ONE * outlet.paid(part) - price * part for outlet, part in zip(outlets, parts, strict=True)]
        paid_most = sorted(range(len(outlets)), key=lambda index: -beyond[index])[:max_legs]
        legs = [index for index in paid_most if beyond[index] > 0]
        sums = accumulate(beyond[index] for index in legs)
        worth = [total // _ONE - leg_cost * others for others, total in enumerate(sums)]
        bounds.append(price * amount // _ONE + max(worth, default=0))
        if sum(parts[index] for index in legs) < amount:
            high, least = price, parts
        else:
            low, most = price, parts
    return min(bounds)


def _first_price(outlet: Outlet, room: int) -> int:
    """More than any part of it is paid for a unit, where it takes more than a little."""
    few = room >> 20
    return 2 * _ONE * outlet.paid(few) // few if few else 0


def _best_part(outlet: Outlet, least: int, most: int, price: int) -> int:
    """What is paid most beyond the price, of the parts between two."""
    low, high = max(least - _ASTRAY, 0), most

    def beyond(part: int) -> int:
        return _ONE * outlet.paid(part) - price * part

    best = max((low, high), key=beyond)
    while high - low > 2:
        third = (high - low) // 3
        left, right = low + third, high - third
        best = max((best, left, right), key=beyond)
        if beyond(left) < beyond(right):
            low = left
        else:
            high = right
    return best
