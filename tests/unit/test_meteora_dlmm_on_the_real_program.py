"""The real Meteora DLMM and the emulated one leave the same balances and the same pool accounts, byte for byte.

Skipped without the bytecode: see tests/real_programs.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.account import Account as SvmAccount
from solders.compute_budget import set_compute_unit_limit
from solders.instruction import AccountMeta, Instruction
from solders.litesvm import LiteSVM
from solders.message import Message
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata
from solders.transaction_status import InstructionErrorCustom, TransactionErrorInstructionError

from chalicelib.problems import ExecutionError
from chalicelib.solana.accounts import Account, ChainClock
from chalicelib.solana.tokens import TokenAccount
from chalicelib.venues.meteora_dlmm.layout import PROGRAM_ID
from infra.localnet.programs.meteora_dlmm_pool import DlmmPoolSpec
from infra.localnet.programs.program import ProgramError
from tests.real_programs import METEORA_DLMM
from tests.unit.meteora_dlmm_market import CLOCK, HOST, TRADER, Market, as_swap, genesis_market, specs

pytestmark = pytest.mark.real_programs


class RealProgram:
    """LiteSVM with the program's bytecode and one market's accounts."""

    def __init__(self, market: Market) -> None:
        self._svm = LiteSVM().with_sigverify(False).with_blockhash_check(False).with_transaction_history(0)
        self._svm.add_program(PROGRAM_ID, METEORA_DLMM.bytecode.read_bytes())
        self._svm.airdrop(TRADER, 10**12)
        for address, account in market.accounts.items():
            self._svm.set_account(address, SvmAccount(account.lamports, account.data, account.owner))

    def run(self, data: bytes, metas: list[AccountMeta], clock: ChainClock) -> int | None:
        """The program's error code, or None where it succeeds."""
        now = self._svm.get_clock()
        now.slot, now.epoch, now.unix_timestamp = clock.slot, clock.epoch, clock.unix_timestamp
        self._svm.set_clock(now)
        instructions = [set_compute_unit_limit(1_400_000), Instruction(PROGRAM_ID, data, metas)]
        message = Message.new_with_blockhash(instructions, TRADER, self._svm.latest_blockhash())
        result = self._svm.send_transaction(VersionedTransaction.populate(message, [Signature.default()]))
        if not isinstance(result, FailedTransactionMetadata):
            return None
        error = result.err()
        assert isinstance(error, TransactionErrorInstructionError)
        assert isinstance(error.err, InstructionErrorCustom)
        return error.err.code

    def account(self, address: Pubkey) -> Account:
        account = self._svm.get_account(address)
        assert account is not None
        return Account(account.owner, account.lamports, bytes(account.data))


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
@settings(max_examples=100, deadline=None)
def test_both_programs_leave_the_same_accounts(
    made: DlmmPoolSpec, sell_x: bool, swaps: list[tuple[int, int, str]]
) -> None:
    market = genesis_market(made, sell_x)
    real, clock = RealProgram(market), CLOCK
    for number, (amount_in, pause, kind) in enumerate(swaps):
        clock = ChainClock(clock.slot + 1 + number, clock.epoch, clock.unix_timestamp + pause)
        data, metas = instruction(market, amount_in, kind, clock)

        code = emulate(market, data, metas, clock)

        assert code == real.run(data, metas, clock)
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
