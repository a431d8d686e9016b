"""What Fillrate measures, as CloudWatch metrics in the embedded metric format: JSON lines among the logs.

Values are noted while an invocation runs and leave it with one line for each set of dimensions at its end (`flush`).
CloudWatch adds nothing up over dimensions: so each value also counts under fewer of them, the last left out first, down
to the service alone. docs/observability.md says what each metric means and where it is noted.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from threading import Lock

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

NAMESPACE = "Fillrate"
SERVICE = "fillrate"


class Metric(StrEnum):
    """Every metric there is; an alarm or a chart of another name would show nothing, for ever."""

    ORDERS_ACCEPTED = "OrdersAccepted"
    ORDERS_BY_OUTCOME = "OrdersByOutcome"
    ORDER_MS = "OrderMs"
    STEP_MS = "StepMs"
    QUOTE_TO_FILL_BPS = "QuoteToFillBps"
    RETRIES = "Retries"
    QUEUE_AGE_MS = "QueueAgeMs"
    DEAD_LETTERS = "DeadLetters"
    DEAD_LETTERS_WAITING = "DeadLettersWaiting"
    RPC_ERRORS = "RpcErrors"
    RPC_WAIT_MS = "RpcWaitMs"
    SLOT_LAG = "SlotLag"
    RATE_LIMITED = "RateLimited"
    WALLET_LAMPORTS = "WalletLamports"
    HALTED = "Halted"


_UNITS: Mapping[Metric, MetricUnit] = {
    Metric.ORDER_MS: MetricUnit.Milliseconds,
    Metric.STEP_MS: MetricUnit.Milliseconds,
    Metric.QUEUE_AGE_MS: MetricUnit.Milliseconds,
    Metric.RPC_WAIT_MS: MetricUnit.Milliseconds,
    Metric.QUOTE_TO_FILL_BPS: MetricUnit.NoUnit,
    Metric.WALLET_LAMPORTS: MetricUnit.NoUnit,
}

# What a metric is told apart by, besides the service; a value may leave out the last ones.
DIMENSIONS: Mapping[Metric, tuple[str, ...]] = {
    Metric.ORDERS_BY_OUTCOME: ("outcome", "error_code"),
    Metric.ORDER_MS: ("outcome",),
    Metric.STEP_MS: ("step",),
    Metric.DEAD_LETTERS: ("reason",),
    Metric.RPC_ERRORS: ("kind", "method"),
    Metric.RATE_LIMITED: ("code",),
}

_Dimensions = tuple[tuple[str, str], ...]
_noted: dict[_Dimensions, list[tuple[Metric, int]]] = {}
_lock = Lock()  # Solana's nodes are asked by several threads


def note(metric: Metric, value: int = 1, **dimensions: str) -> None:
    """Keep one value until `flush`. Raises ValueError where `dimensions` aren't the metric's, in their order."""
    if tuple(dimensions) != DIMENSIONS.get(metric, ())[: len(dimensions)]:
        raise ValueError(f"{metric} is not told apart by {', '.join(dimensions)}")
    with _lock:
        _noted.setdefault(tuple(dimensions.items()), []).append((metric, value))


def flush() -> None:
    """Write what was noted since the last time, and forget it."""
    with _lock:
        noted = dict(_noted)
        _noted.clear()
    for dimensions, values in noted.items():
        _write(dimensions, values)


def _write(dimensions: _Dimensions, values: list[tuple[Metric, int]]) -> None:
    line = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    line.add_dimension("service", SERVICE)
    for name, value in dimensions:
        line.add_dimension(name, value)
    for length in range(len(dimensions)):
        line.add_dimensions(service=SERVICE, **dict(dimensions[:length]))
    for metric, number in values:
        line.add_metric(metric.value, _UNITS.get(metric, MetricUnit.Count), number)
    if line.metric_set:  # it writes a full hundred by itself
        line.flush_metrics()
