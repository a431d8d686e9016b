"""Numbers of 64 bits before the point and 64 after it, as Meteora's programs reckon with them."""

from __future__ import annotations

ONE = 1 << 64


def power(base: int, exponent: int) -> int:
    """`base`, at most one, to a whole `exponent` from 0 up; each product is rounded down, so that it may come to 0.

    Source: the loop in DLMM's math/u64x64_math.rs `pow`; DAMM v2: math/fee_math.rs `get_fee_in_period`.
    """
    result = ONE
    while exponent:
        if exponent & 1:
            result = result * base >> 64
        base = base * base >> 64
        exponent >>= 1
    return result
