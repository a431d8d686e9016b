"""The extensions of a Token-2022 mint or account as they lie in its data: each one's own bytes by its type.

Layout: solana-program/token-2022, interface/src/extension/mod.rs. Mints' types are `ExtensionType` of solana/tokens.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import EXTENSIONS_OFFSET, TOKEN_2022_PROGRAM, ExtensionType

_HEADER = Struct("<HH")
_ACCOUNT_TYPE_OFFSET = EXTENSIONS_OFFSET - 1
# Of TransferHook, after the authority.
_HOOK_PROGRAM = slice(32, 64)
_ACCOUNT_TYPE_MINT, _ACCOUNT_TYPE_TOKEN_ACCOUNT = 1, 2


class AccountExtension(IntEnum):
    """Token accounts' extensions; numbers as in `ExtensionType` of the interface."""

    TRANSFER_FEE_AMOUNT = 2
    CONFIDENTIAL_TRANSFER_ACCOUNT = 5
    IMMUTABLE_OWNER = 7
    MEMO_TRANSFER = 8
    CPI_GUARD = 11
    NON_TRANSFERABLE_ACCOUNT = 13
    TRANSFER_HOOK_ACCOUNT = 15
    CONFIDENTIAL_TRANSFER_FEE_AMOUNT = 17
    PAUSABLE_ACCOUNT = 27


def account_extensions(account: Account) -> dict[int, bytes]:
    """Of a token account."""
    return dict(_of_type(account, _ACCOUNT_TYPE_TOKEN_ACCOUNT))


def mint_extensions(account: Account) -> dict[int, bytes]:
    """Of a mint."""
    return dict(_of_type(account, _ACCOUNT_TYPE_MINT))


def all_extensions(account: Account) -> list[tuple[int, bytes]]:
    """Of either, in the order of its data."""
    return [*_of_type(account, _ACCOUNT_TYPE_MINT), *_of_type(account, _ACCOUNT_TYPE_TOKEN_ACCOUNT)]


def takes_no_transfer_without_memo(account: Account) -> bool:
    """Whether a token account's holder wants a memo before each transfer that comes in."""
    return any(account_extensions(account).get(AccountExtension.MEMO_TRANSFER, b""))


def calls_a_hook(mint: Account) -> bool:
    """Whether each transfer of the mint calls another program."""
    return any(mint_extensions(mint).get(ExtensionType.TRANSFER_HOOK, b"")[_HOOK_PROGRAM])


def _of_type(account: Account, account_type: int) -> Iterator[tuple[int, bytes]]:
    data = account.data
    if account.owner != TOKEN_2022_PROGRAM or len(data) <= EXTENSIONS_OFFSET:
        return
    if data[_ACCOUNT_TYPE_OFFSET] != account_type:
        return
    offset = EXTENSIONS_OFFSET
    while offset + _HEADER.size <= len(data):
        kind, length = _HEADER.unpack_from(data, offset)
        if kind == 0:
            return
        offset += _HEADER.size
        yield kind, data[offset : offset + length]
        offset += length
