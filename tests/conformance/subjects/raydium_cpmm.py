"""Raydium CPMM's vectors."""

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
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmPool, RaydiumCpmmVenue
from chalicelib.venues.venue import Pool, Venue
from tests.conformance.vector_file import VectorCase


class RaydiumCpmmSubject:
    venue: Venue = RaydiumCpmmVenue()
    errors: Mapping[str, type[ExecutionError]] = {
        "RequireGtViolated": AmountTooSmall,  # nothing would come out, or go in
        "NotApproved": VenueUnavailable,
        "ExceededSlippage": SlippageExceeded,
        "ZeroTradingTokens": AmountTooSmall,
        "InsufficientVault": InsufficientLiquidity,
        "InvalidFeeModel": VenueUnavailable,
    }
    not_reproduced: frozenset[str] = frozenset()

    def withheld(self, case: VectorCase) -> frozenset[Pubkey]:
        return frozenset()

    def effects(self, pool: Pool, case: VectorCase) -> dict[str, int]:
        assert isinstance(pool, RaydiumCpmmPool)
        side = [mint.address for mint in pool.mints].index(case.mint_in)
        outcome = pool.swap(side, case.amount_in, case.clock)
        return {
            "amount_in_taken": outcome.amount_in,
            "vault_in_delta": outcome.vault_in,
            "vault_out_delta": outcome.vault_out,
            "protocol_fee": outcome.protocol_fee,
            "fund_fee": outcome.fund_fee,
            "creator_fee": outcome.creator_fee,
        }
