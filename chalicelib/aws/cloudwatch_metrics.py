"""Metrics as CloudWatch reads them out of the logs: JSON lines in the embedded metric format.

One line for each set of dimensions. CloudWatch adds nothing up over dimensions: so each value also counts under fewer
of them, the last left out first, down to the service alone.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

from collections.abc import Mapping

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from chalicelib.metrics import NAMESPACE, SERVICE, Dimensions, Metric, take

_UNITS: Mapping[Metric, MetricUnit] = {
    Metric.ORDER_MS: MetricUnit.Milliseconds,
    Metric.STEP_MS: MetricUnit.Milliseconds,
    Metric.QUEUE_AGE_MS: MetricUnit.Milliseconds,
    Metric.RPC_WAIT_MS: MetricUnit.Milliseconds,
    Metric.QUOTE_TO_FILL_BPS: MetricUnit.NoUnit,
    Metric.WALLET_LAMPORTS: MetricUnit.NoUnit,
}


def flush() -> None:
    """Write what was noted since the last time, and forget it."""
    for dimensions, values in take().items():
        _write(dimensions, values)


def _write(dimensions: Dimensions, values: list[tuple[Metric, int]]) -> None:
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
