"""Accounts as an instruction names them: what it may do with each."""

from __future__ import annotations

from solders.instruction import AccountMeta
from solders.pubkey import Pubkey


def readonly(address: Pubkey) -> AccountMeta:
    """An account that the instruction reads, and that need not sign."""
    return AccountMeta(address, is_signer=False, is_writable=False)


def writable(address: Pubkey) -> AccountMeta:
    """An account that the instruction may change, and that need not sign."""
    return AccountMeta(address, is_signer=False, is_writable=True)
