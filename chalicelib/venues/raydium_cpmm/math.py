"""Raydium CPMM's swap_base_input, to the unit: a constant product with fees. Amounts are base units, rates millionths.

Source: raydium-io/raydium-cp-swap, programs/cp-swap/src: curve/calculator.rs `swap_base_input`,
curve/constant_product.rs, curve/fees.rs, states/pool.rs `is_creator_fee_on_input`.
"""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.venues.raydium_cpmm.refusals import INVALID_FEE_MODEL, ZERO_TRADING_TOKENS, SwapRefused

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
        raise SwapRefused(INVALID_FEE_MODEL)
    return creator_fee_on in (CREATOR_FEE_ON_BOTH, CREATOR_FEE_ON_TOKEN_0 + side_in)


def traded_on_curve(
    amount: int, reserve_in: int, reserve_out: int, trade_rate: int, creator_rate: int, creator_fee_on_input: bool
) -> tuple[int, int, int]:
    """Trade fee, creator fee, and what leaves the vault for `amount` that arrives in the other; reserves above zero.

    Raises SwapRefused with the program's code.
    """
    if creator_fee_on_input:
        trade_fee, creator_fee = _input_fees(amount, trade_rate, creator_rate)
    else:
        trade_fee, creator_fee = -(-amount * trade_rate // FEE_RATE_DENOMINATOR), 0
    traded = amount - trade_fee - creator_fee
    if traded < 0:
        raise SwapRefused(ZERO_TRADING_TOKENS)
    vault_out = traded * reserve_out // (reserve_in + traded)
    if not creator_fee_on_input:
        creator_fee = -(-vault_out * creator_rate // FEE_RATE_DENOMINATOR)
        vault_out -= creator_fee
    return trade_fee, creator_fee, vault_out


def _input_fees(amount: int, trade_rate: int, creator_rate: int) -> tuple[int, int]:
    """Trade and creator fee on `amount` of input, rounded up together, then split (`Fees::split_creator_fee`)."""
    rate = trade_rate + creator_rate
    if rate == 0:
        # The program divides by the sum to split the fee, and so can't trade without one.
        raise SwapRefused(ZERO_TRADING_TOKENS)
    total_fee = -(-amount * rate // FEE_RATE_DENOMINATOR)
    creator_fee = total_fee * creator_rate // rate
    return total_fee - creator_fee, creator_fee
