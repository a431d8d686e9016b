"""Raydium CPMM's swap_base_input, to the unit: a constant product with fees. Amounts are base units, rates millionths.

Source: raydium-io/raydium-cp-swap, programs/cp-swap/src: curve/calculator.rs `swap_base_input`,
curve/constant_product.rs, curve/fees.rs, states/pool.rs `is_creator_fee_on_input`.
"""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.venues.raydium_cpmm.refusals import INVALID_FEE_MODEL, ZERO_TRADING_TOKENS, CpmmSwapRefused

FEE_RATE_DENOMINATOR = 1_000_000
CREATOR_FEE_ON_BOTH, CREATOR_FEE_ON_TOKEN_0, CREATOR_FEE_ON_TOKEN_1 = range(3)


class SwapOutcome(NamedTuple):
    """Everything that one swap_base_input changes, in base units."""

    amount_in: int  # leaves the trader
    input_transfer_fee: int  # of which the input mint withholds
    trade_fee: int  # in input tokens; the protocol's and the fund's fees are parts of it
    protocol_fee: int
    fund_fee: int
    creator_fee: int  # in input tokens, or in output tokens
    creator_fee_on_input: bool
    vault_out: int  # leaves the vault
    output_transfer_fee: int  # of which the output mint withholds

    @property
    def vault_in(self) -> int:
        """What arrives in the vault."""
        return self.amount_in - self.input_transfer_fee

    @property
    def amount_out(self) -> int:
        """What arrives at the trader."""
        return self.vault_out - self.output_transfer_fee


def is_creator_fee_on_input(creator_fee_on: int, side_in: int) -> bool:
    """Whether the creator's fee is taken from the input, token `side_in`. Raises SwapRefused."""
    if creator_fee_on > CREATOR_FEE_ON_TOKEN_1:
        raise CpmmSwapRefused(INVALID_FEE_MODEL)
    return creator_fee_on in (CREATOR_FEE_ON_BOTH, CREATOR_FEE_ON_TOKEN_0 + side_in)


def traded_on_curve(
    amount: int, reserve_in: int, reserve_out: int, trade_rate: int, creator_rate: int, creator_fee_on_input: bool
) -> tuple[int, int, int]:
    """Trade fee, creator fee, and what leaves the vault for `amount` that arrives in the other; reserves above zero.

    Both fees on the input are rounded up together, then split (`Fees::split_creator_fee`).
    Raises SwapRefused with the program's code.
    """
    rate = trade_rate + creator_rate if creator_fee_on_input else trade_rate
    # -(-a // b) rounds up, here and below.
    fees = -(-amount * rate // FEE_RATE_DENOMINATOR)
    traded = amount - fees
    # The program divides by the sum of both rates to split the fee, and so can't trade without one.
    if traded < 0 or (creator_fee_on_input and not rate):
        raise CpmmSwapRefused(ZERO_TRADING_TOKENS)
    vault_out = traded * reserve_out // (reserve_in + traded)
    if not creator_rate:
        return fees, 0, vault_out
    if creator_fee_on_input:
        creator_fee = fees * creator_rate // rate
        return fees - creator_fee, creator_fee, vault_out
    creator_fee = -(-vault_out * creator_rate // FEE_RATE_DENOMINATOR)
    return fees, creator_fee, vault_out - creator_fee


def shares_of_trade_fee(trade_fee: int, protocol_rate: int, fund_rate: int) -> tuple[int, int]:
    """The protocol's and the fund's parts of it, rounded down."""
    return trade_fee * protocol_rate // FEE_RATE_DENOMINATOR, trade_fee * fund_rate // FEE_RATE_DENOMINATOR
