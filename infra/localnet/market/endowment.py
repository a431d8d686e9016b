"""Balances out of nothing: a wallet's token account and the mint's supply, both raised by the same amount."""

from __future__ import annotations

from dataclasses import replace

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import NATIVE_MINT, Mint, TokenAccount, associated_token_address
from infra.localnet.message import ReadAccount
from infra.localnet.programs.token_accounts import token_account as new_token_account

# Little-endian u64s, in a mint after its authority and in a token account after mint and owner.
_SUPPLY = slice(36, 44)
_AMOUNT = slice(64, 72)


def endowed(read: ReadAccount, owner: Pubkey, of: Pubkey, amount: int) -> dict[Pubkey, Account]:
    """The accounts that change when `owner` gets `amount` base units of the mint `of` in its associated account.

    Raises InvalidTokenData where `of` is no mint, LookupError where it does not exist.
    """
    mint_account = read(of)
    if mint_account is None:
        raise LookupError(f"mint {of} does not exist")
    mint = Mint.decode(of, mint_account)
    address = associated_token_address(owner, of, mint.token_program)
    before = read(address)
    if before is None:
        return {address: new_token_account(mint, owner, amount), **_with_more_supply(mint, mint_account, amount)}
    held = TokenAccount.decode(before).amount
    after = replace(
        before,
        data=_with_u64(before.data, _AMOUNT, held + amount),
        # Wrapped SOL is backed by lamports, one each.
        lamports=before.lamports + (amount if of == NATIVE_MINT else 0),
    )
    return {address: after, **_with_more_supply(mint, mint_account, amount)}


def _with_more_supply(mint: Mint, account: Account, amount: int) -> dict[Pubkey, Account]:
    if mint.address == NATIVE_MINT:
        return {}  # its supply is not counted
    supply = int.from_bytes(account.data[_SUPPLY], "little")
    return {mint.address: replace(account, data=_with_u64(account.data, _SUPPLY, supply + amount))}


def _with_u64(data: bytes, where: slice, value: int) -> bytes:
    return data[: where.start] + value.to_bytes(8, "little") + data[where.stop :]
