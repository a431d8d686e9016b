"""The real Raydium CPMM pays what is quoted, to the unit, and leaves the same pool as the emulated one.

Skipped without the bytecode: see tests/real_programs.py.
"""

from __future__ import annotations

import pytest

from chalicelib.problems import AmountTooSmall, InsufficientLiquidity
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmVenue
from chalicelib.venues.raydium_cpmm.refusals import (
    EXCEEDED_SLIPPAGE,
    REQUIRE_GT_VIOLATED,
    ZERO_TRADING_TOKENS,
)
from infra.localnet.programs.raydium_cpmm import RaydiumCpmmProgram
from testing.sdk.made_up_pools import cpmm_pools
from tests.real_programs import RAYDIUM_CPMM
from tests.unit.real_program_runs import cases
from tests.unit.real_swaps import RealSwaps

pytestmark = pytest.mark.real_programs

SWAPS = cases(600)
OF_CPMM = RealSwaps(
    RaydiumCpmmVenue(),
    RaydiumCpmmProgram(),
    RAYDIUM_CPMM,
    EXCEEDED_SLIPPAGE,
    {
        # of the token programs: InsufficientFunds, Overflow
        1: InsufficientLiquidity,
        14: InsufficientLiquidity,
        REQUIRE_GT_VIOLATED: AmountTooSmall,
        ZERO_TRADING_TOKENS: AmountTooSmall,
    },
)


def test_every_swap_pays_what_is_quoted_and_leaves_the_same_pool() -> None:
    tried = OF_CPMM.hold(cpmm_pools(), SWAPS)
    assert tried["quoted"] > SWAPS // 3, tried
    assert tried["refused"] > SWAPS // 20, tried
