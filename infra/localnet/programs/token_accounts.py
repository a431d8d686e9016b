"""Encodes SPL mints and token accounts for the genesis market: the writing half of chalicelib/solana/tokens.py."""

from __future__ import annotations

from dataclasses import replace
from struct import Struct

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import (
    EXTENSIONS_OFFSET,
    MINT_LENGTH,
    NATIVE_MINT,
    TOKEN_2022_PROGRAM,
    TOKEN_ACCOUNT_LENGTH,
    TOKEN_PROGRAM,
    AccountState,
    ExtensionType,
    Mint,
)
from infra.localnet.token_extensions import mint_extensions

# Both as the interface crate's `Pack` writes them; a COption is a u32 tag, then the value or zeros.
_MINT = Struct("<I32sQB?I32s")  # mint_authority, supply, decimals, is_initialized, freeze_authority
_TOKEN_ACCOUNT = Struct(
    "<32s32sQI32xBIQQI32x"
)  # mint, owner, amount, delegate, state, is_native, delegated_amount, close
_EXTENSION_HEADER = Struct("<HH")
_TRANSFER_FEE_CONFIG = Struct("<32s32sQQQHQQH")
_STATE_OFFSET = 108
_ACCOUNT_TYPE_MINT = 1
_ACCOUNT_TYPE_TOKEN_ACCOUNT = 2

# What a mint's extension demands of each token account: type and length (`get_required_init_account_extensions`).
_REQUIRED_OF_ACCOUNTS = {
    ExtensionType.TRANSFER_FEE_CONFIG: (2, 8),  # TransferFeeAmount
    ExtensionType.TRANSFER_HOOK: (15, 1),  # TransferHookAccount
    ExtensionType.PAUSABLE: (27, 0),  # PausableAccount
}


def rent_exempt(length: int) -> int:
    """Lamports that keep an account of `length` bytes for ever: two years at 3480 a byte, 128 bytes of overhead."""
    return (128 + length) * 3480 * 2


def mint_account(mint: Mint, *, supply: int, authority: Pubkey | None) -> Account:
    """The mint with `supply` base units in circulation. Of extensions, its transfer fee is written."""
    tag, key = (0, bytes(32)) if authority is None else (1, bytes(authority))
    data = _MINT.pack(tag, key, supply, mint.decimals, True, 0, bytes(32))
    if mint.transfer_fee is not None:
        older, newer = mint.transfer_fee.older, mint.transfer_fee.newer
        config = _TRANSFER_FEE_CONFIG.pack(
            key,
            key,
            0,
            older.epoch,
            older.maximum_fee,
            older.basis_points,
            newer.epoch,
            newer.maximum_fee,
            newer.basis_points,
        )
        data = _extended(data, _ACCOUNT_TYPE_MINT, [(ExtensionType.TRANSFER_FEE_CONFIG, config)])
    return Account(owner=mint.token_program, lamports=rent_exempt(len(data)), data=data)


def token_account(mint: Mint, owner: Pubkey, amount: int) -> Account:
    """`owner`'s balance of `amount` base units. Wrapped SOL holds its amount in lamports besides its rent."""
    native = mint.address == NATIVE_MINT and mint.token_program == TOKEN_PROGRAM
    required = [
        (number, bytes(length))
        for extension, (number, length) in _REQUIRED_OF_ACCOUNTS.items()
        if extension in mint.extensions
    ]
    rent = rent_exempt(TOKEN_ACCOUNT_LENGTH)
    data = _TOKEN_ACCOUNT.pack(
        bytes(mint.address), bytes(owner), amount, 0, AccountState.INITIALIZED, native, rent if native else 0, 0, 0
    )
    if required:
        data = _extended(data, _ACCOUNT_TYPE_TOKEN_ACCOUNT, required)
    return Account(owner=mint.token_program, lamports=rent_exempt(len(data)) + (amount if native else 0), data=data)


def as_if_movable(account: Account) -> Account:
    """A mint or token account without what keeps its tokens from being moved; any other account as it is.

    No token account is frozen, and a mint has no extension but its transfer fee.
    """
    data = account.data
    if account.owner not in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
        return account
    extensions = mint_extensions(account)
    if extensions:
        fee = extensions.get(ExtensionType.TRANSFER_FEE_CONFIG)
        kept = [] if fee is None else [(int(ExtensionType.TRANSFER_FEE_CONFIG), fee)]
        return replace(account, data=_extended(data[:MINT_LENGTH], _ACCOUNT_TYPE_MINT, kept))
    if len(data) >= TOKEN_ACCOUNT_LENGTH and data[_STATE_OFFSET] == AccountState.FROZEN:
        thawed = bytes([AccountState.INITIALIZED])
        return replace(account, data=data[:_STATE_OFFSET] + thawed + data[_STATE_OFFSET + 1 :])
    return account


def _extended(data: bytes, account_type: int, extensions: list[tuple[int, bytes]]) -> bytes:
    parts = [data.ljust(EXTENSIONS_OFFSET - 1, b"\0"), bytes([account_type])]
    for number, content in extensions:
        parts += [_EXTENSION_HEADER.pack(number, len(content)), content]
    return b"".join(parts)
