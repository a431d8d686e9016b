"""Raydium AMM v4's vectors.

The swaps that were recorded name an order book. Ours name none, and the program refuses them at pools that make a
market there (status 1 and 5): their cases are counted apart.
"""

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
from chalicelib.venues.raydium_amm_v4.layout import STATUS_SWAP_ONLY, STATUS_WAITING_TRADE
from chalicelib.venues.raydium_amm_v4.pool import RaydiumAmmV4Pool, RaydiumAmmV4Venue
from chalicelib.venues.venue import Pool, Venue
from tests.conformance.vector_file import VectorCase


class RaydiumAmmV4Subject:
    venue: Venue = RaydiumAmmV4Venue()
    errors: Mapping[str, type[ExecutionError]] = {
        "InvalidStatus": VenueUnavailable,
        "InvalidInput": AmountTooSmall,  # nothing would come out, or go in
        "ExceededSlippage": SlippageExceeded,
        "CheckedSubOverflow": InsufficientLiquidity,  # a vault holds less than it owes
        "InsufficientFunds": InsufficientLiquidity,  # of the pool: the user's is a kind of its own
    }
    not_reproduced: frozenset[str] = frozenset({"orderbook_empty", "orderbook_funds", "orderbook_only"})

    def withheld(self, case: VectorCase) -> frozenset[Pubkey]:
        return frozenset()

    def effects(self, pool: Pool, case: VectorCase) -> dict[str, int]:
        assert isinstance(pool, RaydiumAmmV4Pool)
        side = [mint.address for mint in pool.mints].index(case.mint_in)
        fee, _ = pool.swap(side, case.amount_in, case.clock)
        # a pool that waited for its opening is open from its first swap on
        status = STATUS_SWAP_ONLY if pool.status == STATUS_WAITING_TRADE else pool.status
        return {"amount_in_taken": case.amount_in, "swap_fee": fee, "status_after": status}
