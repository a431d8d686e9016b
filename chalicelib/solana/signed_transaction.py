"""A transaction as it is stored and sent. Without solders, which those that only read orders never load."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """All that must be stored before a transaction is sent: with it, its fate can be learned by anybody.

    `signature` is base58, `wire` the bytes to send, always the same. It can land in blocks up to and including
    `last_valid_block_height`, and never after.
    """

    signature: str
    wire: bytes
    blockhash: str
    last_valid_block_height: int
