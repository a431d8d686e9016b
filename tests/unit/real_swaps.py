"""Swaps at made-up pools, as they are quoted, as they are emulated, and as the program's bytecode makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError
from chalicelib.solana.accounts import INSTRUCTIONS_SYSVAR, Account, ChainClock
from chalicelib.solana.tokens import TOKEN_PROGRAM, TokenAccount
from chalicelib.venues.pool_accounts import tradable_mint
from chalicelib.venues.venue import Pool, PoolQuote, TokenSide, Venue
from infra.localnet.instructions_sysvar import sysvar_account
from infra.localnet.programs.program import EmulatedProgram, ProgramError, SwapEffect
from infra.localnet.programs.token_accounts import token_account
from testing.sdk.made_up_pools import U64_MAX, MadeUpPool
from tests.real_programs import DeployedProgram
from tests.unit.real_program_runs import COMPUTE_UNIT_LIMIT, RealPrograms

TRADER, SOURCE, DESTINATION = (Pubkey(bytes([number] * 32)) for number in (1, 2, 3))
SWAPS_OF_A_POOL = 6
# The codes of programs begin here; those below are the token programs' and Anchor's.
_FIRST_OWN_CODE = 6000


@dataclass(frozen=True)
class RealSwaps:
    """One program's. `above_floor` is its code for a floor that is too high; `kinds` says what codes are to an order.

    Codes are the program's or the token programs', None where it crashes.
    """

    venue: Venue
    emulation: EmulatedProgram
    bytecode: DeployedProgram
    above_floor: int
    kinds: Mapping[int | None, type[ExecutionError]]

    def hold(self, pools: SearchStrategy[MadeUpPool], swaps: int) -> dict[str, int]:
        """Try about so many swaps; how many were quoted, and how many refused. Raises AssertionError."""
        tried = {"quoted": 0, "refused": 0}

        @given(pools)
        @settings(
            max_examples=-(-swaps // SWAPS_OF_A_POOL),
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def hold(made: MadeUpPool) -> None:
            market = _Market(self, made)
            for mint_in, amount_in in made.swaps:
                tried[market.swap(mint_in, amount_in)] += 1

        hold()
        return tried


class _Market:
    """A made-up pool and its two mints, as the real program's swaps leave them."""

    def __init__(self, of: RealSwaps, made: MadeUpPool) -> None:
        self._of = of
        self._made = made
        self._accounts = {address: each for address, each in made.accounts.items() if each is not None}
        self._real = RealPrograms([of.bytecode], self._accounts)

    def swap(self, mint_in: Pubkey, amount_in: int) -> str:
        """One swap, quoted or refused. Raises AssertionError."""
        pool, clock = self._of.venue.decode(self._made.address, self._accounts), self._made.clock
        (side_in, side_out) = sorted(pool.sides, key=lambda side: side.mint != mint_in)
        held = self._fund(side_in, side_out)
        try:
            quote = pool.quote(mint_in, amount_in, clock)
        except ExecutionError as refusal:
            unquoted = PoolQuote(pool.address, mint_in, side_out.mint, amount_in, 1, 0, mint_in)
            self._check_refused(refusal, _instruction(pool, unquoted, 1), clock)
            return "refused"
        too_high = self._real.run(_instruction(pool, quote, quote.amount_out + 1), clock)
        assert too_high == (self._of.bytecode.address, self._of.above_floor)
        instruction = _instruction(pool, quote, quote.amount_out)
        effect = self._emulate(instruction, clock)
        assert self._real.run(instruction, clock) is None
        assert self._real.units <= quote.compute_units
        held_in, held_out = self._balance(side_in.vault), self._balance(side_out.vault)
        changed = (*effect.writes, side_in.vault, side_out.vault, SOURCE, DESTINATION)
        self._accounts |= {address: self._real.account(address) for address in changed}
        for address, data in effect.writes.items():
            assert self._accounts[address].data == data, address
        paid, owed = effect.transfers
        assert held - self._balance(SOURCE) == paid.amount == amount_in
        assert self._balance(DESTINATION) == quote.amount_out
        received = tradable_mint(mint_in, self._accounts).amount_after_transfer_fee(paid.amount, clock.epoch)
        assert self._balance(side_in.vault) == held_in + received
        assert self._balance(side_out.vault) == held_out - owed.amount
        return "quoted"

    def _check_refused(self, refusal: ExecutionError, instruction: Instruction, clock: ChainClock) -> None:
        """The program refuses too, and for the same; so does the emulation, which leaves balances to the ledger."""
        refused = self._real.run(instruction, clock)
        assert refused is not None, refusal
        code = refused[1]
        assert isinstance(refusal, self._of.kinds[code]), (refusal, self._real.logs)
        emulated = self._emulated_code(instruction, clock)
        if emulated is None:
            assert code is not None
            assert code < _FIRST_OWN_CODE
        else:
            assert code in (emulated, None)

    def _fund(self, side_in: TokenSide, side_out: TokenSide) -> int:
        """A trader with nothing of the output, and all of the input that there could be: how much that is.

        SPL Token adds balances without a look, for no mint of it can supply more than fits. Token-2022 looks.
        """
        held = U64_MAX
        if side_in.token_program == TOKEN_PROGRAM:
            held -= self._balance(side_in.vault)
        mint, other = (tradable_mint(side.mint, self._accounts) for side in (side_in, side_out))
        trader = {SOURCE: token_account(mint, TRADER, held), DESTINATION: token_account(other, TRADER, 0)}
        self._accounts |= trader
        self._real.put(trader)
        return held

    def _emulate(self, instruction: Instruction, clock: ChainClock) -> SwapEffect:
        sysvar: dict[Pubkey, Account] = {INSTRUCTIONS_SYSVAR: sysvar_account([COMPUTE_UNIT_LIMIT, instruction], 1)}
        metas = tuple(instruction.accounts)
        return self._of.emulation.execute(bytes(instruction.data), metas, self._accounts | sysvar, clock)

    def _emulated_code(self, instruction: Instruction, clock: ChainClock) -> int | None:
        """None where only the token program would refuse."""
        try:
            self._emulate(instruction, clock)
        except ProgramError as error:
            return error.code
        return None

    def _balance(self, address: Pubkey) -> int:
        return TokenAccount.decode(self._accounts[address]).amount


def _instruction(pool: Pool, quote: PoolQuote, floor: int) -> Instruction:
    return pool.swap_instruction(quote, trader=TRADER, source=SOURCE, destination=DESTINATION, minimum_out=floor)
