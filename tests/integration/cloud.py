"""An AWS account in memory (moto) with the stack of data.yaml in it, and what tests want to see of it."""

from __future__ import annotations

import base64
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.apigatewaymanagementapi.models import apigatewaymanagementapi_backends
from moto.cloudformation.models import Stack
from moto.core.models import DEFAULT_ACCOUNT_ID

from chalicelib.access.key_administration import KeyAdministration, NewKey
from chalicelib.access.key_table import KeyTable
from chalicelib.access.keys import Scope
from chalicelib.access.ticket_office import TicketOffice
from chalicelib.access.ticket_secret import TicketSecret
from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.aws.dynamodb.order_table import OrderTable
from chalicelib.aws.dynamodb.start_rate import SharedStartRate
from chalicelib.aws.orders_queue import SqsOrdersQueue
from chalicelib.aws.websocket_gateway import WebSocketGateway
from chalicelib.orders.delivery import Message
from chalicelib.orders.order import Order
from chalicelib.orders.start_rate import starts_a_minute
from chalicelib.push.connection_table import ConnectionTable
from chalicelib.push.connections import Connections
from chalicelib.risk.limits import PLAYGROUND
from tests.integration import moto_secret as moto_secret  # lets moto make the template's secret

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

REGION = "us-east-1"
WEBSOCKET_ENDPOINT = f"https://fillrate.execute-api.{REGION}.amazonaws.com/api"
DATA_STACK = Path(__file__).parents[2] / "infra" / "deployment" / "data.yaml"

Json = dict[str, Any]


@cache
def _parsed(template: str) -> dict[str, Any]:
    parsed: dict[str, Any] = PARSE_TEMPLATE(template)
    return parsed


PARSE_TEMPLATE = Stack.parse_template
# Every test deploys the same template anew, and reading its YAML would be most of the work.
Stack.parse_template = staticmethod(lambda template: deepcopy(_parsed(template)))  # type: ignore[method-assign]


@cache
def aws() -> boto3.Session:
    """One session for all tests: it reads botocore's service descriptions once. Each test makes its own clients."""
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)


@dataclass
class Cloud:
    """The data stack, deployed from the product's own template, so that keys and indexes are those of production."""

    outputs: dict[str, str]
    dynamodb: DynamoDBClient = field(default_factory=lambda: aws().client("dynamodb"))
    sqs: SQSClient = field(default_factory=lambda: aws().client("sqs"))

    @property
    def orders_table(self) -> str:
        return self.outputs["OrdersTable"]

    def store(self) -> OrderTable:
        return OrderTable(self.dynamodb, self.orders_table, self.outputs["ControlTable"])

    def control_table(self) -> ControlTable:
        return ControlTable(self.dynamodb, self.outputs["ControlTable"], PLAYGROUND)

    def stored(self, order_id: str) -> Order:
        order = self.store().load(order_id)
        assert order is not None, f"no order {order_id} is stored"
        return order

    def orders_queue(self) -> SqsOrdersQueue:
        return SqsOrdersQueue(self.sqs, self.outputs["OrdersQueueUrl"], self.outputs["DeadLetterQueueUrl"])

    def start_rate(self, limit: int = 10_000, burst: int = 1000) -> SharedStartRate:
        return SharedStartRate(self.dynamodb, self.outputs["ControlTable"], starts_a_minute(limit, burst))

    def connections(self) -> Connections:
        return Connections(self.dynamodb, self.orders_table)

    def connection_table(self) -> ConnectionTable:
        return ConnectionTable(self.dynamodb, self.outputs["ConnectionsTable"])

    def keys(self) -> KeyTable:
        return KeyTable(self.dynamodb, self.outputs["AccessTable"])

    def new_key(self, account: str, *scopes: Scope, rate_per_minute: int = 100_000) -> NewKey:
        administration = KeyAdministration(self.keys(), lambda: 0, secrets.token_bytes)
        return administration.create(account, frozenset(scopes or Scope), rate_per_minute=rate_per_minute)

    def tickets(self, now_ms: Callable[[], int]) -> TicketOffice:
        client: Any = aws().client("secretsmanager")
        secret = TicketSecret(client, self.outputs["TicketSecretArn"], now_ms)
        return TicketOffice(secret, self.keys(), now_ms, secrets.token_bytes)

    def counters(self) -> dict[str, int]:
        """What the counters stand at, by name; those at zero aside."""
        items = self.dynamodb.scan(TableName=self.outputs["ControlTable"], ConsistentRead=True)["Items"]
        counted = {item["name"]["S"]: int(item["counted"]["N"]) for item in items if "counted" in item}
        return {name: number for name, number in counted.items() if number}

    def assert_counters_add_up(self) -> None:
        """Every counter is the sum of what the stored orders stand for, by the orders' own attributes."""
        items = self.dynamodb.scan(TableName=self.orders_table, ConsistentRead=True)["Items"]
        assert self.counters() == sums_over_orders(item for item in items if item["item"]["S"] == "order")

    def receive(self) -> list[Message]:
        """The visible messages, as a worker gets them; they are hidden until they come back."""
        received: list[Message] = []
        while True:
            response = self.sqs.receive_message(
                QueueUrl=self.outputs["OrdersQueueUrl"], MaxNumberOfMessages=10, WaitTimeSeconds=0
            )
            messages = response.get("Messages", [])
            if not messages:
                return received
            received += [Message(one["MessageId"], one["ReceiptHandle"], one["Body"]) for one in messages]

    def dead_letters(self) -> list[tuple[str, str]]:
        """What lies in the dead-letter queue: bodies with their reasons. Each is taken out, so it is seen once."""
        response: Any = self.sqs.receive_message(
            QueueUrl=self.outputs["DeadLetterQueueUrl"],
            MaxNumberOfMessages=10,
            WaitTimeSeconds=0,
            MessageAttributeNames=["All"],
        )
        messages = response.get("Messages", [])
        for one in messages:
            self.sqs.delete_message(QueueUrl=self.outputs["DeadLetterQueueUrl"], ReceiptHandle=one["ReceiptHandle"])
        return [
            (one["Body"], one.get("MessageAttributes", {}).get("reason", {}).get("StringValue", "")) for one in messages
        ]


@contextmanager
def cloud_in_memory() -> Iterator[Cloud]:
    """A fresh account with nothing but the data stack."""
    with mock_aws():
        cloudformation: Any = aws().client("cloudformation")
        cloudformation.create_stack(
            StackName="fillrate",
            TemplateBody=DATA_STACK.read_text(),
            Parameters=[{"ParameterKey": "Stage", "ParameterValue": "local"}],
        )
        (stack,) = cloudformation.describe_stacks(StackName="fillrate")["Stacks"]
        yield Cloud({output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]})


def sums_over_orders(items: Iterable[Any]) -> dict[str, int]:
    """What the counters must stand at, from the orders' items as DynamoDB holds them; zeros aside."""
    sums: Counter[str] = Counter()
    for item in items:
        state = item["state"]["S"]
        for scope in (f"account#{item['account']['S']}", "global"):
            reserved = [item["feesReserved"]] if "feesReserved" in item else []
            for fees in (*item.get("feesPaid", {"L": []})["L"], *reserved):
                sums[f"fees#{fees['M']['day']['S']}#{scope}"] += int(fees["M"]["lamports"]["N"])
            if state not in ("confirmed", "failed", "cancelled", "expired"):
                sums[f"open#{scope}"] += 1
            if "notional" in item and state not in ("failed", "cancelled", "expired"):
                notional = item["notional"]["M"]
                sums[f"notional#{notional['day']['S']}#{scope}"] += int(notional["value"]["N"])
    return {name: number for name, number in sums.items() if number}


def calls_to(client: Any, operation: str) -> list[Json]:
    """A list that gets the parameters of each call of `operation` from now on."""
    calls: list[Json] = []

    def note(params: Json, **_: object) -> None:
        calls.append(dict(params))

    client.meta.events.register(f"provide-client-params.{client.meta.service_model.service_name}.{operation}", note)
    return calls


class OrdersStream:
    """The orders table's stream, read from its start, in the form in which Lambda hands records over."""

    def __init__(self, cloud: Cloud) -> None:
        self._client: Any = aws().client("dynamodbstreams")
        self._arn = cloud.outputs["OrdersStreamArn"]
        self._after: Json = {"ShardIteratorType": "TRIM_HORIZON"}

    def new_records(self) -> list[Json]:
        """Every record since the last time.

        By a new iterator: moto undoes a cancelled transaction by a copy of the table, of which older ones don't know.
        """
        (shard,) = self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]
        iterator = self._client.get_shard_iterator(StreamArn=self._arn, ShardId=shard["ShardId"], **self._after)
        records = self._client.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
        if records:
            last = records[-1]["dynamodb"]["SequenceNumber"]
            self._after = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": last}
        return [_as_lambda_gets_it(record) for record in records]


def _as_lambda_gets_it(record: Json) -> Json:
    def plain(value: object) -> object:
        return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)

    decoded: Json = json.loads(json.dumps(record, default=plain))
    return decoded


class WebSocketApi:
    """API Gateway's side of the WebSocket: moto's, which knows no vanished client, and those that have vanished."""

    def __init__(self) -> None:
        self._client: Any = aws().client("apigatewaymanagementapi", endpoint_url=WEBSOCKET_ENDPOINT)
        self.gone: set[str] = set()
        self.closed: list[str] = []
        self.posts = 0
        # called before each post with the connection's id; may raise
        self.before_post: Callable[[str], None] = lambda connection_id: None
        self._texts: dict[str, bytes] = {}

    def gateway(self) -> WebSocketGateway:
        return WebSocketGateway(self)

    def post_to_connection(self, **arguments: Any) -> None:
        self.posts += 1
        connection_id = arguments["ConnectionId"]
        self.before_post(connection_id)
        if connection_id in self.gone:
            raise aws_error("GoneException", 410, "PostToConnection")
        self._client.post_to_connection(**arguments)
        self._texts[connection_id] = _backend().connections[connection_id].data

    def delete_connection(self, **arguments: Any) -> None:
        connection_id = arguments["ConnectionId"]
        if connection_id in self.gone:
            raise aws_error("GoneException", 410, "DeleteConnection")
        self._client.delete_connection(**arguments)
        self.closed.append(connection_id)
        self.gone.add(connection_id)

    def received(self, connection_id: str) -> list[Json]:
        """Every message that the connection got, in its order."""
        text, messages = self._texts.get(connection_id, b"").decode(), []
        while text:
            message, end = json.JSONDecoder().raw_decode(text)
            messages.append(message)
            text = text[end:]
        return messages


def aws_error(code: str, http_status: int, operation: str) -> ClientError:
    """An error as botocore raises it."""
    return ClientError(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": http_status}},  # type: ignore[typeddict-item]
        operation,
    )


def _backend() -> Any:
    return apigatewaymanagementapi_backends[DEFAULT_ACCOUNT_ID][REGION]
