"""A transaction as it is stored and sent. Without solders, which those that only read orders never load."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """All that must be stored before a transaction is sent: with it, its fate can be learned by anybody.

    `signature` is base58, `wire` the bytes to send, always the same. It can land in blocks up to and including
    `last_valid_block_height`, and never after. `slot` is the newest that was known as it was signed, and about to be
    sent; `tip_lamports` is what it pays a lane, if it lands and takes effect; None where it pays nothing.
    """

    signature: str
    wire: bytes
    blockhash: str
    last_valid_block_height: int
    slot: int | None = None
    tip_lamports: int | None = None
