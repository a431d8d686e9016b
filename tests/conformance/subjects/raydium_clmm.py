"""Raydium CLMM's vectors: of the release before that of 2026, and of that."""

from __future__ import annotations

from collections.abc import Mapping

from solders.pubkey import Pubkey

from chalicelib.problems import (
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    SlippageExceeded,
    TransientError,
    VenueUnavailable,
)
from chalicelib.venues.raydium_clmm.math import split_fee
from chalicelib.venues.raydium_clmm.pool import RaydiumClmmPool, RaydiumClmmVenue
from chalicelib.venues.venue import Pool, Venue
from tests.conformance.vector_file import VectorCase

# What the release before that of 2026 makes of a pool whose vault it has just emptied.
_FROZEN = 255


class RaydiumClmmSubject:
    venue: Venue = RaydiumClmmVenue()
    errors: Mapping[str, type[ExecutionError]] = {
        "NotApproved": VenueUnavailable,
        "RequireGtViolated": VenueUnavailable,  # not open yet
        "LiquidityInsufficient": InsufficientLiquidity,
        "TooLittleOutputReceived": SlippageExceeded,
        "ZeroAmountSpecified": AmountTooSmall,
        "TooSmallInputOrOutputAmount": AmountTooSmall,
        "NotEnoughTickArrayAccount": TransientError,  # a tick array that the file doesn't hold
        "MissingTickArrayBitmapExtensionAccount": InsufficientLiquidity,  # no extension, no liquidity further on
        "InsufficientLiquidityForDirection": InsufficientLiquidity,
        # in words, from the models of the release of 2026
        "zero out": AmountTooSmall,
        "liquidity": InsufficientLiquidity,
    }
    not_reproduced: frozenset[str] = frozenset(
        {
            "first_array_only",
            "first_three_arrays",
            "arrays_reversed",
            "second_array_skipped",
            "no_arrays",
            "no_bitmap_ext",
        }
    )

    def withheld(self, case: VectorCase) -> frozenset[Pubkey]:
        return frozenset()

    def effects(self, pool: Pool, case: VectorCase) -> dict[str, int]:
        assert isinstance(pool, RaydiumClmmPool)
        fills, after, _ = pool.swap(case.mint_in, case.amount_in, case.clock)
        fees = [split_fee(fill, pool.rates.protocol, pool.rates.fund) for fill in fills]
        paid = sum(fill.paid for fill in fills)
        side = [mint.address for mint in pool.mints].index(case.mint_in)
        emptied = paid == pool.vault_amounts[1 - side]
        return {
            "amount_in_taken": case.amount_in,
            "tick_after": after.tick,
            "sqrt_price_after": after.sqrt_price,
            "liquidity_after": after.liquidity,
            "protocol_fee": sum(protocol for _, protocol, _ in fees),
            "fund_fee": sum(fund for _, _, fund in fees),
            "volatility_accumulator_after": after.accumulator,
            "status_after": _FROZEN if emptied else pool.state.status,
        }
