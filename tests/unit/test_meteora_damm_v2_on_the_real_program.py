"""The real Meteora DAMM v2 pays what is quoted, to the unit, and leaves the same pool as the emulated one.

Pools of every kind, swap after swap. Skipped without the bytecode: see tests/real_programs.py.
"""

from __future__ import annotations

import pytest

from chalicelib.problems import AmountTooSmall, InsufficientLiquidity, VenueUnavailable
from chalicelib.venues.meteora_damm_v2.pool import MeteoraDammV2Venue
from chalicelib.venues.meteora_damm_v2.refusals import EXCEEDED_SLIPPAGE
from infra.localnet.programs.meteora_damm_v2 import MeteoraDammV2Program
from testing.sdk.made_up_pools import damm_v2_pools
from tests.real_programs import METEORA_DAMM_V2
from tests.unit.real_program_runs import cases
from tests.unit.real_swaps import RealSwaps

pytestmark = pytest.mark.real_programs

SWAPS = cases(600)
OF_DAMM_V2 = RealSwaps(
    MeteoraDammV2Venue(),
    MeteoraDammV2Program(),
    METEORA_DAMM_V2,
    EXCEEDED_SLIPPAGE,
    {
        # of the token programs: InsufficientFunds, Overflow
        1: InsufficientLiquidity,
        14: InsufficientLiquidity,
        6000: InsufficientLiquidity,
        6003: VenueUnavailable,
        6006: AmountTooSmall,
        6007: InsufficientLiquidity,
        6015: InsufficientLiquidity,
        # the floor is one unit where nothing is quoted: it pays nothing
        EXCEEDED_SLIPPAGE: AmountTooSmall,
    },
)


def test_every_swap_pays_what_is_quoted_and_leaves_the_same_pool() -> None:
    tried = OF_DAMM_V2.hold(damm_v2_pools(), SWAPS)
    assert min(tried.values()) > SWAPS // 5, tried
