"""A pool that a genesis starts with."""

from __future__ import annotations

from dataclasses import dataclass

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account


@dataclass(frozen=True, slots=True)
class GenesisPool:
    """A pool's address and every account that it consists of, its two mints excepted."""

    address: Pubkey
    accounts: dict[Pubkey, Account]
