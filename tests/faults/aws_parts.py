"""The product's parts on an AWS in memory that fails them, and a trader that keeps what rules were broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

import pytest

from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.aws.dynamodb.order_table import OrderTable
from chalicelib.aws.dynamodb.outages import SharedOutages
from chalicelib.aws.dynamodb.start_line import StartLine
from chalicelib.aws.orders_queue import SqsOrdersQueue
from chalicelib.orders.execution import Fate, PlannedSwap
from chalicelib.orders.intake import Intake
from chalicelib.orders.message import order_id_of
from chalicelib.orders.order import Order
from chalicelib.orders.outage import OutagePolicy
from chalicelib.orders.recovery import Recovery
from chalicelib.orders.starts import Starts
from chalicelib.orders.turns import TurnPolicy, starts_a_minute
from chalicelib.risk.limits import PLAYGROUND
from chalicelib.solana.signed_transaction import SignedTransaction
from tests.faults.aws_faults import PRODUCT_CONFIG, FaultyAws, without_waiting
from tests.integration.chain_model import LEASE_MS, AnyTime, ModelTrader, World
from tests.integration.cloud import REGION, Cloud, aws, cloud_in_memory
from tests.integration.test_intake import Tokens
from tests.sample_orders import CREATED_AT_MS, market_price

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

Done = TypeVar("Done")


@dataclass
class Faulty:
    """The product's parts on clients that meet faults; `cloud` shows what is really stored and queued."""

    cloud: Cloud
    aws: FaultyAws
    dynamodb: DynamoDBClient
    sqs: SQSClient
    store: OrderTable
    queue: SqsOrdersQueue
    controls: ControlTable
    now_ms: int = CREATED_AT_MS

    def intake(self, *, paced: bool = False) -> Intake:
        starts = self.starts() if paced else AnyTime()
        return Intake(
            self.store, self.queue, Tokens(), starts, self.controls, lambda: self.now_ms, uuid4, prices=market_price
        )

    def starts(self, per_minute: int = 100) -> Starts:
        """So many orders a minute, a tenth of them at once."""
        outputs = self.cloud.outputs
        line = StartLine(self.dynamodb, outputs["ControlTable"], outputs["LineTable"])
        policy = TurnPolicy(
            starts_a_minute(per_minute, max(1, per_minute // 10)), places=1000, own_places=1000, hold_ms=LEASE_MS
        )
        return Starts(line, self.store, self.queue, policy, lambda: self.now_ms, lambda seconds: None)

    def outages(self) -> SharedOutages:
        """As a fresh process has it."""
        return SharedOutages(self.dynamodb, self.cloud.outputs["ControlTable"], OutagePolicy())

    def recovery(self) -> Recovery:
        return Recovery(self.store, self.queue, self.starts(), lambda: self.now_ms)

    def queued(self) -> list[str]:
        """The order ids that workers would get now."""
        return [order_id_of(message.body) for message in self.cloud.receive()]

    def stored_ids(self) -> list[str]:
        """Every order's id, in no order."""
        items = self.cloud.dynamodb.scan(TableName=self.cloud.orders_table)["Items"]
        return [item["orderId"]["S"] for item in items if item["item"]["S"] == "order"]


@contextmanager
def faulty_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """A fresh account in memory and clients of it set up as the product's are, which meet no fault yet."""
    use_no_settings_of_this_machine(monkeypatch)
    without_waiting(monkeypatch)
    with cloud_in_memory() as cloud:
        dynamodb, sqs = aws().client("dynamodb", config=PRODUCT_CONFIG), aws().client("sqs", config=PRODUCT_CONFIG)
        yield Faulty(
            cloud,
            FaultyAws(dynamodb, sqs),
            dynamodb,
            sqs,
            cloud.store_of(dynamodb, lambda number: None),
            SqsOrdersQueue(sqs, cloud.outputs["OrdersQueueUrl"], cloud.outputs["DeadLetterQueueUrl"]),
            ControlTable(dynamodb, cloud.outputs["ControlTable"], PLAYGROUND),
        )


def use_no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.setenv(name, REGION)


class WatchfulTrader(ModelTrader):
    """Keeps what rules a worker broke: a delivery takes the assertion for one more surprise and goes on."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.broken: list[AssertionError] = []

    def plan(self, order: Order) -> PlannedSwap:
        planned = self._watched(lambda: super(WatchfulTrader, self).plan(order))
        return replace(planned, build=lambda stored: self._watched(lambda: planned.build(stored)))

    def settle(self, order: Order, submission: SignedTransaction) -> Fate:
        return self._watched(lambda: super(WatchfulTrader, self).settle(order, submission))

    def _watched(self, act: Callable[[], Done]) -> Done:
        try:
            return act()
        except AssertionError as error:
            self.broken.append(error)
            raise
