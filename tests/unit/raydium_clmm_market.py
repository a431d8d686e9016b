"""A Raydium CLMM pool on the emulated program, and a trader with a token account of each mint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from solders.instruction import AccountMeta
from solders.pubkey import Pubkey

from chalicelib.problems import AccountsMissing
from chalicelib.solana.accounts import Account, ChainClock
from chalicelib.solana.tokens import (
    TokenAccount,
)
from chalicelib.venues.raydium_clmm.layout import observation_address
from chalicelib.venues.raydium_clmm.math import U64_MAX
from chalicelib.venues.raydium_clmm.pool import RaydiumClmmPool, RaydiumClmmVenue
from chalicelib.venues.venue import PoolQuote
from infra.localnet.programs.program import SwapEffect
from infra.localnet.programs.raydium_clmm import RaydiumClmmProgram
from infra.localnet.programs.raydium_clmm_pool import (
    ClmmPoolSpec,
    genesis_pool,
    observation_account,
)
from infra.localnet.programs.token_accounts import mint_account, token_account

CLOCK = ChainClock(slot=450_000_000, epoch=1041, unix_timestamp=1_760_000_000)
TRADER, SOURCE, DESTINATION = (Pubkey(bytes([1 + number] * 32)) for number in range(3))


def decoded(pool: Pubkey, accounts: Mapping[Pubkey, Account]) -> RaydiumClmmPool:
    """The pool with all of its accounts read: what is not there does not exist."""
    venue, known = RaydiumClmmVenue(), dict[Pubkey, Account | None](accounts)
    for _ in range(3):
        known |= {address: accounts.get(address) for address in venue.accounts_needed(pool, known)}
    return venue.decode(pool, known)


class Market:
    def __init__(self, pool: Pubkey, accounts: Mapping[Pubkey, Account], mint_in: Pubkey) -> None:
        # Recorded pools come without it: no quote depends on it.
        self.accounts = {observation_address(pool): observation_account(pool), **accounts}
        self.address, self.mint_in = pool, mint_in
        mints = self.pool().mints
        self.mints = mints if mints[0].address == mint_in else mints[::-1]
        for address, mint, balance in zip((SOURCE, DESTINATION), self.mints, (U64_MAX, 0), strict=True):
            self.accounts.setdefault(address, token_account(mint, TRADER, balance))

    @classmethod
    def of(cls, spec: ClmmPoolSpec, *, zero_for_one: bool, balance: int = 10**18) -> Market:
        """The trader holds `balance` of both tokens."""
        built = genesis_pool(spec)
        mints = (spec.mint_0, spec.mint_1)
        accounts = built.accounts | {mint.address: mint_account(mint, supply=10**18, authority=None) for mint in mints}
        mint_in, mint_out = mints if zero_for_one else mints[::-1]
        accounts |= {
            SOURCE: token_account(mint_in, TRADER, balance),
            DESTINATION: token_account(mint_out, TRADER, 0),
        }
        return cls(built.address, accounts, mint_in.address)

    def pool(self) -> RaydiumClmmPool:
        return decoded(self.address, self.accounts)

    def quote(self, amount_in: int, clock: ChainClock = CLOCK) -> PoolQuote:
        """Raises ExecutionError."""
        try:
            return self.pool().quote(self.mint_in, amount_in, clock)
        except AccountsMissing as missing:
            raise AssertionError(f"{missing} are no accounts of this market") from missing

    def instruction(
        self, amount_in: int, minimum_out: int = 0, arrays: tuple[Pubkey, ...] | None = None, clock: ChainClock = CLOCK
    ) -> tuple[bytes, list[AccountMeta]]:
        """With the arrays of a quote for that much, if no others are named."""
        remaining = self.quote(amount_in, clock).remaining_accounts if arrays is None else arrays
        mint_out = self.mints[1].address
        quote = PoolQuote(self.address, self.mint_in, mint_out, amount_in, 0, 0, self.mint_in, remaining)
        built = self.pool().swap_instruction(
            quote, trader=TRADER, source=SOURCE, destination=DESTINATION, minimum_out=minimum_out
        )
        return bytes(built.data), list(built.accounts)

    def run(self, data: bytes, metas: list[AccountMeta], clock: ChainClock = CLOCK) -> SwapEffect:
        """Raises ProgramError."""
        return RaydiumClmmProgram().execute(data, tuple(metas), self.accounts, clock)

    def settle(self, effect: SwapEffect, epoch: int) -> None:
        """What the ledger does with an effect."""
        for address, data in effect.writes.items():
            self.accounts[address] = replace(self.accounts[address], data=data)
        for transfer, mint in zip(effect.transfers, self.mints, strict=True):
            self._add(transfer.source, -transfer.amount)
            self._add(transfer.destination, mint.amount_after_transfer_fee(transfer.amount, epoch))

    def balance(self, address: Pubkey) -> int:
        return TokenAccount.decode(self.accounts[address]).amount

    def _add(self, address: Pubkey, amount: int) -> None:
        account = self.accounts[address]
        # Some recorded pools hold more than a mint can supply, and the token program doesn't look: it wraps around.
        balance = (TokenAccount.decode(account).amount + amount) & U64_MAX
        self.accounts[address] = replace(
            account, data=account.data[:64] + balance.to_bytes(8, "little") + account.data[72:]
        )
