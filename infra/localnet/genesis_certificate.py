"""The certificate that the cluster has migrated to Alpenglow, as getAgGenesisCert gives it.

On a chain of one node nobody votes: its bytes have the lengths of a real one's and follow from the genesis hash.
Source: solana.com/developers/docs/rpc/http/getaggenesiscert.
"""

from __future__ import annotations

import hashlib
from typing import Any

from solders.hash import Hash

_BLOCK_ID_LENGTH = 32
# An aggregate BLS signature, uncompressed.
_SIGNATURE_LENGTH = 192
# One bit a validator.
_BITMAP = [1]


def genesis_certificate(genesis_hash: Hash, slot: int) -> dict[str, Any]:
    """Of the block at `slot`, from which on Alpenglow decides. Byte strings are arrays of numbers, as on a node."""
    return {
        "block": {"slot": slot, "blockId": _derived(b"block id", genesis_hash, _BLOCK_ID_LENGTH)},
        "signature": {"signature": _derived(b"signature", genesis_hash, _SIGNATURE_LENGTH), "bitmap": _BITMAP},
    }


def _derived(purpose: bytes, genesis_hash: Hash, length: int) -> list[int]:
    return list(hashlib.shake_256(purpose + bytes(genesis_hash)).digest(length))
