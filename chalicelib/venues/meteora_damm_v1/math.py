"""Meteora DAMM v1's arithmetic, to the unit: shares of vaults, fees, both curves. Amounts are base units.

Source: MeteoraAg/damm-v1-sdk, dynamic-amm-quote/src/lib.rs `compute_quote` and src/math,
programs/dynamic-amm/src/state.rs `calculate_fee`, programs/dynamic-vault/src/state.rs `Vault`, `LockedProfitTracker`;
solana-program-library, token-swap/program/src/curve/constant_product.rs `swap`; saber-hq/stable-swap,
stable-swap-math/src/curve.rs.
"""

from __future__ import annotations

_DEGRADATION_DENOMINATOR = 10**12
# By how much a pool may lose more than it pays.
ROUNDING_OF_THE_POOL = 1
# Of Newton's method.
_STEPS = range(1, 257)
# The program computes with 192 bits.
_MOST = (1 << 192) - 1
_TOO_LONG = "the curve's numbers are too long"


def locked_profit(amount: int, last_report: int, degradation: int, now: int) -> int | None:
    """What of a vault's last profit counts for nobody yet at `now`; None before it was reported."""
    elapsed = now - last_report
    if elapsed < 0:
        return None
    left = _DEGRADATION_DENOMINATOR - elapsed * degradation
    return amount * left // _DEGRADATION_DENOMINATOR if left > 0 else 0


def fee_on(amount: int, numerator: int, denominator: int) -> int:
    """Rounded down, and at least one unit where there is a fee and an amount; `denominator` is not zero."""
    if not numerator or not amount:
        return 0
    return amount * numerator // denominator or 1


def constant_product_out(amount: int, reserve_in: int, reserve_out: int) -> int:
    """What the curve gives for `amount`; the new reserve is rounded up. 0 also where the program can't compute it."""
    product, pool_in = reserve_in * reserve_out, reserve_in + amount
    # The program divides no small number by a large one.
    if product < pool_in or not pool_in:
        return 0
    return reserve_out - -(-product // pool_in)


def guaranteed(amount_out: int, pool_loss: int) -> int:
    """The highest floor under `amount_out` that the program can hold, which compares its floor with `pool_loss`.

    With U for what the vault's S LP tokens stand for, of which the pool burns l of its L for p = floor(l U / S), the
    pool loses floor(L U / S) - floor((L - l) (U - p) / (S - l)). As L is at most S, that is p or p + 1. So a floor of
    one more than a sum guarantees the sum, and where the pool loses just p, that sum is p - 1.
    """
    sure = pool_loss - ROUNDING_OF_THE_POOL
    return amount_out if amount_out < sure else sure


def invariant(amplification: int, amount_in: int, amount_out: int) -> tuple[int, int]:
    """The stable curve's D (`compute_d`) over both sides' amounts; 0 where one is empty, or the numbers too long.

    With it the steps of Newton's method that it takes: the program burns units for each.
    """
    if not amount_in or not amount_out:
        return 0, 0
    ann = 2 * amplification
    twice_in, twice_out, leverage = 2 * amount_in, 2 * amount_out, (amount_in + amount_out) * ann
    d = amount_in + amount_out
    for steps in _STEPS:
        cubed = d * d // twice_in * d
        product = cubed // twice_out
        numerator = d * (2 * product + leverage)
        if cubed > _MOST or numerator > _MOST:
            return 0, steps
        previous, d = d, numerator // (d * (ann - 1) + 3 * product)
        if previous - d <= 1 and d - previous <= 1:
            return d, steps
    return d, len(_STEPS)


def other_amount(amplification: int, amount: int, d: int) -> tuple[int, int]:
    """How much of the other side goes with `amount` at the invariant `d` (`compute_y`), and the steps that it takes.

    Raises OverflowError where the numbers get too long.
    """
    ann = 2 * amplification
    cubed = d * d // (2 * amount) * d
    if cubed > _MOST:
        raise OverflowError(_TOO_LONG)
    c = cubed // (2 * ann)
    b_less_d = d // ann + amount - d
    y = d
    for steps in _STEPS:
        numerator = y * y + c
        if numerator > _MOST:
            raise OverflowError(_TOO_LONG)
        previous, y = y, numerator // (y + y + b_less_d)
        if previous - y <= 1 and y - previous <= 1:
            return y, steps
    return y, len(_STEPS)
