"""Meteora DLMM's vectors."""

from __future__ import annotations

from collections.abc import Mapping

from solders.pubkey import Pubkey

from chalicelib.problems import (
    AccountsMissing,
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    SlippageExceeded,
    VenueUnavailable,
)
from chalicelib.venues.meteora_dlmm.layout import BINS_PER_ARRAY
from chalicelib.venues.meteora_dlmm.math import BinFill, split_fee
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmPool, MeteoraDlmmVenue
from chalicelib.venues.pool_reader import read_pool
from chalicelib.venues.venue import Pool, Venue
from tests.conformance.vector_file import VectorCase


class MeteoraDlmmSubject:
    venue: Venue = MeteoraDlmmVenue()
    errors: Mapping[str, type[ExecutionError]] = {
        "AccountNotEnoughKeys": AccountsMissing,  # a bin array was not handed over
        "ExceededAmountSlippageTolerance": SlippageExceeded,
        "PairInsufficientLiquidity": InsufficientLiquidity,
        "BitmapExtensionAccountIsNotProvided": InsufficientLiquidity,  # no liquidity further on
        "CannotFindNonZeroLiquidityBinArrayId": InsufficientLiquidity,
        "InsufficientOutAmount": AmountTooSmall,
        "PoolDisabled": VenueUnavailable,
    }
    not_reproduced: frozenset[str] = frozenset()

    def withheld(self, case: VectorCase) -> frozenset[Pubkey]:
        """The bin arrays that the program was not given, or could not get at, for the kinds that say so.

        The program takes bin arrays off the list in swap order and drops what it passes over. Given in reverse, the
        active one comes last, and by the time it is found nothing is left: as if it alone had been handed over. Our own
        instructions can't come out so; test_vectors.py holds them to swap order.
        """
        arrays = arrays_in_swap_order(case)
        handed = {
            "no_bin_arrays": arrays[:0],
            "only_active_bin_array": arrays[:1],
            "bin_arrays_reversed": arrays[:1],
            "first_two_bin_arrays": arrays[:2],
        }
        if case.kind not in handed:
            return frozenset()
        every = map(Pubkey.from_string, case.pool.roles["bin_arrays"].values())
        return frozenset(every) - frozenset(handed[case.kind])

    def effects(self, pool: Pool, case: VectorCase) -> dict[str, int]:
        assert isinstance(pool, MeteoraDlmmPool)
        swap_for_y = case.mint_in == pool.pair.mint_x
        fills: list[BinFill] = []
        result = pool.swap(swap_for_y, case.amount_in, case.clock, fills)
        protocol_fee = sum(_protocol_fee(pool, fill) for fill in fills)
        # Of the protocol's fee, a host that is named gets its part: the result then tells the two apart.
        protocol_fee -= int(case.result.get("host_fee", 0))
        fee_in_x = swap_for_y == pool.pair.fee_on_input(swap_for_y)
        return {
            "amount_in_taken": case.amount_in,
            "active_id_after": result.active_id,
            "volatility_accumulator_after": result.volatility_accumulator,
            "protocol_fee_x": protocol_fee if fee_in_x else 0,
            "protocol_fee_y": 0 if fee_in_x else protocol_fee,
        }


def arrays_in_swap_order(case: VectorCase) -> list[Pubkey]:
    """A DLMM pool's bin arrays from the active one on, in the direction of the swap."""
    pool = read_pool(case.pool.read, MeteoraDlmmSubject.venue, case.pool.address)
    assert isinstance(pool, MeteoraDlmmPool)
    active = pool.pair.active_id // BINS_PER_ARRAY
    down = case.mint_in == pool.pair.mint_x
    arrays = {int(index): Pubkey.from_string(address) for index, address in case.pool.roles["bin_arrays"].items()}
    ahead = [index for index in arrays if (index <= active if down else index >= active)]
    return [arrays[index] for index in sorted(ahead, reverse=down)]


def _protocol_fee(pool: MeteoraDlmmPool, fill: BinFill) -> int:
    total_in = fill.market_in + fill.processed_in + fill.open_in
    return split_fee(fill.fee, pool.pair.parameters.protocol_share, fill.market_in, total_in)[1]
