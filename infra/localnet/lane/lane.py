"""A send-only lane beside the node, as Jito's and others': it takes transactions that tip it, and answers no question.

Its faults are its own: what it loses, the node may still have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.localnet.faults import Faults, FaultSettings
from infra.localnet.lane.block_engine import BlockEngine
from infra.localnet.lane.tips import MINIMUM_TIP

_LARGEST_TIP = 1 << 63


@dataclass(slots=True)
class LaneCounts:
    """What became of what was sent to the lane, since it was started."""

    taken: int = 0
    refused: int = 0
    lost: int = 0

    @property
    def to_json(self) -> dict[str, int]:
        return {"taken": self.taken, "refused": self.refused, "lost": self.lost}


@dataclass(slots=True)
class SendLane:
    """The lane with its faults. `block_engine` has the least tip."""

    block_engine: BlockEngine
    faults: Faults = field(default_factory=Faults)
    counts: LaneCounts = field(default_factory=LaneCounts)

    def set(self, values: Mapping[str, Any]) -> None:
        """What is not named is as at the start. Raises ValueError that names what is wrong."""
        tip = values.get("minimumTip", MINIMUM_TIP)
        if not isinstance(tip, int) or isinstance(tip, bool) or not 0 < tip < _LARGEST_TIP:
            raise ValueError("minimumTip must be a whole number of lamports above zero")
        self.faults.set(
            FaultSettings.from_json({name: value for name, value in values.items() if name != "minimumTip"})
        )
        self.block_engine.minimum_tip = tip

    @property
    def to_json(self) -> dict[str, Any]:
        return {
            **self.faults.settings.to_json,
            "minimumTip": self.block_engine.minimum_tip,
            "counts": self.counts.to_json,
        }
