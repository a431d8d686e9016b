"""An AWS account in memory (moto) with the stack of data.yaml in it, and what tests want to see of it."""

from __future__ import annotations

import base64
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.apigatewaymanagementapi.models import apigatewaymanagementapi_backends
from moto.cloudformation.models import Stack
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models.table import StreamRecord
from moto.kms import models as kms
from moto.kms import utils as kms_keys

from chalicelib.access.key_administration import KeyAdministration, NewKey
from chalicelib.access.key_meter import KeyMeter
from chalicelib.access.key_table import KeyTable
from chalicelib.access.keys import Scope
from chalicelib.access.ticket_office import TicketOffice
from chalicelib.access.ticket_secret import TicketSecret
from chalicelib.aws.dynamodb.attribute_values import deserialize, serialize
from chalicelib.aws.dynamodb.circulation_table import CirculationTable
from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.aws.dynamodb.order_table import OrderTable, pause_after_conflict
from chalicelib.aws.dynamodb.packed_item import unpacked
from chalicelib.aws.dynamodb.start_line import StartLine
from chalicelib.aws.dynamodb.waiting_index import WaitingIndex
from chalicelib.aws.orders_queue import SqsOrdersQueue
from chalicelib.aws.watch_queue import SqsWatchQueue
from chalicelib.aws.websocket_gateway import WebSocketGateway
from chalicelib.contract.requests import QuotesMessage
from chalicelib.http.api import quote_asked
from chalicelib.orders.delivery import Message
from chalicelib.orders.order import Order, Token
from chalicelib.push.connection_table import ConnectionCaps, ConnectionTable
from chalicelib.push.connections import Connections
from chalicelib.push.quote_stream_table import QuoteStreamCaps, QuoteStreamTable
from chalicelib.push.stream_requests import StreamRequests
from chalicelib.risk.limits import PLAYGROUND
from chalicelib.waiting.wakes import Wakes
from tests.integration import moto_secret as moto_secret  # lets moto make the template's secret
from tests.sample_orders import JUP, SOL, USDC

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

REGION = "us-east-1"
WEBSOCKET_ENDPOINT = f"https://fillrate.execute-api.{REGION}.amazonaws.com/api"
# Of one BatchWriteItem, as DynamoDB has it.
MOST_WRITES = 25
CAPS = ConnectionCaps(of_key=20, of_account=50)
STREAM_CAPS = QuoteStreamCaps()
DATA_STACK = Path(__file__).parents[2] / "infra" / "deployment" / "data.yaml"

Json = dict[str, Any]


@cache
def _parsed(template: str) -> dict[str, Any]:
    parsed: dict[str, Any] = PARSE_TEMPLATE(template)
    return parsed


PARSE_TEMPLATE = Stack.parse_template
# Every test deploys the same template anew, and reading its YAML would be most of the work.
Stack.parse_template = staticmethod(lambda template: deepcopy(_parsed(template)))  # type: ignore[method-assign]

NEW_PRIVATE_KEY = kms_keys.generate_private_key
SAME_PRIVATE_KEY = cache(NEW_PRIVATE_KEY)


def _private_key(key_spec: str) -> Any:
    """moto gives each account a key for its tables, and that an RSA key with which nothing is ever signed:
    to make it took longer than all else of a deploy.
    """
    return (SAME_PRIVATE_KEY if key_spec == "SYMMETRIC_DEFAULT" else NEW_PRIVATE_KEY)(key_spec)


setattr(kms, "generate_private_key", _private_key)  # noqa: B010 - the name is imported there, and not exported

# For each item of a transaction moto copies the whole table, to be able to undo it, with all of its stream's
# records, of which none ever changes.
StreamRecord.__deepcopy__ = lambda record, memo: record  # type: ignore[attr-defined]

SERIALIZE_STRUCTURE = BaseJSONSerializer._serialize_type_structure


def _serialize_structure(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    """Of an attribute's value what is there, where moto looks ten times for each: a third of a request's time."""
    if shape.name == "AttributeValue" and type(value) is dict:
        written: Json = {}
        serialized[key] = written
        for kind, content in value.items():
            self._serialize(written, content, shape.members[kind], kind)
    else:
        SERIALIZE_STRUCTURE(self, serialized, value, shape, key)


BaseJSONSerializer._serialize_type_structure = _serialize_structure  # type: ignore[method-assign]

ANSWER = BotocoreStubber.__call__
_one_at_a_time = RLock()


def _answer_one(*arguments: Any, **more: Any) -> Any:
    with _one_at_a_time:
        return ANSWER(*arguments, **more)


# The publisher asks from several threads, and moto's tables can't be asked by two at once.
BotocoreStubber.__call__ = _answer_one  # type: ignore[method-assign]


@cache
def aws() -> boto3.Session:
    """One session for all tests: it reads botocore's service descriptions once. Each test makes its own clients."""
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)


@dataclass
class Cloud:
    """The data stack, deployed from the product's own template, so that keys and indexes are those of production."""

    outputs: dict[str, str]

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        return aws().client("dynamodb")

    @cached_property
    def sqs(self) -> SQSClient:
        return aws().client("sqs")

    @property
    def orders_table(self) -> str:
        return self.outputs["OrdersTable"]

    def store(self) -> OrderTable:
        return self.store_of(self.dynamodb)

    def store_of(self, client: DynamoDBClient, pause: Callable[[int], None] = pause_after_conflict) -> OrderTable:
        """The orders by a client of one's own."""
        _, orders, controls, circulations = self.store_parts()
        return OrderTable(client, orders, controls, circulations, pause)

    def store_parts(self) -> tuple[DynamoDBClient, str, str, str]:
        """What an OrderTable is made of."""
        return self.dynamodb, self.orders_table, self.outputs["ControlTable"], self.outputs["CirculationsTable"]

    def control_table(self) -> ControlTable:
        return ControlTable(self.dynamodb, self.outputs["ControlTable"], PLAYGROUND)

    def stored(self, order_id: str) -> Order:
        order = self.store().load(order_id)
        assert order is not None, f"no order {order_id} is stored"
        return order

    def orders_queue(self) -> SqsOrdersQueue:
        return SqsOrdersQueue(self.sqs, self.outputs["OrdersQueueUrl"], self.outputs["DeadLetterQueueUrl"])

    def circulations(self) -> CirculationTable:
        return CirculationTable(self.dynamodb, self.outputs["CirculationsTable"])

    def watch_queue(self) -> SqsWatchQueue:
        return SqsWatchQueue(self.sqs, self.outputs["WatchQueueUrl"])

    def waiting_index(self) -> WaitingIndex:
        return WaitingIndex(self.dynamodb, self.orders_table)

    def start_line(self) -> StartLine:
        return StartLine(self.dynamodb, self.outputs["ControlTable"], self.outputs["LineTable"])

    def connections(self) -> Connections:
        return Connections(self.dynamodb, self.orders_table)

    def quote_streams(self, caps: QuoteStreamCaps = STREAM_CAPS) -> QuoteStreamTable:
        streams, connections = self.outputs["QuoteStreamsTable"], self.outputs["ConnectionsTable"]
        circulations = self.outputs["CirculationsTable"]
        return QuoteStreamTable(self.dynamodb, streams, connections, circulations, pause_after_conflict, caps)

    def stream_requests(self, now_ms: Callable[[], int]) -> StreamRequests:
        """As sessions have them; the tokens are those of the sample orders, and a pair is not looked at sooner."""
        wakes = Wakes(self.circulations(), self.watch_queue(), now_ms)
        return StreamRequests(self.quote_streams(), sample_tokens_asked, wakes, now_ms)

    def connection_table(self, caps: ConnectionCaps = CAPS) -> ConnectionTable:
        return ConnectionTable(self.dynamodb, self.outputs["ConnectionsTable"], caps)

    def keys(self) -> KeyTable:
        return KeyTable(self.dynamodb, self.outputs["AccessTable"])

    def key_meter(self) -> KeyMeter:
        return KeyMeter(self.dynamodb, self.outputs["MeterTable"])

    def new_key(self, account: str, *scopes: Scope, rate_per_minute: int = 100_000) -> NewKey:
        administration = KeyAdministration(self.keys(), lambda: 0, secrets.token_bytes)
        return administration.create(account, frozenset(scopes or Scope), rate_per_minute=rate_per_minute)

    def tickets(self, now_ms: Callable[[], int]) -> TicketOffice:
        client: Any = aws().client("secretsmanager")
        secret = TicketSecret(client, self.outputs["TicketSecretArn"], now_ms)
        return TicketOffice(secret, self.keys(), now_ms, secrets.token_bytes)

    def put_all(self, table: str, items: list[Any]) -> None:
        """Write these, in as few requests as may be."""
        for first in range(0, len(items), MOST_WRITES):
            requests: Any = [{"PutRequest": {"Item": item}} for item in items[first : first + MOST_WRITES]]
            assert not self.dynamodb.batch_write_item(RequestItems={table: requests})["UnprocessedItems"]

    def counters(self) -> dict[str, int]:
        """What the counters stand at, by name; those at zero aside."""
        items = self.dynamodb.scan(TableName=self.outputs["ControlTable"], ConsistentRead=True)["Items"]
        counted = {item["name"]["S"]: int(item["counted"]["N"]) for item in items if "counted" in item}
        return {name: number for name, number in counted.items() if number}

    def assert_counters_add_up(self) -> None:
        """Every counter is the sum of what the stored orders stand for, by the orders' own attributes.

        So is the number of those that wait of each pair.
        """
        items = self.dynamodb.scan(TableName=self.orders_table, ConsistentRead=True)["Items"]
        orders = [serialize(unpacked(deserialize(item))) for item in items if item["item"]["S"] == "order"]
        assert self.counters() == sums_over_orders(orders)
        waiting = Counter(item["waitingPair"]["S"] for item in orders if item["state"]["S"] == "open")
        assert {one.pair: one.orders for one in self.circulations().all() if one.orders} == waiting

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


class SampleTokens:
    """The tokens of the sample orders, as a directory."""

    def find(self, text: str) -> Token | None:
        return next((token for token in (SOL, USDC, JUP) if text in (token.text, token.mint)), None)


def sample_tokens_asked(content: Mapping[str, Any]) -> tuple[Token, Token, int, int]:
    return quote_asked(SampleTokens(), QuotesMessage, content)


@cache
def _cloudformation() -> Any:
    return aws().client("cloudformation")


@contextmanager
def cloud_in_memory() -> Iterator[Cloud]:
    """A fresh account with nothing but the data stack."""
    with mock_aws():
        _cloudformation().create_stack(
            StackName="fillrate",
            TemplateBody=DATA_STACK.read_text(),
            Parameters=[{"ParameterKey": "Stage", "ParameterValue": "local"}],
        )
        (stack,) = _cloudformation().describe_stacks(StackName="fillrate")["Stacks"]
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
                sums[f"{'waiting' if state == 'open' else 'open'}#{scope}"] += 1
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
        self._lock = Lock()

    def gateway(self) -> WebSocketGateway:
        return WebSocketGateway(self)

    def post_to_connection(self, **arguments: Any) -> None:
        connection_id = arguments["ConnectionId"]
        with self._lock:
            self.posts += 1
        self.before_post(connection_id)
        if connection_id in self.gone:
            raise aws_error("GoneException", 410, "PostToConnection")
        with self._lock:  # moto makes a connection that it doesn't know by a look and a write
            self._client.post_to_connection(**arguments)
            self._texts[connection_id] = _backend().connections[connection_id].data

    def get_connection(self, **arguments: Any) -> None:
        if arguments["ConnectionId"] in self.gone:
            raise aws_error("GoneException", 410, "GetConnection")

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
