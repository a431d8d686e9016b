"""A transaction's message with its lookup tables read: every key, what may be done to it, each instruction in full."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import Message, MessageV0, MessageV1, TransactionConfig
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from infra.localnet.fees import ComputeBudgetLimits, transaction_fee
from infra.localnet.transaction_error import TransactionError, TransactionRefused

ADDRESS_LOOKUP_TABLE_PROGRAM = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")

# type u32, deactivation_slot u64, last_extended_slot u64, last_extended_slot_start_index u8
# solana-address-lookup-table-interface, state.rs
_LOOKUP_TABLE = Struct("<IQQB")
_LOOKUP_TABLE_HEADER_LENGTH = 56
_ACTIVE = (1 << 64) - 1
# A deactivated table can be read until its deactivation slot has left the slot hashes.
_DEACTIVATION_COOLDOWN = 513

ReadAccount = Callable[[Pubkey], Account | None]


@dataclass(frozen=True, slots=True)
class ResolvedMessage:
    """`keys` are the static ones, then those loaded to be written, then those loaded to be read."""

    blockhash: Hash
    keys: tuple[Pubkey, ...]
    writable: tuple[bool, ...]
    signatures: int
    instructions: tuple[Instruction, ...]
    loaded_writable: tuple[Pubkey, ...] = ()
    loaded_readonly: tuple[Pubkey, ...] = ()
    lookup_tables: int = 0
    # Of a message of version 1, which has it in no instruction.
    config: TransactionConfig | None = None

    @property
    def fee_payer(self) -> Pubkey:
        return self.keys[0]

    @property
    def budget(self) -> ComputeBudgetLimits:
        """What it may use, and what it pays to come first."""
        if self.config is not None:
            return ComputeBudgetLimits.of_config(self.config)
        return ComputeBudgetLimits.of(self.instructions)

    @property
    def fee(self) -> int:
        """In lamports."""
        return transaction_fee(self.instructions, self.signatures, self.budget)

    @property
    def writable_keys(self) -> tuple[Pubkey, ...]:
        return tuple(key for key, writable in zip(self.keys, self.writable, strict=True) if writable)


def resolve(
    message: Message | MessageV0 | MessageV1, read: ReadAccount, slot: int, newest_version: int
) -> ResolvedMessage:
    """Look up what `message` (already sanitized) names by table. Raises TransactionRefused where it can't be.

    So it does where the message's version is above `newest_version`.
    """
    if isinstance(message, MessageV1) and newest_version < 1:
        raise TransactionRefused(TransactionError("UnsupportedVersion"))
    lookups = message.address_table_lookups if isinstance(message, MessageV0) else []
    loaded_writable: list[Pubkey] = []
    loaded_readonly: list[Pubkey] = []
    for lookup in lookups:
        addresses = _table_addresses(read(lookup.account_key), slot)
        try:
            loaded_writable += [addresses[index] for index in lookup.writable_indexes]
            loaded_readonly += [addresses[index] for index in lookup.readonly_indexes]
        except IndexError:
            raise TransactionRefused(TransactionError("InvalidAddressLookupTableIndex")) from None
    static = list(message.account_keys)
    header = message.header
    signers = header.num_required_signatures
    writable = [
        index < signers - header.num_readonly_signed_accounts
        if index < signers
        else index < len(static) - header.num_readonly_unsigned_accounts
        for index in range(len(static))
    ]
    writable += [True] * len(loaded_writable) + [False] * len(loaded_readonly)
    keys = (*static, *loaded_writable, *loaded_readonly)
    if len(set(keys)) != len(keys):
        raise TransactionRefused(TransactionError("AccountLoadedTwice"))
    return ResolvedMessage(
        blockhash=message.recent_blockhash,
        keys=keys,
        writable=tuple(writable),
        signatures=signers,
        instructions=_instructions(message, keys, writable, signers),
        loaded_writable=tuple(loaded_writable),
        loaded_readonly=tuple(loaded_readonly),
        lookup_tables=len(lookups),
        config=message.config if isinstance(message, MessageV1) else None,
    )


def _instructions(
    message: Message | MessageV0 | MessageV1, keys: tuple[Pubkey, ...], writable: list[bool], signers: int
) -> tuple[Instruction, ...]:
    def meta(index: int) -> AccountMeta:
        return AccountMeta(keys[index], is_signer=index < signers, is_writable=writable[index])

    try:
        return tuple(
            Instruction(keys[compiled.program_id_index], compiled.data, [meta(index) for index in compiled.accounts])
            for compiled in message.instructions
        )
    except IndexError:
        raise TransactionRefused(TransactionError("SanitizeFailure")) from None


def _table_addresses(table: Account | None, slot: int) -> list[Pubkey]:
    if table is None:
        raise TransactionRefused(TransactionError("AddressLookupTableNotFound"))
    if table.owner != ADDRESS_LOOKUP_TABLE_PROGRAM:
        raise TransactionRefused(TransactionError("InvalidAddressLookupTableOwner"))
    data = table.data
    if len(data) < _LOOKUP_TABLE_HEADER_LENGTH or len(data) % 32 != _LOOKUP_TABLE_HEADER_LENGTH % 32:
        raise TransactionRefused(TransactionError("InvalidAddressLookupTableData"))
    _, deactivated_in, extended_in, first_new = _LOOKUP_TABLE.unpack_from(data)
    if deactivated_in != _ACTIVE and slot > deactivated_in + _DEACTIVATION_COOLDOWN:
        raise TransactionRefused(TransactionError("AddressLookupTableNotFound"))
    addresses = [Pubkey(data[start : start + 32]) for start in range(_LOOKUP_TABLE_HEADER_LENGTH, len(data), 32)]
    # What was added in this very slot can be used from the next one on.
    return addresses if slot > extended_in else addresses[:first_new]
