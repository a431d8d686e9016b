"""How many bytes of accounts a transaction has loaded for it, which it may limit (SIMD-0186).

Each account counts with its data and 64 bytes more, a program with its bytecode too, a lookup table with 8,248.
Source: anza-xyz/agave, svm/src/account_loader.rs `load_transaction_accounts`.
"""

from __future__ import annotations

from collections.abc import Container

from solders.pubkey import Pubkey

from infra.localnet.message import ReadAccount, ResolvedMessage

_ACCOUNT_BYTES = 64
_LOOKUP_TABLE_BYTES = 8_248
_INSTRUCTIONS_SYSVAR = Pubkey.from_string("Sysvar1nstructions1111111111111111111111111")
_UPGRADEABLE_LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
# A program's account: its state's tag, u32, then the address of its bytecode's account.
_PROGRAM_TAG_LENGTH = 4
_PROGRAM_LENGTH = 36
# What counts for an emulated program's bytecode, which isn't here: as much as the largest of them has on mainnet.
_EMULATED_BYTECODE_BYTES = 2_100_000


def loaded_bytes(message: ResolvedMessage, read: ReadAccount, emulated: Container[Pubkey]) -> int:
    """What `message` loads; the programs of `emulated` stand in for real ones."""
    total = _LOOKUP_TABLE_BYTES * message.lookup_tables
    counted: set[Pubkey] = set(message.keys)
    for key in message.keys:
        account = None if key == _INSTRUCTIONS_SYSVAR else read(key)
        total += 0 if account is None else _ACCOUNT_BYTES + len(account.data)
    for program in {instruction.program_id for instruction in message.instructions}:
        if program in emulated:
            total += _EMULATED_BYTECODE_BYTES
            continue
        bytecode = _bytecode_address(program, read)
        if bytecode is not None and bytecode not in counted:
            counted.add(bytecode)
            account = read(bytecode)
            total += 0 if account is None else _ACCOUNT_BYTES + len(account.data)
    return total


def _bytecode_address(program: Pubkey, read: ReadAccount) -> Pubkey | None:
    """Of a program of the upgradeable loader: where its bytecode is."""
    account = read(program)
    if account is None or account.owner != _UPGRADEABLE_LOADER or len(account.data) != _PROGRAM_LENGTH:
        return None
    return Pubkey(account.data[_PROGRAM_TAG_LENGTH:])
