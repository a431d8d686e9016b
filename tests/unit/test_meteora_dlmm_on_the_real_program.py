"""The real Meteora DLMM and the emulated one leave the same balances and the same pool accounts, byte for byte.

Skipped without the bytecode: see tests/real_programs.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.instruction import AccountMeta, Instruction

from chalicelib.problems import ExecutionError
from chalicelib.solana.accounts import ChainClock
from chalicelib.solana.tokens import TokenAccount
from chalicelib.venues.meteora_dlmm.layout import PROGRAM_ID
from infra.localnet.programs.meteora_dlmm_pool import DlmmPoolSpec
from infra.localnet.programs.program import ProgramError
from tests.real_programs import METEORA_DLMM
from tests.unit.meteora_dlmm_market import CLOCK, HOST, Market, as_swap, genesis_market, specs
from tests.unit.real_program_runs import RealPrograms, cases

pytestmark = pytest.mark.real_programs


trades = st.lists(
    st.tuples(
        st.integers(1, 3 * 10**9),
        st.integers(0, 700),
        st.sampled_from(["swap2", "swap2", "swap2", "swap", "host", "one array", "too high a floor"]),
    ),
    min_size=1,
    max_size=4,
)


@given(specs(), st.booleans(), trades)
@settings(max_examples=cases(100), deadline=None)
def test_both_programs_leave_the_same_accounts(
    made: DlmmPoolSpec, sell_x: bool, swaps: list[tuple[int, int, str]]
) -> None:
    market = genesis_market(made, sell_x)
    real, clock = RealPrograms([METEORA_DLMM], market.accounts), CLOCK
    for number, (amount_in, pause, kind) in enumerate(swaps):
        clock = ChainClock(clock.slot + 1 + number, clock.epoch, clock.unix_timestamp + pause)
        data, metas = instruction(market, amount_in, kind, clock)

        code = emulate(market, data, metas, clock)

        refused = real.run(Instruction(PROGRAM_ID, data, metas), clock)
        assert code == (None if refused is None else refused[1])
        assert (code is None) == (refused is None)
        for address, account in market.accounts.items():
            if account.owner == PROGRAM_ID:
                assert real.account(address).data == account.data
            elif address not in (mint.address for mint in market.mints):
                assert TokenAccount.decode(real.account(address)).amount == market.balance(address)


def instruction(market: Market, amount_in: int, kind: str, clock: ChainClock) -> tuple[bytes, list[AccountMeta]]:
    try:
        quote = market.pool().quote(market.mint_in, amount_in, clock)
    except ExecutionError:
        return market.instruction(amount_in)
    arrays = list(quote.remaining_accounts)
    floor = quote.amount_out + (kind == "too high a floor")
    data, metas = market.instruction(amount_in, floor, arrays[:1] if kind == "one array" else arrays)
    if kind == "host":
        metas[9] = AccountMeta(HOST, is_signer=False, is_writable=True)
    if kind == "swap" and all(
        side.token_program == market.pool().sides[1].token_program for side in market.pool().sides
    ):
        return as_swap(data, metas)
    return data, metas


def emulate(market: Market, data: bytes, metas: list[AccountMeta], clock: ChainClock) -> int | None:
    try:
        market.settle(market.run(data, metas, clock), clock.epoch)
    except ProgramError as error:
        return error.code
    return None
