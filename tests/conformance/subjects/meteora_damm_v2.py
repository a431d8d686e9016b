"""Meteora DAMM v2's vectors."""

from __future__ import annotations

from collections.abc import Mapping

from solders.pubkey import Pubkey

from chalicelib.problems import (
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    SlippageExceeded,
    VenueUnavailable,
)
from chalicelib.venues.meteora_damm_v2.pool import MeteoraDammV2Pool, MeteoraDammV2Venue
from chalicelib.venues.venue import Pool, Venue
from tests.conformance.vector_file import VectorCase


class MeteoraDammV2Subject:
    venue: Venue = MeteoraDammV2Venue()
    errors: Mapping[str, type[ExecutionError]] = {
        "MathOverflow": InsufficientLiquidity,  # the reserves that the pool counts don't cover it
        "ExceededSlippage": SlippageExceeded,
        "PoolDisabled": VenueUnavailable,
        "AmountIsZero": AmountTooSmall,
        "PriceRangeViolation": InsufficientLiquidity,
    }
    not_reproduced = frozenset(
        {
            "pays_nothing",  # the program takes the input and pays 0: ours refuses
            "no_sysvar",  # ours always hands it over where it is asked for
            "two_swaps_in_one_transaction",
        }
    )

    def withheld(self, case: VectorCase) -> frozenset[Pubkey]:
        return frozenset()

    def effects(self, pool: Pool, case: VectorCase) -> dict[str, int]:
        assert isinstance(pool, MeteoraDammV2Pool)
        side = [mint.address for mint in pool.mints].index(case.mint_in)
        outcome = pool.swap(side, case.amount_in, case.clock)
        referral_fee = 0
        if case.kind == "referral":
            referral_fee = outcome.split.protocol * pool.state.referral_fee_percent // 100
        fee_in_a = (side == 0) == outcome.fee_on_input
        protocol_fee = outcome.split.protocol - referral_fee
        lp_fee = outcome.split.compounding + outcome.split.claiming
        dynamic_fee = outcome.dynamic_fee
        return {
            "amount_in_taken": outcome.amount_in,
            "sqrt_price_after": outcome.sqrt_price,
            "token_a_amount_after": outcome.token_amounts[0],
            "token_b_amount_after": outcome.token_amounts[1],
            "protocol_fee_a": protocol_fee if fee_in_a else 0,
            "protocol_fee_b": 0 if fee_in_a else protocol_fee,
            "lp_fee_a": lp_fee if fee_in_a else 0,
            "lp_fee_b": 0 if fee_in_a else lp_fee,
            "referral_fee": referral_fee,
            "volatility_accumulator_after": 0 if dynamic_fee is None else dynamic_fee.volatility_accumulator,
            "last_update_after": 0 if dynamic_fee is None else dynamic_fee.last_update_timestamp,
        }
