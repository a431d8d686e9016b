"""How much is tried, and the one seed from which everything that is left to chance follows.

FAULTS_SEED=n replays a run; FAULTS_SCALE=full is what `make faults` runs, short what `make test` has time for;
FAULTS_CHAIN=tower runs it on the chain as it was until October 2026.
"""

from __future__ import annotations

import os
from random import Random

SEED = int(os.environ.get("FAULTS_SEED", "1"))
CHAIN = os.environ.get("FAULTS_CHAIN", "alpenglow")
FULL = os.environ.get("FAULTS_SCALE", "short") == "full"


def scaled(*, short: int, full: int) -> int:
    return full if FULL else short


def dice(purpose: str) -> Random:
    """Dice of their own for each purpose, so that one test's throws don't change another's."""
    return Random(f"{SEED}/{purpose}")
