"""Meteora DAMM v1's vectors.

Of three kinds the programs do what no order wants, and the venue refuses: they take an amount and pay nothing for it,
or less than the floor, which they compare with what the pool loses.
"""

from __future__ import annotations

from collections.abc import Mapping

from solders.pubkey import Pubkey

from chalicelib.problems import AmountTooSmall, ExecutionError, SlippageExceeded, VenueUnavailable
from chalicelib.venues.meteora_damm_v1.pool import MeteoraDammV1Pool, MeteoraDammV1Venue
from chalicelib.venues.venue import Pool, Venue
from tests.conformance.vector_file import VectorCase


class MeteoraDammV1Subject:
    venue: Venue = MeteoraDammV1Venue()
    errors: Mapping[str, type[ExecutionError]] = {
        "PoolDisabled": VenueUnavailable,
        "VaultIsDisabled": VenueUnavailable,
        "ExceededSlippage": SlippageExceeded,
        "ZeroTradingTokens": AmountTooSmall,
        "AmountMustGreaterThanZero": AmountTooSmall,  # nothing is left to be deposited
    }
    not_reproduced: frozenset[str] = frozenset({"pays_nothing", "zero_amount", "floor_not_kept"})

    def withheld(self, case: VectorCase) -> frozenset[Pubkey]:
        return frozenset()

    def effects(self, pool: Pool, case: VectorCase) -> dict[str, int]:
        assert isinstance(pool, MeteoraDammV1Pool)
        side = [mint.address for mint in pool.mints].index(case.mint_in)
        outcome = pool.swap(side, case.amount_in, case.clock)
        return {
            "amount_in_taken": case.amount_in,
            "protocol_fee": outcome.protocol_fee,
            "lp_amount_in_after": pool.vaults[side].pool_lp + outcome.lp_in,
            "lp_amount_out_after": pool.vaults[1 - side].pool_lp - outcome.lp_out,
        }
