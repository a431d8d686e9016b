"""A pool of SPL tokens and a trader, for programs that the venue's math emulates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account, AccountsRead, ChainClock
from chalicelib.solana.compute_budget import MAX_COMPUTE_UNITS
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint, TokenAccount
from chalicelib.venues.pool_reader import read_pool
from chalicelib.venues.venue import Pool, PoolQuote, Venue
from infra.localnet.programs.program import EmulatedProgram, ProgramError, SwapEffect
from infra.localnet.programs.token_accounts import token_account

TRADER, SOURCE, DESTINATION, STRANGER = (Pubkey(bytes([number] * 32)) for number in (1, 2, 3, 4))


@dataclass
class SwapMarket:
    """A pool's accounts, and a trader who holds `held` base units of `mint_in`."""

    venue: Venue
    program: EmulatedProgram
    pool_address: Pubkey
    accounts: dict[Pubkey, Account]
    mint_in: Pubkey
    held: int

    def __post_init__(self) -> None:
        mint_a, mint_b = self.venue.mints(self.pool_address, self.accounts)
        self.mint_out = mint_b if self.mint_in == mint_a else mint_a
        self.accounts[SOURCE] = token_account(Mint(self.mint_in, TOKEN_PROGRAM, 0), TRADER, self.held)
        self.accounts[DESTINATION] = token_account(Mint(self.mint_out, TOKEN_PROGRAM, 0), TRADER, 0)

    def pool(self) -> Pool:
        """As it is now. Raises VenueUnavailable."""
        return read_pool(self._read, self.venue, self.pool_address)

    def _read(self, addresses: Iterable[Pubkey]) -> AccountsRead:
        return AccountsRead(0, {address: self.accounts.get(address) for address in addresses})

    def swap_instruction(self, amount_in: int, minimum_out: int, quote: PoolQuote | None = None) -> Instruction:
        """Of `quote`, or, where the pool gives none, of the amount alone."""
        quote = quote or PoolQuote(self.pool_address, self.mint_in, self.mint_out, amount_in, 0, 0, self.mint_in)
        return self.pool().swap_instruction(
            quote, trader=TRADER, source=SOURCE, destination=DESTINATION, minimum_out=minimum_out
        )

    def run(self, instruction: Instruction, clock: ChainClock) -> SwapEffect:
        """What the emulated program makes of it. Raises ProgramError."""
        named = {
            meta.pubkey: self.accounts[meta.pubkey] for meta in instruction.accounts if meta.pubkey in self.accounts
        }
        return self.program.execute(bytes(instruction.data), tuple(instruction.accounts), named, clock)

    def settle(self, effect: SwapEffect) -> None:
        """What the ledger does with an effect. Raises ProgramError where the token program refuses a transfer."""
        after = dict(self.accounts)
        for transfer in effect.transfers:
            _add(after, transfer.source, -transfer.amount)
            _add(after, transfer.destination, transfer.amount)
        for change in effect.supply_changes:
            _add(after, change.account, change.amount)
            data = after[change.mint].data
            supply = int.from_bytes(data[36:44], "little") + change.amount
            after[change.mint] = replace(after[change.mint], data=data[:36] + supply.to_bytes(8, "little") + data[44:])
        for address, data in effect.writes.items():
            after[address] = replace(after[address], data=data)
        self.accounts = after

    def emulate(self, instruction: Instruction, clock: ChainClock) -> tuple[Pubkey, int | None] | None:
        """The program that refuses, and its code, None where it runs out of units; None where the swap lands."""
        try:
            effect = self.run(instruction, clock)
            if effect.compute_units > MAX_COMPUTE_UNITS:
                return self.program.program_id, None
            self.settle(effect)
        except ProgramError as error:
            return error.callee or self.program.program_id, error.code
        return None

    def balance(self, address: Pubkey) -> int:
        return TokenAccount.decode(self.accounts[address]).amount


def with_other_account(instruction: Instruction, position: int, address: Pubkey) -> Instruction:
    metas = list(instruction.accounts)
    metas[position] = AccountMeta(address, metas[position].is_signer, metas[position].is_writable)
    return Instruction(instruction.program_id, bytes(instruction.data), metas)


def _add(accounts: dict[Pubkey, Account], address: Pubkey, amount: int) -> None:
    """Raises ProgramError as the token program fails."""
    account = accounts[address]
    balance = TokenAccount.decode(account).amount + amount
    if balance < 0:
        raise ProgramError(1, "InsufficientFunds", callee=TOKEN_PROGRAM)
    if balance >= 1 << 64:
        raise ProgramError(14, "Overflow", callee=TOKEN_PROGRAM)
    data = account.data[:64] + balance.to_bytes(8, "little") + account.data[72:]
    accounts[address] = replace(account, data=data)
