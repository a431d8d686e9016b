"""A small, honest swap program to emulate: constant product without a fee, and a counter in the pool's own account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account, ChainClock
from chalicelib.solana.tokens import Mint, TokenAccount
from infra.localnet.programs.program import ProgramError, SwapEffect, TokenTransfer

PROGRAM_ID = Pubkey.from_string("ToyExchange11111111111111111111111111111111")
TOO_LITTLE_OUT = 6001
NOT_SIGNED = 6002
COMPUTE_UNITS = 20_000

_ARGUMENTS = Struct("<QQ")
_COUNTER = Struct("<Q")


@dataclass(frozen=True)
class ToyPool:
    """Its address is also the authority over its vaults: an address derived by the program."""

    address: Pubkey
    mints: tuple[Mint, Mint]

    @classmethod
    def of(cls, first: Mint, second: Mint) -> ToyPool:
        seeds = [b"pool", bytes(first.address), bytes(second.address)]
        return cls(Pubkey.find_program_address(seeds, PROGRAM_ID)[0], (first, second))

    def vault(self, mint: Mint) -> Pubkey:
        return Pubkey.find_program_address([b"vault", bytes(self.address), bytes(mint.address)], PROGRAM_ID)[0]

    def other(self, mint: Mint) -> Mint:
        return self.mints[1] if mint == self.mints[0] else self.mints[0]

    def swap(
        self, mint_in: Mint, amount: int, minimum_out: int, trader: Pubkey, source: Pubkey, destination: Pubkey
    ) -> Instruction:
        mint_out = self.other(mint_in)
        return Instruction(
            PROGRAM_ID,
            _ARGUMENTS.pack(amount, minimum_out),
            [
                AccountMeta(trader, is_signer=True, is_writable=False),
                AccountMeta(self.address, is_signer=False, is_writable=True),
                AccountMeta(source, is_signer=False, is_writable=True),
                AccountMeta(destination, is_signer=False, is_writable=True),
                AccountMeta(self.vault(mint_in), is_signer=False, is_writable=True),
                AccountMeta(self.vault(mint_out), is_signer=False, is_writable=True),
                AccountMeta(mint_in.address, is_signer=False, is_writable=False),
                AccountMeta(mint_out.address, is_signer=False, is_writable=False),
                AccountMeta(mint_in.token_program, is_signer=False, is_writable=False),
                AccountMeta(mint_out.token_program, is_signer=False, is_writable=False),
            ],
        )


def swaps_counted(pool: Account | None) -> int:
    """What the program has written into its pool's account."""
    assert pool is not None
    counted: int = _COUNTER.unpack(pool.data)[0]
    return counted


def output(amount_in: int, reserve_in: int, reserve_out: int) -> int:
    return reserve_out * amount_in // (reserve_in + amount_in)


class ToyExchange:
    """Emulated. What it pays depends on the vaults' balances, so that an order of swaps shows in the amounts."""

    program_id = PROGRAM_ID

    def execute(
        self, data: bytes, metas: tuple[AccountMeta, ...], accounts: Mapping[Pubkey, Account], clock: ChainClock
    ) -> SwapEffect:
        amount, minimum_out = _ARGUMENTS.unpack(data)
        trader, pool, source, destination, vault_in, vault_out, mint_in, mint_out, _, _ = (m.pubkey for m in metas)
        if not metas[0].is_signer:
            raise ProgramError(NOT_SIGNED, "NotSigned")
        in_mint, out_mint = (Mint.decode(mint, accounts[mint]) for mint in (mint_in, mint_out))
        reserve_in, reserve_out = (TokenAccount.decode(accounts[vault]).amount for vault in (vault_in, vault_out))
        received = in_mint.amount_after_transfer_fee(amount, clock.epoch)
        paid = output(received, reserve_in, reserve_out)
        if out_mint.amount_after_transfer_fee(paid, clock.epoch) < minimum_out:
            raise ProgramError(TOO_LITTLE_OUT, "TooLittleOut", "the price moved")
        counted = swaps_counted(accounts[pool]) + 1
        return SwapEffect(
            transfers=(
                TokenTransfer(in_mint.token_program, source, mint_in, vault_in, trader, amount, in_mint.decimals),
                TokenTransfer(out_mint.token_program, vault_out, mint_out, destination, pool, paid, out_mint.decimals),
            ),
            writes={pool: _COUNTER.pack(counted)},
            compute_units=COMPUTE_UNITS,
            logs=("Program log: Instruction: Swap",),
        )


def pool_account() -> Account:
    return Account(PROGRAM_ID, 1_000_000, _COUNTER.pack(0))
