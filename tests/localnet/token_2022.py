"""Instructions of Token-2022 by which holders guard their accounts, and data of mints that let nothing through.

Source: solana-program/token-2022, interface/src/instruction.rs, interface/src/extension.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import EXTENSIONS_OFFSET, TOKEN_2022_PROGRAM, AccountState, ExtensionType
from infra.localnet.programs.token_accounts import rent_exempt
from infra.localnet.token_extensions import AccountExtension

CPI_GUARD_BLOCKED, NO_MEMO, FROZEN, NON_TRANSFERABLE, PAUSED = 42, 36, 17, 37, 67

_REALLOCATE, _MEMO_EXTENSION, _GUARD_EXTENSION = 29, 30, 34
_APPROVE_CHECKED = 13
_ENABLE, _DISABLE = 0, 1
_STATE = 108


def guard(account: Pubkey, owner: Pubkey) -> list[Instruction]:
    """Make room for the CPI guard and turn it on."""
    return [_make_room(account, owner, AccountExtension.CPI_GUARD), _toggle(account, owner, _GUARD_EXTENSION, _ENABLE)]


def unguard(account: Pubkey, owner: Pubkey) -> Instruction:
    return _toggle(account, owner, _GUARD_EXTENSION, _DISABLE)


def ask_for_memos(account: Pubkey, owner: Pubkey) -> list[Instruction]:
    return [
        _make_room(account, owner, AccountExtension.MEMO_TRANSFER),
        _toggle(account, owner, _MEMO_EXTENSION, _ENABLE),
    ]


def approve(account: Pubkey, mint: Pubkey, delegate: Pubkey, owner: Pubkey, amount: int, decimals: int) -> Instruction:
    metas = [_writable(account), _readonly(mint), _readonly(delegate), _signer(owner)]
    data = bytes([_APPROVE_CHECKED]) + amount.to_bytes(8, "little") + bytes([decimals])
    return Instruction(TOKEN_2022_PROGRAM, data, metas)


def frozen(account: Account) -> Account:
    """A token account after its mint's freeze authority has been at it."""
    data = bytearray(account.data)
    data[_STATE] = AccountState.FROZEN
    return replace(account, data=bytes(data))


def with_extension(kind: int, content: bytes, account_type: int) -> Callable[[Account], Account]:
    """`account_type`: 1 for mints, 2 for token accounts."""

    def extended(account: Account) -> Account:
        base = account.data
        if len(base) <= EXTENSIONS_OFFSET:
            base = base.ljust(EXTENSIONS_OFFSET - 1, b"\0") + bytes([account_type])
        data = base + kind.to_bytes(2, "little") + len(content).to_bytes(2, "little") + content
        return replace(account, data=data, lamports=max(account.lamports, rent_exempt(len(data))))

    return extended


ISSUER = bytes([91] * 32)
paused = with_extension(ExtensionType.PAUSABLE, ISSUER + b"\1", 1)
hooked = with_extension(ExtensionType.TRANSFER_HOOK, ISSUER + bytes([92] * 32), 1)
frozen_by_default = with_extension(ExtensionType.DEFAULT_ACCOUNT_STATE, bytes([AccountState.FROZEN]), 1)
of_a_later_program = with_extension(99, b"\1", 1)
not_transferable = with_extension(AccountExtension.NON_TRANSFERABLE_ACCOUNT, b"", 2)


def _make_room(account: Pubkey, owner: Pubkey, extension: AccountExtension) -> Instruction:
    metas = [
        _writable(account),
        AccountMeta(owner, is_signer=True, is_writable=True),
        _readonly(SYSTEM_PROGRAM),
        _signer(owner),
    ]
    return Instruction(TOKEN_2022_PROGRAM, bytes([_REALLOCATE]) + extension.to_bytes(2, "little"), metas)


def _toggle(account: Pubkey, owner: Pubkey, extension: int, how: int) -> Instruction:
    return Instruction(TOKEN_2022_PROGRAM, bytes([extension, how]), [_writable(account), _signer(owner)])


def _writable(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=True)


def _readonly(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=False)


def _signer(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=True, is_writable=False)
