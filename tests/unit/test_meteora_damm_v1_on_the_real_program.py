"""The real Meteora DAMM v1 over real vaults and the emulated one leave the same accounts, byte for byte.

Skipped without the bytecode: see tests/real_programs.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.instruction import Instruction

from chalicelib.problems import ExecutionError
from chalicelib.solana.accounts import ChainClock
from infra.localnet.programs.meteora_damm_v1_pool import DammV1PoolSpec, VaultSpec
from testing.sdk.made_up_pools import sizes
from tests.real_programs import METEORA_DAMM_V1, METEORA_VAULT
from tests.unit.meteora_damm_v1_market import CLOCK, MINT_A, MINT_B, market, specs
from tests.unit.real_program_runs import RealPrograms, cases
from tests.unit.spl_swap_market import DESTINATION, STRANGER, SwapMarket, with_other_account

pytestmark = pytest.mark.real_programs
CASES = cases(150)
# More than any amount, and less than all that there can be beside what the vaults hold.
HELD = 1 << 63
BOTH = (METEORA_DAMM_V1, METEORA_VAULT)

amounts = st.one_of(sizes(1 << 61), st.integers(1, 3_000), st.integers(10**4, 10**13))
swaps = st.lists(
    st.tuples(amounts, st.sampled_from([0, 0, 5, 3_600]), st.sampled_from([0, 0, 1])), min_size=1, max_size=3
)


@given(specs(), st.booleans(), swaps, st.integers(900_000, 1_500_000))
@settings(max_examples=CASES, deadline=None)
def test_quote_programs_and_emulation_agree(
    made: DammV1PoolSpec, sell_a: bool, swaps: list[tuple[int, int, int]], stake_price: int
) -> None:
    of = market(made, (MINT_A if sell_a else MINT_B).address, held=HELD, stake_price=stake_price)
    real, clock = RealPrograms(BOTH, of.accounts), CLOCK
    for amount_in, pause, above in swaps:
        clock = ChainClock(clock.slot + 1, clock.epoch, clock.unix_timestamp + pause)
        try:
            quote = of.pool().quote(of.mint_in, amount_in, clock)
        except ExecutionError:
            quote = None
        instruction = of.swap_instruction(amount_in, 0 if quote is None else quote.amount_out + above, quote)
        before = of.balance(DESTINATION)

        refusal = of.emulate(instruction, clock)

        refused = real.run(instruction, clock)
        # Where the real program crashes there is no code, and ours refuses for a reason of its own.
        assert refused == refusal or (refusal is not None and refused is not None and refused[1] is None)
        if quote is not None:
            assert (refusal is None) == (not above)
        if refusal is None and quote is not None:
            assert real.units <= quote.compute_units
            assert of.balance(DESTINATION) - before == quote.amount_out
        assert_alike(of, real, instruction)


def assert_alike(of: SwapMarket, real: RealPrograms, instruction: Instruction) -> None:
    for meta in instruction.accounts:
        if meta.is_writable:
            assert real.account(meta.pubkey) == of.accounts[meta.pubkey]


@given(specs(), st.booleans(), amounts, st.integers(-2, 2), st.integers(900_000, 1_500_000))
@settings(max_examples=CASES, deadline=None)
def test_a_floor_holds_for_what_the_trader_gets(
    made: DammV1PoolSpec, sell_a: bool, amount_in: int, off: int, stake_price: int
) -> None:
    """Whatever the floor and whatever has become of the pool: what reads back as guaranteed is paid, or nothing is."""
    of = market(made, (MINT_A if sell_a else MINT_B).address, held=HELD, stake_price=stake_price)
    real = RealPrograms(BOTH, of.accounts)
    try:
        quote = of.pool().quote(of.mint_in, amount_in, CLOCK)
    except ExecutionError:
        return
    for known in (quote, None):
        instruction = of.swap_instruction(amount_in, max(quote.amount_out + off, 0), known)
        guaranteed = of.venue.decode_swap([meta.pubkey for meta in instruction.accounts], bytes(instruction.data))
        of.accounts[DESTINATION] = real.account(DESTINATION)
        before = of.balance(DESTINATION)
        if real.run(instruction, CLOCK) is None:
            of.accounts[DESTINATION] = real.account(DESTINATION)
            assert of.balance(DESTINATION) - before >= guaranteed.minimum_out


# Of the accounts, those that are not the trader's.
@pytest.mark.parametrize("position", [0, *range(3, 12), 13, 14])
def test_no_account_can_be_put_in_anothers_place(position: int) -> None:
    vault = VaultSpec(total=10**12, lp_supply=10**12, reserve=10**12)
    of, other = (
        market(
            DammV1PoolSpec(mints=(MINT_A, MINT_B), vaults=(vault, vault), pool_lp=(10**11, 10**11), number=number),
            MINT_A.address,
            held=10**9,
        )
        for number in range(2)
    )
    real = RealPrograms(BOTH, other.accounts | of.accounts)
    instruction = of.swap_instruction(10**6, 1)
    named = {meta.pubkey for meta in instruction.accounts} | {STRANGER}
    named |= {meta.pubkey for meta in other.swap_instruction(10**6, 1).accounts}
    for address in named - {instruction.accounts[position].pubkey}:
        assert real.run(with_other_account(instruction, position, address), CLOCK) is not None
    assert real.run(instruction, CLOCK) is None
