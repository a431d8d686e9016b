"""The real Raydium CLMM and the emulated one leave the same balances and the same pool accounts.

The bytecode at hand is of the release before that of 2026: pools use nothing that came with this, and what only the
older one keeps, sums over all swaps that no swap reads, is left out. Skipped without the bytecode: see
tests/real_programs.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import AmountTooSmall, ExecutionError, InsufficientLiquidity
from chalicelib.solana.accounts import ChainClock
from chalicelib.solana.tokens import TokenAccount
from chalicelib.venues.raydium_clmm.layout import (
    PROGRAM_ID,
    array_number,
    array_start,
    bitmap_extension_address,
    tick_array_address,
)
from chalicelib.venues.raydium_clmm.refusals import REFUSALS
from infra.localnet.programs.program import ProgramError
from infra.localnet.programs.raydium_clmm_pool import ClmmPoolSpec
from testing.sdk.made_up_clmm_pools import clmm_specs
from tests.real_programs import RAYDIUM_CLMM, as_emulated
from tests.unit.raydium_clmm_market import CLOCK, DESTINATION, Market
from tests.unit.real_program_runs import RealPrograms, cases

pytestmark = pytest.mark.real_programs

SWAPS = cases(400)
SWAPS_OF_A_POOL = 4


def name_in(logs: Sequence[str]) -> str:
    """The error that Anchor or a token program named."""
    for line in logs:
        if "Error Code: " in line:
            return line.partition("Error Code: ")[2].partition(".")[0]
        if "insufficient funds" in line:
            return "InsufficientFunds"
    return f"no name in {logs}"


@given(made=clmm_specs(of_2026=False), zero_for_one=st.booleans(), seed=st.integers(0, 2**32))
@settings(
    max_examples=max(SWAPS // SWAPS_OF_A_POOL, 1),
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
def test_every_swap_that_is_quoted_lands_as_quoted_and_every_other_one_fails(
    made: ClmmPoolSpec, zero_for_one: bool, seed: int
) -> None:
    market = Market.of(made, zero_for_one=zero_for_one, balance=10**17)
    real, clock, dice = RealPrograms([RAYDIUM_CLMM], market.accounts), CLOCK, Random(seed)
    for number in range(SWAPS_OF_A_POOL):
        clock = ChainClock(clock.slot + 1 + number, clock.epoch, clock.unix_timestamp + dice.randint(0, 40))
        amount_in = dice.randint(1, 10 ** dice.randint(1, 14))
        expected: type[ExecutionError] | None = None
        try:
            quote = market.quote(amount_in, clock)
        except (AmountTooSmall, InsufficientLiquidity) as refusal:
            expected, arrays, floor, units = type(refusal), every_array(market), 1, 0
        else:
            arrays, floor, units = quote.remaining_accounts, quote.amount_out, quote.compute_units
        data, metas = market.instruction(amount_in, floor, arrays, clock)
        before = market.balance(DESTINATION)
        refused = real.run(Instruction(PROGRAM_ID, data, metas), clock)
        if expected is not None:
            assert refused is not None, (amount_in, expected)
            check_refusal(market, data, metas, clock, name_in(real.logs), expected)
            continue
        assert refused is None, real.logs
        assert real.units <= units
        effect = market.run(data, metas, clock)
        market.settle(effect, clock.epoch)
        assert market.balance(DESTINATION) - before == floor
        for address, account in market.accounts.items():
            if account.owner == PROGRAM_ID:
                assert as_emulated(real.account(address)).data == account.data, address
            elif address not in (mint.address for mint in market.mints):
                assert TokenAccount.decode(real.account(address)).amount == market.balance(address)


def check_refusal(
    market: Market,
    data: bytes,
    metas: list[AccountMeta],
    clock: ChainClock,
    name: str,
    expected: type[ExecutionError],
) -> None:
    """The emulated program refuses by the same name, which means to an order what the quote said."""
    if name == "InsufficientFunds":  # of the vault, says the token program
        assert expected is InsufficientLiquidity
        transfer = market.run(data, metas, clock).transfers[1]
        assert transfer.amount > market.balance(transfer.source)
        return
    with pytest.raises(ProgramError) as refusal:
        market.run(data, metas, clock)
    assert refusal.value.name == name
    assert REFUSALS.refusal(refusal.value.code, name) is not None


def every_array(market: Market) -> tuple[Pubkey, ...]:
    """Extension and tick arrays, as a swap would name them that goes through all."""
    pool = market.pool()
    down, spacing = market.mint_in == pool.mints[0].address, pool.state.tick_spacing
    current = array_number(pool.state.tick, spacing)
    numbers = pool.bitmap.following(current + 1 if down else current - 1, down, 20)
    arrays = (tick_array_address(market.address, array_start(number, spacing)) for number in numbers)
    return (bitmap_extension_address(market.address), *arrays)
