"""How settled a slot is, as a cluster's votes would settle it."""

from __future__ import annotations

from enum import Enum

# A block is confirmed about two slots after it was produced, and rooted after 31 more blocks were voted on top of it.
_LAG_IN_SLOTS = {"processed": 0, "confirmed": 2, "finalized": 32}
FINALITY_LAG = _LAG_IN_SLOTS["finalized"]


class Commitment(Enum):
    """A commitment level by the name that JSON-RPC gives it."""

    PROCESSED = "processed"
    CONFIRMED = "confirmed"
    FINALIZED = "finalized"

    def slot(self, tip: int) -> int:
        """The newest slot of this level while `tip` is the newest processed one."""
        return tip - _LAG_IN_SLOTS[self.value]

    @classmethod
    def of(cls, slot: int, tip: int) -> Commitment:
        """The level that `slot` has reached."""
        if slot <= cls.FINALIZED.slot(tip):
            return cls.FINALIZED
        return cls.CONFIRMED if slot <= cls.CONFIRMED.slot(tip) else cls.PROCESSED
