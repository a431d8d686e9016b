"""What operators have set that stands over an account's orders: read together, as it is needed together. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import LimitsInForce


@dataclass(frozen=True, slots=True)
class Controls:
    """Why the account's orders may not be executed, None where they may; and what holds for them."""

    halt: Halt | None
    limits: LimitsInForce
