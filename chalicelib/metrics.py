"""What Fillrate measures: values are noted while an invocation runs; cloudwatch_metrics.py writes them at its end.

Pure. docs/observability.md says what each metric means and where it is noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from threading import Lock

NAMESPACE = "Fillrate"
SERVICE = "fillrate"


class Metric(StrEnum):
    """Every metric there is; an alarm or a chart of another name would show nothing, for ever."""

    ORDERS_ACCEPTED = "OrdersAccepted"
    ORDERS_BY_OUTCOME = "OrdersByOutcome"
    ORDER_MS = "OrderMs"
    STEP_MS = "StepMs"
    QUOTE_TO_FILL_BPS = "QuoteToFillBps"
    FLOOR_TO_FILL_BPS = "FloorToFillBps"
    RETRIES = "Retries"
    QUEUE_AGE_MS = "QueueAgeMs"
    DEAD_LETTERS = "DeadLetters"
    DEAD_LETTERS_WAITING = "DeadLettersWaiting"
    RPC_ERRORS = "RpcErrors"
    RPC_WAIT_MS = "RpcWaitMs"
    SLOT_LAG = "SlotLag"
    SLOT_DELTA = "SlotDelta"
    RATE_LIMITED = "RateLimited"
    WALLET_LAMPORTS = "WalletLamports"
    HALTED = "Halted"
    TRIGGERED = "OrdersTriggered"
    LOOK_MS = "LookMs"
    LOOK_GAP_MS = "LookGapMs"
    LOOKS_LATE_MS = "LooksLateMs"


# What a metric is told apart by, besides the service; a value may leave out the last ones.
DIMENSIONS: Mapping[Metric, tuple[str, ...]] = {
    Metric.ORDERS_BY_OUTCOME: ("outcome", "error_code"),
    Metric.ORDER_MS: ("outcome",),
    Metric.STEP_MS: ("step",),
    Metric.DEAD_LETTERS: ("reason",),
    Metric.RPC_ERRORS: ("kind", "method"),
    Metric.RATE_LIMITED: ("code",),
    Metric.TRIGGERED: ("kind",),
}

# Names and values, in the metric's order.
Dimensions = tuple[tuple[str, str], ...]
_noted: dict[Dimensions, list[tuple[Metric, int]]] = {}
_lock = Lock()  # Solana's nodes are asked by several threads


def note(metric: Metric, value: int = 1, **dimensions: str) -> None:
    """Keep one value until `take`. Raises ValueError where `dimensions` aren't the metric's, in their order."""
    if tuple(dimensions) != DIMENSIONS.get(metric, ())[: len(dimensions)]:
        raise ValueError(f"{metric} is not told apart by {', '.join(dimensions)}")
    with _lock:
        _noted.setdefault(tuple(dimensions.items()), []).append((metric, value))


def take() -> Mapping[Dimensions, list[tuple[Metric, int]]]:
    """What was noted since the last time, by its dimensions; it is forgotten here."""
    with _lock:
        noted = dict(_noted)
        _noted.clear()
    return noted
