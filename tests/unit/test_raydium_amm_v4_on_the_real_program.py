"""The real Raydium AMM v4 and the emulated one leave the same balances and the same pool account, byte for byte.

Skipped without the bytecode: see tests/real_programs.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.problems import ExecutionError
from infra.localnet.programs.raydium_amm_v4_pool import AmmV4PoolSpec
from testing.sdk.made_up_pools import sizes
from tests.real_programs import RAYDIUM_AMM_V4
from tests.unit.raydium_amm_v4_market import CLOCK, COIN, PC, U64_MAX, market, specs
from tests.unit.real_program_runs import RealPrograms, cases
from tests.unit.spl_swap_market import DESTINATION, SOURCE, STRANGER, with_other_account

pytestmark = pytest.mark.real_programs
CASES = cases(150)

amounts = st.one_of(sizes(U64_MAX), st.integers(1, 1_000))


@given(specs(), st.booleans(), st.lists(st.tuples(amounts, st.sampled_from([0, 0, 1])), min_size=1, max_size=3))
@settings(max_examples=CASES, deadline=None)
def test_quote_program_and_emulation_agree(made: AmmV4PoolSpec, sell_coin: bool, swaps: list[tuple[int, int]]) -> None:
    side = 0 if sell_coin else 1
    # All that there is of it, beside what the vault holds.
    held = U64_MAX - made.reserves[side] - made.owed_profit[side]
    of = market(made, made.mints[side].address, held)
    real = RealPrograms([RAYDIUM_AMM_V4], of.accounts)
    for amount_in, above in swaps:
        try:
            quote = of.pool().quote(of.mint_in, amount_in, CLOCK)
        except ExecutionError:
            quote = None
        instruction = of.swap_instruction(amount_in, 0 if quote is None else quote.amount_out + above)
        before = of.balance(DESTINATION)

        refusal = of.emulate(instruction, CLOCK)

        assert real.run(instruction, CLOCK) == refusal
        assert (refusal is None) == (quote is not None and not above)
        if refusal is None and quote is not None:
            assert real.units <= quote.compute_units
            assert of.balance(DESTINATION) - before == quote.amount_out
        for address in (of.pool_address, SOURCE, DESTINATION, *(side.vault for side in of.pool().sides)):
            assert real.account(address) == of.accounts[address]


# Of the accounts, those that are not the trader's.
@pytest.mark.parametrize("position", range(5))
def test_no_account_can_be_put_in_anothers_place(position: int) -> None:
    """Not even a vault of the same mint and authority, another pool's: which no derivation tells apart."""
    of, other = (
        market(AmmV4PoolSpec(mints=(COIN, PC), reserves=(10**12, 10**12), market=number), COIN.address, held=10**9)
        for number in range(2)
    )
    real = RealPrograms([RAYDIUM_AMM_V4], other.accounts | of.accounts)
    instruction = of.swap_instruction(10**6, 1)
    named = {meta.pubkey for meta in instruction.accounts} | {other.pool_address, STRANGER}
    named |= {side.vault for side in other.pool().sides}
    for address in named - {instruction.accounts[position].pubkey}:
        assert real.run(with_other_account(instruction, position, address), CLOCK) is not None
    assert real.run(instruction, CLOCK) is None
