"""What the counted calls cost: a bill for an order, and one for a month in which nothing happens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from bench.cost.measuring import SQS_OPERATIONS, Measurement
from bench.cost.prices import Tariff
from chalicelib.amounts import ceil_div
from chalicelib.metrics import DIMENSIONS, Metric
from infra.deployment.monitoring import template

MILLION = 1_000_000
MINUTES_A_MONTH = 43_800  # 365.25 days / 12
# Lambda keeps so many long polls of 20 s open on an idle queue whose mapping has a maximum concurrency:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
_IDLE_POLLS = 5
_POLL_SECONDS = 20
_GB = Decimal(1024**3)
# An item costs so many bytes more than its attributes, in the table and in each index; and so many are those of an
# order in the two indexes in which it stays: its own key and the index's.
_ITEM_OVERHEAD_BYTES = 100
_INDEXES_OF_ALL_ORDERS, _KEY_BYTES = 2, 130


@dataclass(frozen=True, slots=True)
class Line:
    """One position: `amount` of the unit that `price` names."""

    what: str
    amount: Decimal
    usd: Decimal


def order_bill(counted: Measurement, tariff: Tariff) -> list[Line]:
    """What one order takes, on average, in the units that AWS bills, and what a million of them costs."""

    def line(price: str, total: Decimal | int, what: str = "") -> Line:
        amount = Decimal(total) / counted.orders
        return Line(what or tariff[price].unit, amount, tariff[price].of(amount * MILLION))

    workers = len(counted.invocation_ms.get("ExecuteOrder", ()))
    own_requests = _calls(counted, SQS_OPERATIONS)
    return [
        line("lambdaRequest", sum(map(len, counted.invocation_ms.values()))),
        line("lambdaGbSecond", gb_seconds(counted)),
        line("dynamodbWriteUnit", sum(counted.write_units.values())),
        line("dynamodbReadUnit", sum(map(Decimal, counted.read_units.values()), Decimal(0))),
        # Lambda receives and deletes each message itself
        line("sqsRequest", own_requests + 2 * workers),
        line("restRequest", counted.rest_requests),
        line("websocketMessage", counted.websocket_messages),
        line("websocketMinute", sum(ceil_div(int(seconds * 1000), 60_000) for seconds in counted.connection_seconds)),
        line("kmsSign", signatures(counted)),
        line("logsGb", Decimal(counted.log_bytes) / _GB),
        line("internetGb", Decimal(counted.rest_bytes_out + counted.websocket_bytes_out) / _GB),
    ]


def month_bill(counted: Measurement, tariff: Tariff) -> list[Line]:
    """What a month costs in which nobody trades."""

    def line(price: str, amount: Decimal | int, what: str) -> Line:
        return Line(what, Decimal(amount), tariff[price].of(Decimal(amount)))

    sweeps = MINUTES_A_MONTH
    sweep_gb_seconds = Decimal(sweeps * counted.sweep_ms * counted.memory_mb["Sweep"]) / 1000 / 1024
    polls = MINUTES_A_MONTH * 60 // _POLL_SECONDS * _IDLE_POLLS
    return [
        line("sqsRequest", polls, "Lambda's long polls of the empty queue"),
        line("lambdaRequest", sweeps, "the sweeper's runs"),
        line("lambdaGbSecond", sweep_gb_seconds, "the sweeper's GB-seconds"),
        line("dynamodbReadUnit", Decimal(sweeps * counted.sweep_reads) / 2, "the sweeper's read units"),
        line("sqsRequest", sweeps * counted.sweep_requests, "the sweeper's SQS requests"),
        line("metricMonth", custom_metrics(), "custom metrics, if each has been seen"),
        line("alarmMetricMonth", alarm_metrics(), "metrics that the alarms look at"),
        line("dashboardMonth", 1, "the dashboard"),
        line("kmsKeyMonth", 1, "the wallet's KMS key"),
        line("secretMonth", 1, "the secret that tickets are signed with"),
    ]


def storage_gb(counted: Measurement) -> Decimal:
    """What a million orders take in the table and in the indexes that list them, for as long as they are kept."""
    keys = _INDEXES_OF_ALL_ORDERS * (_KEY_BYTES + _ITEM_OVERHEAD_BYTES)
    return Decimal(MILLION * (counted.item_bytes + _ITEM_OVERHEAD_BYTES + keys)) / _GB


def gb_seconds(counted: Measurement) -> Decimal:
    """What Lambda bills of all invocations: each one's ms, times its function's memory."""
    total = sum(max(1, ms) * counted.memory_mb[name] for name, times in counted.invocation_ms.items() for ms in times)
    return Decimal(total) / 1000 / 1024


def signatures(counted: Measurement) -> int:
    """Transactions signed, each by one call of a KMS wallet; a stage with a wallet file signs one for each order."""
    return _calls(counted, ("Sign",)) or counted.orders


def custom_metrics() -> int:
    """About how many metrics CloudWatch bills: one for each set of values of dimensions, with the usual values."""
    usual = {"outcome": 3, "error_code": 12, "step": 5, "reason": 6, "kind": 4, "method": 6, "code": 3}
    total = 0
    for metric in Metric:
        sets = 1
        total += sets
        for name in DIMENSIONS.get(metric, ()):
            sets *= usual[name]
            total += sets
    return total


def alarm_metrics() -> int:
    """An alarm over an expression is billed for each metric in it."""
    alarms = [one["Properties"] for one in template()["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    return sum(sum("MetricStat" in one for one in alarm.get("Metrics", ())) or 1 for alarm in alarms)


def total(lines: Iterable[Line]) -> Decimal:
    return sum((line.usd for line in lines), Decimal(0))


def _calls(counted: Measurement, operations: Iterable[str]) -> int:
    wanted = set(operations)
    return sum(number for name, number in counted.aws_calls.items() if name.rpartition(" ")[2] in wanted)
