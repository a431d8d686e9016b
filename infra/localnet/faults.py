"""Faults on demand: transactions that vanish or never land, errors and latency of the RPC server. All seeded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from random import Random
from typing import Any

_LARGEST_DELAY_MS = 60_000


@dataclass(frozen=True, slots=True)
class FaultSettings:
    """Rates are probabilities from 0 to 1. Everything off by default.

    dropRate: each sendTransaction is swallowed independently, though its signature is returned.
    expireRate: a transaction never lands, however often it is sent.
    rpcErrorRate: a call is answered with HTTP 503 or with error -32005. delayMs: added to every answer.
    """

    dropRate: float = 0.0  # noqa: N815 - the wire's names
    expireRate: float = 0.0  # noqa: N815
    rpcErrorRate: float = 0.0  # noqa: N815
    delayMs: int = 0  # noqa: N815
    seed: int = 0

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> FaultSettings:
        """What is not named is off. Raises ValueError that names what is wrong."""
        unknown = sorted(values.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"unknown fault: {', '.join(unknown)}")
        for name in ("dropRate", "expireRate", "rpcErrorRate"):
            value = values.get(name, 0)
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ValueError(f"{name} must be a number from 0 to 1")
        for name, largest in (("delayMs", _LARGEST_DELAY_MS), ("seed", 1 << 63)):
            value = values.get(name, 0)
            if not isinstance(value, int) or not 0 <= value <= largest:
                raise ValueError(f"{name} must be a whole number from 0 to {largest}")
        return cls(**values)

    @property
    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Faults:
    """The settings in force and the dice."""

    def __init__(self) -> None:
        self.settings = FaultSettings()
        self._dice = Random(0)  # noqa: S311 - not for secrets

    def set(self, settings: FaultSettings) -> None:
        self.settings = settings
        self._dice = Random(settings.seed)  # noqa: S311

    def swallows(self, signature: bytes) -> bool:
        """Whether this sending of the transaction gets lost."""
        return self._never_lands(signature) or self._strikes(self.settings.dropRate)

    def strikes_call(self) -> bool:
        return self._strikes(self.settings.rpcErrorRate)

    def prefers_http_error(self) -> bool:
        """Which of the two kinds of RPC error it is this time."""
        return self._strikes(0.5)

    def spares_work(self) -> bool:
        """Whether an HTTP error comes before the call was carried out, not after."""
        return self._strikes(0.5)

    def _strikes(self, rate: float) -> bool:
        # No die is cast where nothing can happen: the sequence then depends on the faults alone.
        return rate > 0 and self._dice.random() < rate

    def _never_lands(self, signature: bytes) -> bool:
        digest = hashlib.sha256(self.settings.seed.to_bytes(8, "little") + signature).digest()
        return int.from_bytes(digest[:8], "little") < int(self.settings.expireRate * (1 << 64))
