"""What simple pools pay, as functions of the input alone, for the tests of the search for a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Pay = Callable[[int], int | None]


@dataclass(frozen=True, slots=True)
class ConstantProduct:
    """A pool of the simplest kind, its fee rounded up; it takes no more than `most`."""

    reserve_in: int
    reserve_out: int
    fee_ppm: int = 2_500
    most: int | None = None

    def __call__(self, amount: int) -> int | None:
        if self.most is not None and amount > self.most:
            return None
        traded = amount - -(-amount * self.fee_ppm // 1_000_000)
        return traded * self.reserve_out // (self.reserve_in + traded)


def steps(*bins: tuple[int, int]) -> Pay:
    """So much is taken at so many millionths each, then the next; no more than all of them."""

    def pay(amount: int) -> int | None:
        paid = 0
        for most, millionths in bins:
            part = min(amount, most)
            paid += part * millionths // 1_000_000
            amount -= part
        return None if amount else paid

    return pay
