"""Accounts and the clock as they were read from the chain at one slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct

from solders.pubkey import Pubkey

CLOCK_SYSVAR = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")
# Which instructions a transaction has: only programs that run in it can read that.
INSTRUCTIONS_SYSVAR = Pubkey.from_string("Sysvar1nstructions1111111111111111111111111")
SYSVAR_OWNER = Pubkey.from_string("Sysvar1111111111111111111111111111111111111")

# slot u64, epoch_start_timestamp i64, epoch u64, leader_schedule_epoch u64, unix_timestamp i64
# https://docs.rs/solana-clock/latest/solana_clock/struct.Clock.html
_CLOCK = Struct("<QqQQq")
CLOCK_LENGTH = _CLOCK.size


@dataclass(frozen=True, slots=True)
class Account:
    """One account's content."""

    owner: Pubkey
    lamports: int
    data: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class ChainClock:
    """The cluster's own time: what programs see when they ask for the clock."""

    slot: int
    epoch: int
    unix_timestamp: int

    @classmethod
    def decode(cls, data: bytes) -> ChainClock:
        """Read the clock sysvar's data. Raises `struct.error` where it is too short."""
        slot, _, epoch, _, unix_timestamp = _CLOCK.unpack_from(data)
        return cls(slot=slot, epoch=epoch, unix_timestamp=unix_timestamp)


# Accounts by address. An address that was read and does not exist maps to None; one that was not read is absent.
AccountMap = Mapping[Pubkey, Account | None]


@dataclass(frozen=True, slots=True)
class AccountsRead:
    """Accounts from one read; `slot` is the lowest at which any of them was read.

    `newest_slot` is the newest slot that was known then, of whichever node, 0 where nothing tells. `age_ms` is how long
    before the read the chain was at `slot`, None where its slots don't tell.
    """

    slot: int
    accounts: AccountMap
    newest_slot: int = 0
    age_ms: int | None = field(default=None, compare=False)
