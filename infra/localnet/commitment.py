"""How settled a reader wants a slot to be. How many slots that takes is the consensus's (`consensus.py`)."""

from __future__ import annotations

from enum import Enum


class Commitment(Enum):
    """A commitment level by the name that JSON-RPC gives it."""

    PROCESSED = "processed"
    CONFIRMED = "confirmed"
    FINALIZED = "finalized"
