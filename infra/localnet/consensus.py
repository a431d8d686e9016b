"""The two kinds of chain that the localnet can be: how long its slots are, when a slot is final, which transactions it
takes.

Sources: solana.com/developers/docs, finality and getAgGenesisCert; SIMD-0326 (Alpenglow), SIMD-0525 (slot times),
SIMD-0385 (transactions of version 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infra.localnet.commitment import Commitment


@dataclass(frozen=True, slots=True)
class ConsensusRules:
    """`slot_ms` is a slot's length; `lags` say how many slots behind the newest one each commitment level is.

    `is_alpenglow` is whether the cluster has migrated, `newest_version` the highest transaction version that it takes.
    """

    name: str
    slot_ms: int
    lags: Mapping[Commitment, int]
    is_alpenglow: bool
    newest_version: int

    @property
    def finality_lag(self) -> int:
        """Slots between the newest one and the newest final one."""
        return self.lags[Commitment.FINALIZED]

    def slot_at(self, commitment: Commitment, tip: int) -> int:
        """The newest slot of this level while `tip` is the newest processed one."""
        return tip - self.lags[commitment]

    def level_of(self, slot: int, tip: int) -> Commitment:
        """The highest level that `slot` has reached."""
        levels = (Commitment.FINALIZED, Commitment.CONFIRMED)
        return next((level for level in levels if slot <= self.slot_at(level, tip)), Commitment.PROCESSED)


# A block is final some 150 ms after it was produced: by the time that the next one has begun. `confirmed` is the same.
ALPENGLOW = ConsensusRules(
    name="alpenglow",
    slot_ms=200,
    lags={Commitment.PROCESSED: 0, Commitment.CONFIRMED: 1, Commitment.FINALIZED: 1},
    is_alpenglow=True,
    newest_version=1,
)
# TowerBFT: confirmed about two slots after it was produced, and rooted after 31 more blocks were voted on top of it.
TOWER = ConsensusRules(
    name="tower",
    slot_ms=400,
    lags={Commitment.PROCESSED: 0, Commitment.CONFIRMED: 2, Commitment.FINALIZED: 32},
    is_alpenglow=False,
    newest_version=0,
)
BY_NAME = {consensus.name: consensus for consensus in (ALPENGLOW, TOWER)}
