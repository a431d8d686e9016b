"""The instructions sysvar: a transaction's instructions as a program among them reads them, and which one is running.

Layout: solana-instructions-sysvar, lib.rs, `construct_instructions_data`.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import SYSVAR_OWNER, Account

_U16 = Struct("<H")
_META = Struct("<B32s")
_SIGNER, _WRITABLE = 1, 2


def sysvar_account(instructions: Sequence[Instruction], current: int) -> Account:
    """What the account holds while the instruction at index `current` runs."""
    told = [_told(instruction) for instruction in instructions]
    offset = _U16.size * (1 + len(told))
    head = [_U16.pack(len(told))]
    for one in told:
        head.append(_U16.pack(offset))
        offset += len(one)
    return Account(owner=SYSVAR_OWNER, lamports=0, data=b"".join([*head, *told, _U16.pack(current)]))


def instructions_before(data: bytes) -> tuple[Instruction, ...]:
    """The transaction's instructions that come before the one that is running, from the account's data."""
    (current,) = _U16.unpack_from(data, len(data) - _U16.size)
    return tuple(_read(data, _U16.unpack_from(data, _U16.size * (1 + index))[0]) for index in range(current))


def _told(instruction: Instruction) -> bytes:
    metas = [
        _META.pack(_SIGNER * meta.is_signer | _WRITABLE * meta.is_writable, bytes(meta.pubkey))
        for meta in instruction.accounts
    ]
    data = bytes(instruction.data)
    return b"".join([_U16.pack(len(metas)), *metas, bytes(instruction.program_id), _U16.pack(len(data)), data])


def _read(data: bytes, offset: int) -> Instruction:
    (count,) = _U16.unpack_from(data, offset)
    offset += _U16.size
    metas = []
    for _ in range(count):
        flags, key = _META.unpack_from(data, offset)
        metas.append(AccountMeta(Pubkey(key), is_signer=bool(flags & _SIGNER), is_writable=bool(flags & _WRITABLE)))
        offset += _META.size
    program = Pubkey(data[offset : offset + 32])
    offset += 32
    (length,) = _U16.unpack_from(data, offset)
    offset += _U16.size
    return Instruction(program, data[offset : offset + length], metas)
