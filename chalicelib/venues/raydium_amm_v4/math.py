"""Raydium AMM v4's swap of an exact input, to the unit: a constant product with one fee. Amounts are base units.

Source: raydium-io/raydium-amm, program/src: processor.rs `process_swap_base_in_v2`, math.rs
`Calculator::swap_token_amount_base_in` and `checked_ceil_div`.
"""

from __future__ import annotations

from chalicelib.venues.raydium_amm_v4.refusals import INSUFFICIENT_FUNDS, INVALID_INPUT, AmmV4SwapRefused


def traded(amount_in: int, reserve_in: int, reserve_out: int, numerator: int, denominator: int) -> tuple[int, int]:
    """The fee, in input tokens and rounded up, and what leaves the vault. Raises SwapRefused with the program's code.

    The fee is `numerator` / `denominator` of the input, at most all of it. A release of 2025 rounded a fee of less than
    half a unit down to nothing; today's takes one.
    """
    fee = -(-amount_in * numerator // denominator)
    after_fee = amount_in - fee
    pool_in = reserve_in + after_fee
    amount_out = reserve_out * after_fee // pool_in if pool_in else 0
    if not amount_out:
        raise AmmV4SwapRefused(INVALID_INPUT)
    if amount_out >= reserve_out:
        raise AmmV4SwapRefused(INSUFFICIENT_FUNDS)
    return fee, amount_out
